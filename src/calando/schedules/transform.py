"""What changes one schedule: its progress, its steps, its values.

Warp(a, power=k)      (t) = a(L * (t / L)^k)                L: the steps that a takes
Staircase(a, every=e) (t) = a(e * floor(t / e))
Clip(a, low, high)    (t) = min(max(a(t), low), high)
Cut(a, over=c, skip=s)(t) = a(s + t) for t < c, and no longer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np

from calando.errors import UsageError
from calando.language import message
from calando.schedules.checks import BadArgument, checked_number, spell_number
from calando.schedules.known_schedules import register
from calando.schedules.primitive import BoundAt, as_part
from calando.schedules.schedule import (
    SEAM,
    Array,
    Bound,
    DoesNotFit,
    Extent,
    Schedule,
    check_limits,
    quote_schedule,
    too_long,
)
from calando.schedules.span import Horizon, Span, SpanLike, span_or_none

__all__ = ["Clip", "Cut", "Staircase", "Transformed", "Warp", "clip", "cut", "staircase", "warp"]


@register(family="What changes a schedule", example="warp(cosine(1, 0), power=3)")
def warp(part: Schedule | float, *, power: float) -> Schedule:
    """A schedule whose progress is raised to a power: above 1 it stays longer near its start.

    Formula: part at progress p ** power

    Args:
        part: what is warped.
        power: exponent of the progress, above 0.

    Raises:
        UsageError: an argument out of range.

    Source: k-decay, Zhang & Li 2020, arXiv:2004.05909.

    >>> from calando.schedules import linear
    >>> warp(linear(1, 0), power=2).bind(4).sample()
    array([1.    , 0.9375, 0.75  , 0.4375])
    """
    return Warp(as_part(part), power)


@register(family="What changes a schedule", example="staircase(exponential(1, 0.01), every='1 epoch')")
def staircase(part: Schedule | float, *, every: SpanLike) -> Schedule:
    """A schedule that changes only at regular intervals, such as once an epoch.

    Formula: part at step every * floor(t / every)

    Args:
        part: what is held between the intervals.
        every: the interval, counted from where the part begins.

    Raises:
        UsageError: an argument out of range.

    Source: `staircase=True` of TensorFlow's and optax's decays; any torch scheduler that is stepped once an epoch.

    >>> from calando.schedules import linear
    >>> staircase(linear(1, 0), every=2).bind(4).sample()
    array([1. , 1. , 0.5, 0.5])
    """
    return Staircase(as_part(part), Span.parse(every, name="every"))


@register(family="What changes a schedule", example="clip(exponential(1, 0.01), low=0.1, high=0.8)")
def clip(part: Schedule | float, *, low: float | None = None, high: float | None = None) -> Schedule:
    """A schedule kept between two values.

    Formula: min(max(part, low), high)

    Args:
        part: what is clipped.
        low: no value is below it.
        high: no value is above it.

    Raises:
        UsageError: an argument out of range; neither bound, or the low one above the high one.

    Source: `end_value` of optax's exponential_decay.

    >>> from calando.schedules import linear
    >>> clip(linear(1, 0), low=0.4).bind(4).sample()
    array([1.  , 0.75, 0.5 , 0.4 ])
    """
    return Clip(as_part(part), low, high)


@register(family="What changes a schedule", example="cut(cosine(1, 0, over='100%'), over='60%') >> constant(0.1)")
def cut(part: Schedule | float, *, over: SpanLike | None = None, skip: SpanLike | None = None) -> Schedule:
    """Some steps of a schedule that begins before or would go on for longer.

    Formula: part at step skip + t, for t < over

    Args:
        part: what is cut; it must have a length, or be endless.
        over: how much of it is kept; without it, all that follows `skip`.
        skip: how much of its beginning is left out.

    Raises:
        UsageError: an argument out of range; neither `over` nor `skip`; a part that stretches over what is left;
            when bound, more skipped than there is.

    Source: a scheduler that torch's SequentialLR leaves at a milestone before its end; the cosine of timm and
    torchtitan, whose steps go on counting from the warmup.

    >>> from calando.schedules import constant, linear
    >>> (cut(linear(1, 0, over=4), over=2) >> constant(0.1)).bind(4).sample()
    array([1.  , 0.75, 0.1 , 0.1 ])
    >>> (linear(0, 1, over=2) >> cut(linear(1, 0, over=4), skip=2)).bind(4).sample()
    array([0.  , 0.5 , 0.5 , 0.25])
    """
    return Cut(as_part(part), span_or_none("over", over), span_or_none("skip", skip))


@dataclass(frozen=True, repr=False)
class Transformed(Schedule):
    """A schedule made of one other, which decides how it takes up steps."""

    part: Schedule
    by_place = 1

    @property
    def extent(self) -> Extent:
        return self.part.extent

    @property
    def parts(self) -> tuple[Schedule, ...]:
        return (self.part,)

    def rebuilt(self, parts: Sequence[Schedule]) -> Self:
        return replace(self, part=parts[0])

    def length(self, horizon: Horizon) -> float:
        return self.part.length(horizon)


@final
@dataclass(frozen=True, repr=False)
class Warp(Transformed):
    """`part` at a power of its progress; write `warp(part, power=...)`."""

    power: float
    called = "warp"

    def __post_init__(self) -> None:
        object.__setattr__(self, "power", checked_number("power", self.power, above=0))
        check_limits(self)

    def place(self, horizon: Horizon, room: float) -> Bound:
        length, part = self.length(horizon) if self.extent is Extent.FIXED else room, self.part.place(horizon, room)
        return BoundAt(
            part,
            lambda steps: length * np.power(np.minimum(steps, length) / length, self.power),
            lambda: tuple(length * (seam / length) ** (1 / self.power) for seam in part.seams()),
            part.unreached,
        )


@final
@dataclass(frozen=True, repr=False)
class Staircase(Transformed):
    """`part` held between multiples of `every`; write `staircase(part, every=...)`."""

    every: Span
    called = "staircase"

    def __post_init__(self) -> None:
        check_limits(self)

    def place(self, horizon: Horizon, room: float) -> Bound:
        part, every = self.part.place(horizon, room), horizon.steps(self.every)
        return BoundAt(part, lambda steps: np.floor((steps + SEAM) / every) * every, part.seams, part.unreached)


@final
@dataclass(frozen=True, repr=False)
class Clip(Transformed):
    """`part` between two values; write `clip(part, low=..., high=...)`."""

    low: float | None = None
    high: float | None = None
    called = "clip"

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, checked_number(name, value))
        if self.low is None and self.high is None:
            raise UsageError(message("clip needs low= or high=, or both"))
        if self.low is not None and self.high is not None and self.low > self.high:
            raise BadArgument("low", message("must be at most high={high}", high=spell_number(self.high)), self.low)
        check_limits(self)

    def with_floor_raised(self, by: float) -> Schedule | None:
        # a floor of zero or less is a guard and may be idle
        if self.low is None or self.low <= 0 or (self.high is not None and self.low + by > self.high):
            return None
        return replace(self, low=self.low + by)

    def place(self, horizon: Horizon, room: float) -> Bound:
        return BoundClip(self.part.place(horizon, room), self.low, self.high)


@final
@dataclass(frozen=True, repr=False)
class Cut(Transformed):
    """`over` of `part` after its first `skip`; write `cut(part, over=...)`."""

    over: Span | None = None
    skip: Span | None = None
    called = "cut"

    def __post_init__(self) -> None:
        if self.over is None and self.skip is None:
            raise UsageError(message("cut needs over= or skip=, or both"))
        if self.part.extent is Extent.STRETCHED:
            raise UsageError(
                message(
                    "cut needs a part that says how long it is, and {part} takes what it is given; give it a "
                    "length of its own",
                    part=quote_schedule(self.part),
                )
            )
        check_limits(self)

    @property
    def extent(self) -> Extent:
        return self.part.extent if self.over is None else Extent.FIXED

    def length(self, horizon: Horizon) -> float:
        if self.over is not None:
            return horizon.steps(self.over)
        left = self.part.length(horizon) - self._skipped(horizon)
        if left <= SEAM:
            raise DoesNotFit(
                message("{schedule} skips all of its part", schedule=quote_schedule(self)), message("skip less")
            )
        return left

    def place(self, horizon: Horizon, room: float) -> Bound:
        wanted = self.length(horizon) if self.extent is Extent.FIXED else room
        if wanted > room + SEAM:
            raise too_long(self, wanted, room, remedy=message("shorten its over= or train longer"))
        skipped = self._skipped(horizon)
        whole = skipped + wanted
        if self.part.extent is Extent.FIXED:
            whole = max(whole, self.part.length(horizon))
        part = self.part.place(horizon, whole)
        return BoundAt(
            part,
            lambda steps: skipped + np.minimum(steps, wanted),
            lambda: tuple(seam - skipped for seam in part.seams() if 0 < seam - skipped < wanted),
            tuple,
        )

    def _skipped(self, horizon: Horizon) -> float:
        return 0.0 if self.skip is None else horizon.steps(self.skip)


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundClip(Bound):
    """`part` between `low` and `high`."""

    part: Bound
    low: float | None
    high: float | None

    def __call__(self, steps: Array) -> Array:
        return np.clip(self.part(steps), self.low, self.high)

    def seams(self) -> tuple[float, ...]:
        return self.part.seams()

    def unreached(self) -> tuple[float, ...]:
        return self.part.unreached()
