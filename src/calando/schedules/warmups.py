"""Warmups: up to the full rate, over a length that is chosen or that follows from Adam's beta2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np

from calando.language import message
from calando.schedules.checks import BadArgument, checked_choice, checked_number
from calando.schedules.compose import constant
from calando.schedules.known_schedules import register
from calando.schedules.named_ramps import cosine, exponential, linear, polynomial
from calando.schedules.primitive import Formula, Primitive
from calando.schedules.schedule import Array, Extent, Schedule
from calando.schedules.span import Horizon, Span, SpanLike, span_or_none
from calando.schedules.timescale import Law, TimeScale

__all__ = ["RAdamWarmup", "radam_warmup", "saturating", "untuned_exponential_warmup", "untuned_linear_warmup", "warmup"]


# each plays the cool-down of its name backwards
_RISES: Mapping[str, Callable[..., Schedule]] = {
    "constant": lambda start, _, *, over: constant(start, over=over),
    "cosine": cosine,
    "exponential": exponential,
    "linear": linear,
    "one_minus_sqrt": partial(polynomial, power=0.5),
    "one_minus_square": partial(polynomial, power=2),
}


@register(family="Warmups", example="warmup('20%', shape='cosine')")
def warmup(over: SpanLike, *, start: float = 0, shape: str = "linear") -> Schedule:
    """Up to the full rate; what follows goes behind a `>>`.

    Formula: shape(start, 1, over=over)

    Shapes: "linear"; "constant" holds the start; "cosine"; "exponential" (start above 0); "one_minus_sqrt" goes as
    1 - √(1 - p) and "one_minus_square" as 1 - (1 - p)². Each is the cool-down of that name played backwards.

    Args:
        over: how long it is; the first update after it has the full rate.
        start: value of the first update.
        shape: shape of the rise.

    Raises:
        UsageError: an argument out of range; an unknown shape.

    Source: Goyal et al. 2017, arXiv:1706.02677; the warmups of transformers' get_wsd_schedule. Where the first update
    is to have 1/w and update w - 1 the full rate, as in pytorch_warmup's LinearWarmup(warmup_period=w), write
    `warmup(w - 1, start=1 / w)`.

    >>> from calando.schedules import cosine
    >>> warmup("5%") >> cosine(1, 0)
    linear(0, 1, over='5%') >> cosine(1, 0)
    """
    rise = _RISES[checked_choice("shape", shape, _RISES)]
    return rise(start, 1, over=Span.parse(over, name="over"))


@register(family="Warmups", example="untuned_linear_warmup(beta2=0.99)")
def untuned_linear_warmup(*, beta2: float = 0.999) -> Schedule:
    """Up in a line whose length follows from Adam's beta2.

    Formula: min((t + 1) / w, 1), w = floor(2 / (1 - beta2))

    Args:
        beta2: Adam's beta2, from 0 to 0.999999.

    Raises:
        UsageError: an argument out of range.

    Source: Ma & Yarats 2019, arXiv:1910.04209; pytorch_warmup's UntunedLinearWarmup, whose w is computed in floats
    and is 1999 for 0.999; so is this one's.

    >>> untuned_linear_warmup(beta2=0.95)
    linear(0.02564102564102564, 1, over='38 steps')
    """
    period = int(2 / (1 - _checked_beta2(beta2)))
    return linear(1 / period, 1, over=period - 1)


@register(family="Warmups", example="untuned_exponential_warmup(beta2=0.99)")
def untuned_exponential_warmup(*, beta2: float = 0.999) -> Schedule:
    """Up towards 1, fast at first, at a pace that follows from Adam's beta2.

    Formula: 1 - exp(-(t + 1) / w), w = floor(1 / (1 - beta2))

    Args:
        beta2: Adam's beta2, from 0 to 0.999999.

    Raises:
        UsageError: an argument out of range.

    Source: Ma & Yarats 2019, arXiv:1910.04209; pytorch_warmup's UntunedExponentialWarmup, whose w is computed in
    floats; so is this one's.

    >>> untuned_exponential_warmup(beta2=0.75)
    saturating(timescale='4 steps')
    """
    return saturating(timescale=int(1 / (1 - _checked_beta2(beta2))))


def _checked_beta2(value: float) -> float:
    beta2 = checked_number("beta2", value)
    if not 0 <= beta2 <= 0.999999:
        raise BadArgument("beta2", message("must be from 0 to 0.999999"), value)
    return beta2


@register(family="Warmups", example="radam_warmup(beta2=0.99)")
def radam_warmup(*, beta2: float = 0.999, over: SpanLike | None = None) -> Schedule:
    """Up towards 1 as RAdam's rectification does.

    Formula: sqrt((r - 4) * (r - 2) * R / ((R - 4) * (R - 2) * r))

    with R = 2 / (1 - beta2) - 1 and r = R - 2 * n * beta2 ** n / (1 - beta2 ** n), and n counted from the first
    number at which r > 4.

    Args:
        beta2: Adam's beta2, above 0.6 and below 1.
        over: length; without it, the schedule goes on for all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: Liu et al. 2020, arXiv:1908.03265; pytorch_warmup's RAdamWarmup.

    >>> radam_warmup(beta2=0.999).bind(2000)([0, 100, 1999]).round(4)
    array([0.0173, 0.2209, 0.8289])
    """
    return RAdamWarmup(beta2, over=span_or_none("over", over))


@final
@dataclass(frozen=True, repr=False)
class RAdamWarmup(Primitive):
    """RAdam's rectification."""

    beta2: float
    called = "radam_warmup"
    extent_without_over = Extent.ENDLESS

    def __post_init__(self) -> None:
        beta2 = checked_number("beta2", self.beta2, above=0.6)
        # closer to 1 the steps before it is defined would take long to count
        if beta2 > 0.9999999:
            raise BadArgument("beta2", message("must be above 0.6 and at most 0.9999999"), self.beta2)
        object.__setattr__(self, "beta2", beta2)

    def formula(self, horizon: Horizon, length: float) -> Formula:
        most, first = 2 / (1 - self.beta2) - 1, _first_rectified(self.beta2)

        def rectified(steps: Array) -> Array:
            rho = _rho(steps + first, self.beta2)
            return np.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))

        return rectified


def _rho(n: Array, beta2: float) -> Array:
    """The length of the simple moving average that Adam's second moment stands for after `n` updates."""
    power = np.power(beta2, n)
    rho: Array = 2 / (1 - beta2) - 1 - 2 * n * power / (1 - power)
    return rho


def _first_rectified(beta2: float) -> int:
    return 1 + int(np.argmax(_rho(np.arange(1.0, 100.0), beta2) > 4))


@register(family="Warmups", example="saturating(timescale='10%')")
def saturating(*, timescale: SpanLike, over: SpanLike | None = None) -> Schedule:
    """Up towards 1, fast at first: exponential warmup.

    Formula: 1 - exp(-(t + 1) / timescale)

    Args:
        timescale: steps after which all but 1 / e of the way is done.
        over: length; without it, the schedule goes on for all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: Ma & Yarats 2019, arXiv:1910.04209; pytorch_warmup's ExponentialWarmup(warmup_period=timescale).

    >>> saturating(timescale=2).bind(4).sample().round(4)
    array([0.3935, 0.6321, 0.7769, 0.8647])
    """
    return TimeScale(Saturating(), Span.parse(timescale, name="timescale"), over=span_or_none("over", over))


@final
@dataclass(frozen=True)
class Saturating(Law):
    """1 - e^(-(t + 1) / s)."""

    name = "saturating"

    def __call__(self, steps: Array, timescale: float) -> Array:
        return -np.expm1(-(steps + 1) / timescale)
