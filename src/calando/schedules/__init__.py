"""What the rate should be: schedules as values, and curves that are schedules bound to a horizon.

    schedule = linear(0, 1, over="5%") >> cosine(1, 0)     an immutable value; prints as this text
    curve = schedule.bind(1000)                            its shares and epochs are steps now
    curve(t), curve.sample()                               what the base rate is multiplied by

Every file of this folder is imported, and what it registers (`register`) is there by name: in texts, in lists and as
`calando.schedules.NAME`. The names below are listed for type checkers and editors only.

>>> parse("linear(0, 1, over='5%') >> cosine(1, 0)").bind(1000)(50)
1.0
"""

import importlib
import pkgutil
from collections.abc import Callable

from calando.schedules.by_group_and_batch import discriminative, layer_decay, linear_scaling, per_group, sqrt_scaling
from calando.schedules.compose import constant
from calando.schedules.curve import Curve
from calando.schedules.cycles import (
    cosine_restarts,
    exp_range,
    polynomial_cycles,
    triangular,
    triangular2,
    warmup_cosine_restarts,
)
from calando.schedules.finding import Finding
from calando.schedules.from_torch import from_torch
from calando.schedules.function import function, named_function
from calando.schedules.grammar import Call, Value, parse_call
from calando.schedules.hyperbolic import exponential_hyperbolic, hyperbolic
from calando.schedules.known_schedules import SCHEDULES, Description, describe, register
from calando.schedules.linting import lint, lint_schedule
from calando.schedules.logged.recovered import Recovered, recover
from calando.schedules.named_ramps import (
    cosine,
    exponential,
    linear,
    one_minus_sqrt,
    one_minus_square,
    polynomial,
    rex,
    tanh,
)
from calando.schedules.primitive import Primitive
from calando.schedules.repeat import repeat
from calando.schedules.scatter import chebyshev, noise
from calando.schedules.schedule import Bound, Extent, Schedule
from calando.schedules.span import Horizon, Span
from calando.schedules.steps import knots, multistep, piecewise, step
from calando.schedules.text import from_json, parse, split_pipe, to_json
from calando.schedules.timescale import exponential_decay, inverse_sqrt, inverse_time, natural_exponential, power_decay
from calando.schedules.transform import clip, cut, staircase, warp
from calando.schedules.warmups import (
    radam_warmup,
    saturating,
    untuned_exponential_warmup,
    untuned_linear_warmup,
    warmup,
)
from calando.schedules.whole_runs import (
    flat_cosine,
    k_decay,
    noam,
    one_cycle,
    one_cycle_momentum,
    one_cycle_three_phase,
    one_cycle_three_phase_momentum,
    slanted_triangular,
    warmup_hold_cosine,
    warmup_inverse_sqrt,
    wsd,
)

__all__ = [
    "SCHEDULES",
    "Bound",
    "Call",
    "Curve",
    "Description",
    "Extent",
    "Finding",
    "Horizon",
    "Primitive",
    "Recovered",
    "Schedule",
    "Span",
    "Value",
    "chebyshev",
    "clip",
    "constant",
    "cosine",
    "cosine_restarts",
    "cut",
    "describe",
    "discriminative",
    "exp_range",
    "exponential",
    "exponential_decay",
    "exponential_hyperbolic",
    "flat_cosine",
    "from_json",
    "from_torch",
    "function",
    "hyperbolic",
    "inverse_sqrt",
    "inverse_time",
    "k_decay",
    "knots",
    "layer_decay",
    "linear",
    "linear_scaling",
    "lint",
    "lint_schedule",
    "multistep",
    "named_function",
    "natural_exponential",
    "noam",
    "noise",
    "one_cycle",
    "one_cycle_momentum",
    "one_cycle_three_phase",
    "one_cycle_three_phase_momentum",
    "one_minus_sqrt",
    "one_minus_square",
    "parse",
    "parse_call",
    "per_group",
    "piecewise",
    "polynomial",
    "polynomial_cycles",
    "power_decay",
    "radam_warmup",
    "recover",
    "register",
    "repeat",
    "rex",
    "saturating",
    "slanted_triangular",
    "split_pipe",
    "sqrt_scaling",
    "staircase",
    "step",
    "tanh",
    "to_json",
    "triangular",
    "triangular2",
    "untuned_exponential_warmup",
    "untuned_linear_warmup",
    "warmup",
    "warmup_cosine_restarts",
    "warmup_hold_cosine",
    "warmup_inverse_sqrt",
    "warp",
    "wsd",
]

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")
globals().update(SCHEDULES)  # a schedule goes before the file of its name


def __getattr__(name: str) -> Callable[..., Schedule]:
    """A schedule that the list above lacks: of a new file, registered elsewhere, or brought by an installed package."""
    if name.startswith("_") or name not in SCHEDULES:
        raise AttributeError(f"module 'calando.schedules' has no attribute {name!r}")
    return SCHEDULES[name]
