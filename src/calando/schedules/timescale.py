"""Time scales: decays that know a pace and no end, e^(-t / s) or (1 + t / s)^-a, s being the `timescale` in steps."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np

from calando.schedules.checks import checked_number
from calando.schedules.known_schedules import register
from calando.schedules.named_ramps import exponential
from calando.schedules.primitive import Formula, Primitive
from calando.schedules.repeat import repeat
from calando.schedules.schedule import Array, Extent, Form, Level, Schedule
from calando.schedules.span import Horizon, Span, SpanLike, span_or_none

__all__ = [
    "Law",
    "TimeScale",
    "exponential_decay",
    "inverse_sqrt",
    "inverse_time",
    "natural_exponential",
    "power_decay",
]


@register(family="At a pace", example="exponential_decay(every='20%', factor=0.5)")
def exponential_decay(*, factor: float, every: SpanLike = 1) -> Schedule:
    """Multiplied by a factor over each interval, a little at each step, without an end.

    Formula: factor ** (t / every)

    `step(every=..., factor=...)` multiplies at once, at the end of each interval.

    Args:
        factor: what each interval multiplies by, above 0.
        every: the interval; one step unless given.

    Raises:
        UsageError: an argument out of range.

    Source: torch's ExponentialLR(gamma=factor); Keras' ExponentialDecay(decay_steps=every, decay_rate=factor), and
    `step` with staircase=True; optax's exponential_decay, whose end_value is `clip(..., low=end_value)`.

    >>> exponential_decay(factor=0.25, every=2).bind(4).sample()
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    return repeat(exponential(1, factor, over=Span.parse(every, name="every")), decay=factor)


@register(family="At a pace", example="natural_exponential(timescale='20%')")
def natural_exponential(*, timescale: SpanLike, over: SpanLike | None = None) -> Schedule:
    """Down by the same ratio at each step, without an end: 1/e after each `timescale`.

    Formula: exp(-t / timescale)

    Args:
        timescale: steps after which the value is 1 / e.
        over: length; without it, the schedule goes on for all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: TensorFlow 1's natural_exp_decay with timescale = decay_steps / decay_rate.

    >>> natural_exponential(timescale=2).bind(4).sample().round(4)
    array([1.    , 0.6065, 0.3679, 0.2231])
    """
    return TimeScale(NaturalExponential(), Span.parse(timescale, name="timescale"), over=span_or_none("over", over))


@register(family="At a pace", example="inverse_time(timescale='20%')")
def inverse_time(*, timescale: SpanLike, over: SpanLike | None = None) -> Schedule:
    """Down by the inverse of time.

    Formula: 1 / (1 + t / timescale)

    Args:
        timescale: steps after which the value is 1/2: Keras' decay_steps / decay_rate.
        over: length; without it, the schedule goes on for all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: Keras' InverseTimeDecay; in stairs, `staircase(inverse_time(...), every=decay_steps)`.

    >>> inverse_time(timescale=2).bind(7)([0, 2, 6])
    array([1.  , 0.5 , 0.25])
    """
    return power_decay(exponent=1, timescale=timescale, over=over)


@register(family="At a pace", example="inverse_sqrt(timescale='10%')")
def inverse_sqrt(*, timescale: SpanLike, over: SpanLike | None = None) -> Schedule:
    """Down by the inverse square root of time.

    Formula: (1 + t / timescale) ** -0.5

    Args:
        timescale: steps after which the value is 1 / sqrt(2); after a warmup of w steps, w.
        over: length; without it, the schedule goes on for all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: Vaswani et al. 2017, arXiv:1706.03762; transformers' get_inverse_sqrt_schedule(num_warmup_steps=w,
    timescale=s) is `linear(0, 1, over=w) >> inverse_sqrt(timescale=s)`.

    >>> inverse_sqrt(timescale=2).bind(7)([0, 6])
    array([1. , 0.5])
    """
    return power_decay(exponent=0.5, timescale=timescale, over=over)


@register(family="At a pace", example="power_decay(exponent=0.3, timescale=10)")
def power_decay(*, exponent: float, timescale: SpanLike = 1, over: SpanLike | None = None) -> Schedule:
    """Down by a power of time: t^-a, begun at 1.

    Formula: (1 + t / timescale) ** -exponent

    Args:
        exponent: a; below 0 the value grows.
        timescale: steps after which the value is 2 ** -a; with 1 the value of step t is (t + 1) ** -a.
        over: length; without it, the schedule goes on for all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: Robbins & Monro 1951; t^-a as in Defazio et al. 2023, arXiv:2310.07831.

    >>> power_decay(exponent=1).bind(4).sample().round(4)
    array([1.    , 0.5   , 0.3333, 0.25  ])
    """
    return TimeScale(PowerLaw(exponent), Span.parse(timescale, name="timescale"), over=span_or_none("over", over))


@dataclass(frozen=True)
class Law(Form):
    """How a value depends on time; its fields are numbers that the constructor of its name takes.

    Attributes:
        decays_within_one: most of the value is gone after one time scale, so less than an epoch is likely a slip.
    """

    decays_within_one: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, steps: Array, timescale: float) -> Array:
        """The values at `steps`, shape (n,)."""


@final
@dataclass(frozen=True)
class PowerLaw(Law):
    """(1 + t / s)^-a."""

    exponent: float
    name = "power_decay"

    def __post_init__(self) -> None:
        object.__setattr__(self, "exponent", checked_number("exponent", self.exponent))

    def __call__(self, steps: Array, timescale: float) -> Array:
        return np.power(1 + steps / timescale, -self.exponent)


@final
@dataclass(frozen=True)
class NaturalExponential(Law):
    """e^(-t / s)."""

    name = "natural_exponential"
    decays_within_one = True

    def __call__(self, steps: Array, timescale: float) -> Array:
        return np.exp(-steps / timescale)


@final
@dataclass(frozen=True, repr=False)
class TimeScale(Primitive):
    """A law of time at its pace."""

    law: Law
    timescale: Span
    extent_without_over = Extent.ENDLESS

    @property
    def called(self) -> str:  # type: ignore[override]
        return self.law.name

    def suspicion(self, argument: str, steps: float, horizon: Horizon) -> Level | None:
        return "warning" if self.law.decays_within_one else super().suspicion(argument, steps, horizon)

    def formula(self, horizon: Horizon, length: float) -> Formula:
        return partial(self.law, timescale=horizon.steps(self.timescale))
