"""The schedules that have a name: each a line or two of the algebra.

They are plain functions; what they return prints as the primitives it is made of, and that text reads back
as an equal schedule. In the formulas p = min(t / L, 1) is progress through the schedule's own length L:
`over` where it is given, else all the steps that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from calando.schedules import shapes
from calando.schedules.base import Schedule
from calando.schedules.checks import BadArgument, checked_choice
from calando.schedules.ramp import Constant, Ramp
from calando.schedules.span import Span
from calando.schedules.steps import MultiStep, Step

__all__ = [
    "constant",
    "cosine",
    "exponential",
    "linear",
    "multistep",
    "one_cycle",
    "one_minus_sqrt",
    "polynomial",
    "step",
    "wsd",
]

Length = Span | str | int


def constant(value: float = 1, *, over: Length | None = None) -> Schedule:
    """One value, held.

    Formula: value

    Args:
        value: the multiplier, any finite number.
        over: how long; without it, as long as there are steps left.

    Raises:
        UsageError: an argument out of range.

    Source: torch's ConstantLR(factor, total_iters=n) is `constant(factor, over=n) >> constant(1)`.

    >>> constant(0.5).bind(10)(9)
    0.5
    """
    return Constant(value, over=_over(over))


def linear(start: float, end: float, *, over: Length | None = None) -> Schedule:
    """From start to end in a straight line.

    Formula: start + (end - start) * p

    Args:
        start: value of the first update.
        end: value reached after `over`, and held.
        over: how long; without it, all that is left.

    Raises:
        UsageError: an argument out of range.

    Source: warmup, Goyal et al. 2017, arXiv:1706.02677; torch's LinearLR with total_iters = over.

    >>> linear(0, 1, over="2 steps").bind(4).sample()
    array([0. , 0.5, 1. , 1. ])
    """
    return Ramp(start, end, shapes.Linear(), over=_over(over))


def cosine(start: float, end: float, *, over: Length | None = None) -> Schedule:
    """From start to end along half a cosine wave.

    Formula: end + (start - end) * (1 + cos(pi * p)) / 2

    Args:
        start: value of the first update.
        end: value reached after `over`, and held: it does not climb again, as torch's does past T_max.
        over: how long; without it, all that is left.

    Raises:
        UsageError: an argument out of range.

    Source: SGDR without restarts, Loshchilov & Hutter 2017, arXiv:1608.03983; torch's CosineAnnealingLR
    with T_max = over.

    >>> cosine(1, 0).bind(4)([0, 1, 2, 3, 4]).round(3)
    array([1.   , 0.854, 0.5  , 0.146, 0.   ])
    """
    return Ramp(start, end, shapes.Cosine(), over=_over(over))


def exponential(start: float, end: float, *, over: Length | None = None) -> Schedule:
    """From start to end by the same ratio at each step.

    Formula: start * (end / start) ** p

    Args:
        start: value of the first update, above 0.
        end: value reached after `over`, above 0, and held.
        over: how long; without it, all that is left.

    Raises:
        UsageError: an argument out of range; an exponential cannot reach 0.

    Source: torch's ExponentialLR(gamma) over T steps is `exponential(1, gamma ** T)`.

    >>> exponential(1, 0.01).bind(4).sample().round(4)
    array([1.    , 0.3162, 0.1   , 0.0316])
    """
    return Ramp(start, end, shapes.Exponential(), over=_over(over))


def polynomial(start: float, end: float, *, power: float = 2, over: Length | None = None) -> Schedule:
    """From start to end by a power of the part that is left.

    Formula: end + (start - end) * (1 - p) ** power

    Args:
        start: value of the first update.
        end: value reached after `over`, and held.
        power: above 0; 1 is linear, more falls faster at first.
        over: how long; without it, all that is left.

    Raises:
        UsageError: an argument out of range.

    Source: the "poly" policy, Chen et al. 2016, arXiv:1606.00915; torch's PolynomialLR with total_iters = over.

    >>> polynomial(1, 0, power=2).bind(4).sample()
    array([1.    , 0.5625, 0.25  , 0.0625])
    """
    return Ramp(start, end, shapes.Polynomial(power), over=_over(over))


def one_minus_sqrt(start: float, end: float, *, over: Length | None = None) -> Schedule:
    """From start to end, fast at first and slower and slower: the 1-sqrt cool-down.

    Formula: start + (end - start) * sqrt(p)

    Args:
        start: value of the first update.
        end: value reached after `over`, and held.
        over: how long; without it, all that is left.

    Raises:
        UsageError: an argument out of range.

    Source: Hägele et al. 2024, arXiv:2405.18392.

    >>> one_minus_sqrt(1, 0).bind(4).sample().round(3)
    array([1.   , 0.5  , 0.293, 0.134])
    """
    return Ramp(start, end, shapes.OneMinusSqrt(), over=_over(over))


def step(*, every: Length, factor: float, over: Length | None = None) -> Schedule:
    """Multiplied by a factor at regular intervals.

    Formula: factor ** floor(t / every)

    Args:
        every: the interval, counted from where this schedule begins.
        factor: above 0.
        over: how long; without it, as long as there are steps left.

    Raises:
        UsageError: an argument out of range.

    Source: He et al. 2016, arXiv:1512.03385; torch's StepLR with step_size = every.

    >>> step(every="2 steps", factor=0.1).bind(4).sample()
    array([1. , 1. , 0.1, 0.1])
    """
    return Step(Span.parse(every, name="every"), factor, over=_over(over))


def multistep(*, at: Iterable[Length], factor: float, over: Length | None = None) -> Schedule:
    """Multiplied by a factor at each milestone.

    Formula: factor ** (number of milestones <= t)

    Args:
        at: the milestones, increasing, counted from where this schedule begins.
        factor: above 0.
        over: how long; without it, as long as there are steps left.

    Raises:
        UsageError: an argument out of range; when bound, milestones that do not increase.

    Source: He et al. 2016, arXiv:1512.03385; torch's MultiStepLR with milestones = at.

    >>> multistep(at=["50%", "75%"], factor=0.1).bind(4).sample()
    array([1.  , 1.  , 0.1 , 0.01])
    """
    if isinstance(at, str | Span) or not isinstance(at, Iterable):
        raise BadArgument("at", "must be a list of spans such as ['50%', '75%']", at)
    return MultiStep(tuple(Span.parse(span, name="at") for span in at), factor, over=_over(over))


def one_cycle(*, warmup: Length = "30%", start: float = 0.04, end: float = 4e-6) -> Schedule:
    """Up to the full rate and down to almost nothing, each along half a cosine wave.

    Formula: cosine(start, 1, over=warmup) >> cosine(1, end)

    Multiplies the greatest rate. torch's OneCycleLR(max_lr, total_steps=N, pct_start=p) counts N - 1
    intervals and peaks one step early: it is this with warmup = p * N - 1 steps, bound to N - 1 steps.
    It divides by zero where p * N is 1, and climbs again past its end; this does neither.

    Args:
        warmup: how long the rise is.
        start: value of the first update, torch's 1 / div_factor.
        end: value at the end, torch's 1 / (div_factor * final_div_factor).

    Raises:
        UsageError: an argument out of range.

    Source: Smith & Topin 2017, arXiv:1708.07120, in torch's two-phase form.

    >>> one_cycle()
    cosine(0.04, 1, over='30%') >> cosine(1, 4e-06)
    """
    return cosine(start, 1, over=_span("warmup", warmup)) >> cosine(1, end)


def wsd(
    *, warmup: Length = "5%", decay: Length = "20%", shape: str = "linear", start: float = 0, end: float = 0
) -> Schedule:
    """Warmup, stable, decay: up in a line, held, and down at the end.

    Formula: linear(start, 1, over=warmup) >> constant(1) >> shape(1, end, over=decay)

    Args:
        warmup: how long the rise is.
        decay: how long the cool-down is; between the two the rate is held.
        shape: of the cool-down: "linear", "cosine", "exponential" (end above 0), "one_minus_sqrt" or
            "polynomial" (of power 2).
        start: value of the first update.
        end: value at the end.

    Raises:
        UsageError: an argument out of range; an unknown shape.

    Source: MiniCPM, Hu et al. 2024, arXiv:2404.06395; cool-downs compared in Hägele et al. 2024, arXiv:2405.18392.

    >>> wsd(decay="10%", shape="one_minus_sqrt")
    linear(0, 1, over='5%') >> constant(1) >> one_minus_sqrt(1, 0, over='10%')
    """
    cool_down = _COOL_DOWNS[checked_choice("shape", shape, _COOL_DOWNS)](1, end, over=_span("decay", decay))
    return linear(start, 1, over=_span("warmup", warmup)) >> constant(1) >> cool_down


def _over(value: Length | None) -> Span | None:
    return None if value is None else Span.parse(value, name="over")


def _span(name: str, value: Length) -> Span:
    return Span.parse(value, name=name)


_COOL_DOWNS: Mapping[str, Callable[..., Schedule]] = {
    make.__name__: make for make in (cosine, exponential, linear, one_minus_sqrt, polynomial)
}
