"""Ramps by name: from one value to another, each along its shape.

    linear            start * q                  + end * p
    cosine            start * c^k                + end * (1 - c^k)          c = (1 + cos πp) / 2
    polynomial        start * q^k                + end * (1 - q^k)
    one_minus_sqrt    start * (1 - √p)           + end * √p
    one_minus_square  start * (1 - p²)           + end * p²
    rex               start * q / (1 - βp)       + end * (1 - β) p / (1 - βp)
    tanh              start * (1 - tanh x) / 2   + end * (1 + tanh x) / 2   x = lower + (upper - lower) p
    exponential       start^q                    * end^p                    both above zero

p = min(t / L, 1) is progress through the schedule's own length L: `over` where it is given, else all the steps that are
left; q = 1 - p. The weights in a row add up to one, so one of them is enough: that of the value further from zero,
which leaves nothing to cancel. (1 + cos πp) / 2 cancels too where it nears zero, and is written sin²(π/2 q).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from calando.language import message
from calando.schedules.checks import BadArgument, checked_number
from calando.schedules.compose import constant
from calando.schedules.known_schedules import Seen, counterpart, register
from calando.schedules.ramp import Progress, Ramp, Shape, weighted
from calando.schedules.repeat import repeat
from calando.schedules.schedule import Array, Schedule
from calando.schedules.span import SpanLike, span_or_none

__all__ = [
    "Cosine",
    "Linear",
    "cosine",
    "exponential",
    "linear",
    "one_minus_sqrt",
    "one_minus_square",
    "polynomial",
    "rex",
    "tanh",
]


@final
@dataclass(frozen=True)
class Linear(Shape):
    name = "linear"

    def between(self, start: float, end: float, at: Progress) -> Array:
        return weighted(start, end, lambda: at.q, lambda: at.p)


@register(family="Ramps", example="linear(1, 0)")
def linear(start: float, end: float, *, over: SpanLike | None = None) -> Schedule:
    """From start to end in a straight line.

    Formula: start + (end - start) * p

    Args:
        start: value of the first update.
        end: value reached after `over`, and held.
        over: length; without it, the schedule stretches over all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: warmup, Goyal et al. 2017, arXiv:1706.02677; torch's LinearLR with total_iters = over.

    >>> linear(0, 1, over="2 steps").bind(4).sample()
    array([0. , 0.5, 1. , 1. ])
    """
    return Ramp(start, end, Linear(), over=span_or_none("over", over))


@counterpart("LinearLR", multiplies=True)
def _linear(seen: Seen) -> Schedule:
    return linear(seen.scheduler.start_factor, seen.scheduler.end_factor, over=seen.steps("total_iters"))


def _squared_sine(part: Array) -> Array:
    """sin²(π/2 part), in place, as tan² / (1 + tan²): numpy's tan is several times faster than its sin."""
    part *= np.pi / 2
    np.tan(part, out=part)
    np.square(part, out=part)
    return np.divide(part, part + 1, out=part)


@final
@dataclass(frozen=True)
class Cosine(Shape):
    power: float = 1.0
    name = "cosine"

    def __post_init__(self) -> None:
        object.__setattr__(self, "power", checked_number("power", self.power, above=0))

    def between(self, start: float, end: float, at: Progress) -> Array:
        if self.power == 1:
            return weighted(start, end, lambda: _squared_sine(at.q), lambda: _squared_sine(at.p))
        return weighted(
            start,
            end,
            lambda: np.power(_squared_sine(at.q), self.power),
            lambda: -np.expm1(self.power * np.log1p(-_squared_sine(at.p))),
        )


@register(family="Ramps", example="cosine(1, 0)")
def cosine(start: float, end: float, *, power: float = 1, over: SpanLike | None = None) -> Schedule:
    """From start to end along half a cosine wave.

    Formula: end + (start - end) * ((1 + cos(pi * p)) / 2) ** power

    Args:
        start: value of the first update.
        end: value reached after `over`, and held: it does not climb again, as torch's does past T_max.
        power: above 0; more than 1 falls faster at first: optax's exponent.
        over: length; without it, the schedule stretches over all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: SGDR without restarts, Loshchilov & Hutter 2017, arXiv:1608.03983; torch's CosineAnnealingLR
    with T_max = over; optax's cosine_decay_schedule.

    >>> cosine(1, 0).bind(4)([0, 1, 2, 3, 4]).round(3)
    array([1.   , 0.854, 0.5  , 0.146, 0.   ])
    """
    return Ramp(start, end, Cosine(power), over=span_or_none("over", over))


@counterpart("CosineAnnealingLR")
def _cosine(seen: Seen) -> Schedule:
    steps, floor = seen.steps("T_max"), seen.share(seen.scheduler.eta_min)
    down = cosine(1, floor, over=steps)
    return down if steps >= seen.room else repeat(down >> cosine(floor, 1, over=steps))


@final
@dataclass(frozen=True)
class Exponential(Shape):
    name = "exponential"
    needs_positive = True

    def between(self, start: float, end: float, at: Progress) -> Array:
        values: Array = np.power(start, at.q) * np.power(end, at.p)
        return values


@register(family="Ramps", example="exponential(1, 0.01)")
def exponential(start: float, end: float, *, over: SpanLike | None = None) -> Schedule:
    """From start to end by the same ratio at each step.

    Formula: start * (end / start) ** p

    Args:
        start: value of the first update, above 0.
        end: value reached after `over`, above 0, and held.
        over: length; without it, the schedule stretches over all steps that are left.

    Raises:
        UsageError: an argument out of range; an exponential cannot reach 0.

    Source: torch's ExponentialLR(gamma) over T steps is `exponential(1, gamma ** T)`.

    >>> exponential(1, 0.01).bind(4).sample().round(4)
    array([1.    , 0.3162, 0.1   , 0.0316])
    """
    return Ramp(start, end, Exponential(), over=span_or_none("over", over))


@final
@dataclass(frozen=True)
class Polynomial(Shape):
    power: float
    name = "polynomial"

    def __post_init__(self) -> None:
        object.__setattr__(self, "power", checked_number("power", self.power, above=0))

    def between(self, start: float, end: float, at: Progress) -> Array:
        # 1 - q^k, precise for small p as well
        return weighted(start, end, lambda: np.power(at.q, self.power), lambda: -np.expm1(self.power * np.log1p(-at.p)))


@register(family="Ramps", example="polynomial(1, 0, power=2)")
def polynomial(start: float, end: float, *, power: float = 2, over: SpanLike | None = None) -> Schedule:
    """From start to end by a power of the part that is left.

    Formula: end + (start - end) * (1 - p) ** power

    Args:
        start: value of the first update.
        end: value reached after `over`, and held.
        power: above 0; 1 is linear, more falls faster at first.
        over: length; without it, the schedule stretches over all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: the "poly" policy, Chen et al. 2016, arXiv:1606.00915; torch's PolynomialLR with total_iters = over.

    >>> polynomial(1, 0, power=2).bind(4).sample()
    array([1.    , 0.5625, 0.25  , 0.0625])
    """
    return Ramp(start, end, Polynomial(power), over=span_or_none("over", over))


@counterpart("PolynomialLR", multiplies=True)
def _polynomial(seen: Seen) -> Schedule:
    return polynomial(1, 0, power=seen.scheduler.power, over=seen.steps("total_iters"))


@final
@dataclass(frozen=True)
class OneMinusSqrt(Shape):
    # a polynomial of power 1/2 is another thing, √(1 - p)
    name = "one_minus_sqrt"

    def between(self, start: float, end: float, at: Progress) -> Array:
        # 1 - √p = (1 - p) / (1 + √p)
        return weighted(start, end, lambda: at.q / (1 + np.sqrt(at.p)), lambda: np.sqrt(at.p))


@register(family="Ramps", example="one_minus_sqrt(1, 0)")
def one_minus_sqrt(start: float, end: float, *, over: SpanLike | None = None) -> Schedule:
    """From start to end, fast at first and slower and slower: the 1-sqrt cool-down.

    Formula: start + (end - start) * sqrt(p)

    Args:
        start: value of the first update.
        end: value reached after `over`, and held.
        over: length; without it, the schedule stretches over all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: Hägele et al. 2024, arXiv:2405.18392.

    >>> one_minus_sqrt(1, 0).bind(4).sample().round(3)
    array([1.   , 0.5  , 0.293, 0.134])
    """
    return Ramp(start, end, OneMinusSqrt(), over=span_or_none("over", over))


@final
@dataclass(frozen=True)
class OneMinusSquare(Shape):
    name = "one_minus_square"

    def between(self, start: float, end: float, at: Progress) -> Array:
        # 1 - p² = (1 - p) (1 + p)
        return weighted(start, end, lambda: at.q * (1 + at.p), lambda: np.square(at.p))


@register(family="Ramps", example="one_minus_square(1, 0)")
def one_minus_square(start: float, end: float, *, over: SpanLike | None = None) -> Schedule:
    """From start to end, slow at first and faster and faster: the 1-p² cool-down.

    Formula: start + (end - start) * p ** 2

    Args:
        start: value of the first update.
        end: value reached after `over`, and held.
        over: length; without it, the schedule stretches over all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: the "square" cool-down of Hägele et al. 2024, arXiv:2405.18392.

    >>> one_minus_square(1, 0).bind(4).sample()
    array([1.    , 0.9375, 0.75  , 0.4375])
    """
    return Ramp(start, end, OneMinusSquare(), over=span_or_none("over", over))


@final
@dataclass(frozen=True)
class Rex(Shape):
    beta: float
    name = "rex"

    def __post_init__(self) -> None:
        beta = checked_number("beta", self.beta)
        if not 0 <= beta < 1:
            raise BadArgument("beta", message("must be from 0 to below 1"), self.beta)
        object.__setattr__(self, "beta", beta)

    def between(self, start: float, end: float, at: Progress) -> Array:
        # 1 - βp is 1 - β + βq, which loses nothing where p nears 1
        mixed = 1 - self.beta + self.beta * at.q
        return weighted(start, end, lambda: at.q / mixed, lambda: (1 - self.beta) * at.p / mixed)


@register(family="Ramps", example="rex(1, 0)")
def rex(start: float, end: float, *, beta: float = 0.5, over: SpanLike | None = None) -> Schedule:
    """From start to end, slow at first and fast at last: the reflected exponential.

    Formula: end + (start - end) * (1 - p) / (1 - beta * p)

    Args:
        start: value of the first update.
        end: value reached after `over`, and held.
        beta: in [0, 1); 0 is a straight line, and the greater it is, the later and steeper the fall.
        over: length; without it, the schedule stretches over all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: REX, Chen, Wolfe & Kyrillidis 2021, arXiv:2107.04197, and pytorch_optimizer's REXScheduler, with
    beta = 1/2.

    >>> rex(1, 0).bind(4).sample().round(4)
    array([1.    , 0.8571, 0.6667, 0.4   ])
    """
    return Ramp(start, end, Rex(beta), over=span_or_none("over", over))


@final
@dataclass(frozen=True)
class Tanh(Shape):
    lower: float
    upper: float
    name = "tanh"
    meets_ends = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", checked_number("lower", self.lower))
        object.__setattr__(self, "upper", checked_number("upper", self.upper, above=self.lower))

    def between(self, start: float, end: float, at: Progress) -> Array:
        place = self.lower * at.q + self.upper * at.p
        # (1 - tanh x) / 2 = 1 / (1 + e^2x)
        return weighted(start, end, lambda: 1 / (1 + np.exp(2 * place)), lambda: 1 / (1 + np.exp(-2 * place)))


@register(family="Ramps", example="tanh(1, 0)")
def tanh(start: float, end: float, *, lower: float = -6, upper: float = 3, over: SpanLike | None = None) -> Schedule:
    """From start to end along a hyperbolic tangent.

    Formula: end + (start - end) * (1 - tanh(lower + (upper - lower) * p)) / 2

    It comes close to start and end without reaching them: with the defaults, to within 6e-6 and 0.0025 of the way.

    Args:
        start: value far to the left of the curve.
        end: value far to the right of the curve.
        lower: where on the tangent the first update is.
        upper: where on the tangent the end is, above `lower`.
        over: length; without it, the schedule stretches over all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: HTD, Hsueh, Li & Wu 2019, arXiv:1806.01593; timm's TanhLRScheduler has lower = -7.

    >>> tanh(1, 0).bind(4)([0, 1, 2, 3, 4]).round(4)
    array([1.    , 0.9994, 0.9526, 0.1824, 0.0025])
    """
    return Ramp(start, end, Tanh(lower, upper), over=span_or_none("over", over))


@counterpart("SWALR")
def _swa(seen: Seen) -> Schedule:
    share, steps = seen.share(seen.group["swa_lr"]), seen.scheduler.anneal_epochs
    ramp = cosine if seen.scheduler._anneal_strategy == "cos" else linear
    return ramp(1, share, over=steps) if steps else constant(share)
