"""The schedules by name: what a text may call, and how a list shows them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from calando.errors import UsageError
from calando.schedules.base import Schedule
from calando.schedules.chebyshev import chebyshev
from calando.schedules.checks import signature_text
from calando.schedules.cut import cut
from calando.schedules.function import function
from calando.schedules.hyperbolic import exponential_hyperbolic, hyperbolic
from calando.schedules.knots import knots, piecewise
from calando.schedules.noise import noise
from calando.schedules.per_group import per_group
from calando.schedules.presets import (
    cosine_restarts,
    discriminative,
    exp_range,
    exponential_decay,
    flat_cosine,
    k_decay,
    layer_decay,
    linear_scaling,
    noam,
    one_cycle,
    one_cycle_momentum,
    one_cycle_three_phase,
    one_cycle_three_phase_momentum,
    polynomial_cycles,
    slanted_triangular,
    sqrt_scaling,
    triangular,
    triangular2,
    untuned_exponential_warmup,
    untuned_linear_warmup,
    warmup,
    warmup_cosine_restarts,
    warmup_hold_cosine,
    warmup_inverse_sqrt,
    wsd,
)
from calando.schedules.ramps import (
    constant,
    cosine,
    exponential,
    linear,
    one_minus_sqrt,
    one_minus_square,
    polynomial,
    rex,
    tanh,
)
from calando.schedules.repeat import repeat
from calando.schedules.steps import multistep, step
from calando.schedules.timescale import (
    inverse_sqrt,
    inverse_time,
    natural_exponential,
    power_decay,
    radam_warmup,
    saturating,
)
from calando.schedules.transform import clip, staircase, warp

__all__ = ["FAMILIES", "SCHEDULES", "Description", "Family", "describe"]


@dataclass(frozen=True)
class Family:
    """Schedules that serve one purpose.

    Args:
        title: of the family.
        purpose: what its members are for, a sentence or two.
        members: their constructors, in the order of a list.
    """

    title: str
    purpose: str
    members: tuple[Callable[..., Schedule], ...]


FAMILIES = (
    Family(
        "Ramps",
        "From one value to another over `over`, or over all that is left. The bricks of everything below.",
        (
            constant,
            linear,
            cosine,
            exponential,
            polynomial,
            one_minus_sqrt,
            one_minus_square,
            rex,
            tanh,
            hyperbolic,
            exponential_hyperbolic,
        ),
    ),
    Family(
        "Warmups",
        "The first part of a chain, `warmup('5%') >> cosine(1, 0)`; those that never end multiply another.",
        (warmup, untuned_linear_warmup, untuned_exponential_warmup, radam_warmup, saturating),
    ),
    Family(
        "Whole runs",
        "Up, held, down: schedules that people train with as they are.",
        (
            one_cycle,
            one_cycle_three_phase,
            one_cycle_momentum,
            one_cycle_three_phase_momentum,
            wsd,
            flat_cosine,
            warmup_hold_cosine,
            slanted_triangular,
            warmup_inverse_sqrt,
            noam,
            k_decay,
        ),
    ),
    Family(
        "Steps and places",
        "Values that drop at once, or that are given at places.",
        (step, multistep, piecewise, knots),
    ),
    Family(
        "At a pace",
        "Decays that know how fast, and not how long.",
        (exponential_decay, natural_exponential, inverse_time, inverse_sqrt, power_decay),
    ),
    Family(
        "Cycles",
        "Again and again.",
        (cosine_restarts, warmup_cosine_restarts, triangular, triangular2, exp_range, polynomial_cycles, chebyshev),
    ),
    Family(
        "What changes a schedule",
        "Again, later, in stairs, within bounds, cut off, shaken; or a function of your own.",
        (repeat, warp, staircase, clip, cut, noise, function),
    ),
    Family(
        "By group and batch size",
        "Constants to multiply with, one for each parameter group or one for all.",
        (per_group, layer_decay, discriminative, linear_scaling, sqrt_scaling),
    ),
)

SCHEDULES: Mapping[str, Callable[..., Schedule]] = MappingProxyType(
    {
        make.__name__: make
        for make in sorted((make for family in FAMILIES for make in family.members), key=lambda make: make.__name__)
    }
)
"""Name -> constructor, sorted."""


@dataclass(frozen=True)
class Description:
    """A schedule as a list shows it.

    Args:
        name: what a text calls it.
        family: title of the family it belongs to.
        signature: the call with its arguments and defaults.
        summary: one line.
        formula: the value at update t, or the algebra it stands for.
    """

    name: str
    family: str
    signature: str
    summary: str
    formula: str


def describe() -> list[Description]:
    """Every schedule that has a name, family by family.

    Raises:
        UsageError: this Python was started without docstrings, which say it all.

    >>> entry = next(entry for entry in describe() if entry.name == "linear")
    >>> entry.signature, entry.formula
    ('linear(start, end, *, over=None)', 'start + (end - start) * p')
    """
    return [_describe(family.title, make) for family in FAMILIES for make in family.members]


def _describe(family: str, make: Callable[..., Schedule]) -> Description:
    if sys.flags.optimize > 1:
        raise UsageError("schedules are described in docstrings: unset PYTHONOPTIMIZE, or leave out -OO")
    paragraphs = inspect.cleandoc(make.__doc__ or "").split("\n\n")
    formula = next(text.removeprefix("Formula: ") for text in paragraphs if text.startswith("Formula: "))
    summary = " ".join(paragraphs[0].split()).removesuffix(".")
    name = make.__name__
    return Description(name, family, signature_text(name, make), summary, " ".join(formula.split()))
