"""Controllers: what the rate should be in answer to what training does.

Every file of this folder is imported, and what it registers (`register`) is there by name in a strategy's text.
"""

import importlib
import pkgutil

from calando.controllers.controller import (
    CONTROLLERS,
    Action,
    Controller,
    Length,
    Observation,
    State,
    Wants,
    first_multiplier,
    internal,
    length,
    register,
    state_from_json,
    state_to_json,
)
from calando.controllers.divergence import Divergence
from calando.controllers.edge import Edge
from calando.controllers.plateau import Plateau
from calando.controllers.rollback import Rollback

__all__ = [
    "CONTROLLERS",
    "Action",
    "Controller",
    "Divergence",
    "Edge",
    "Length",
    "Observation",
    "Plateau",
    "Rollback",
    "State",
    "Wants",
    "first_multiplier",
    "internal",
    "length",
    "register",
    "state_from_json",
    "state_to_json",
]

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")
