"""Methods: optimizers with what they need to know about rates, and the driver that writes those rates.

Every file of this folder is imported, and what it registers (`register`) has its name in texts and lists. Importing
them needs no torch; building an optimizer does.
"""

import importlib
import pkgutil

from calando.methods.driver import Driver
from calando.methods.known_optimizers import closure_of, usual_rate_of, works_its_rate_out
from calando.methods.method import (
    METHODS,
    Closure,
    Flag,
    Grouping,
    Method,
    Number,
    Pair,
    check_methods_installed,
    find_method,
    register,
)
from calando.methods.parameter_groups import layer_groups

__all__ = [
    "METHODS",
    "Closure",
    "Driver",
    "Flag",
    "Grouping",
    "Method",
    "Number",
    "Pair",
    "check_methods_installed",
    "closure_of",
    "find_method",
    "layer_groups",
    "register",
    "usual_rate_of",
    "works_its_rate_out",
]

for _file in sorted(pkgutil.iter_modules(__path__), key=lambda file: file.name != "in_torch"):  # torch's head the lists
    importlib.import_module(f"{__name__}.{_file.name}")
