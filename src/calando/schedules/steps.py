"""Steps and places: values that drop at once, or that stand at given places.

    Step         v(t) = factor ^ floor(t / every)
    MultiStep    v(t) = factor ^ (number of milestones reached by t)
    Piecewise    v(t) = values[number of places <= t]
    Knots        v(t) = from values[i] to values[i + 1] along a shape, between places i and i + 1

Spans are counted from where the schedule begins, and shares are of the whole horizon: after a warmup of 5%,
a milestone at 50% is at 55% of the run. To count from the start of the run, multiply instead of chaining:
`linear(0, 1, over='5%') * multistep(at=['50%'], factor=0.1)`. Of values, the first stands at step 0 and each further
one at its place in `at`; after the last place the last value holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, final

import numpy as np

from calando.schedules.checks import BadArgument, checked_choice, checked_number, spell_number
from calando.schedules.compose import constant
from calando.schedules.known_schedules import Seen, counterpart, product, register
from calando.schedules.named_ramps import Cosine, Linear
from calando.schedules.primitive import Primitive, checked_spans, increasing, spell_call, spell_list
from calando.schedules.ramp_base import BoundRamp, Shape
from calando.schedules.schedule import SEAM, Array, Bound, Extent, Level, Schedule
from calando.schedules.span import Horizon, Span, SpanLike, span_or_none

__all__ = ["Knots", "MultiStep", "Piecewise", "Step", "knots", "multistep", "piecewise", "step"]

DEAD = 1e-3  # a rate below this share of what it was trains nothing


@register(family="Steps and places", example="step(every='30%', factor=0.5)")
def step(*, every: SpanLike, factor: float, over: SpanLike | None = None) -> Schedule:
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
    return Step(Span.parse(every, name="every"), factor, over=span_or_none("over", over))


@final
@dataclass(frozen=True, repr=False)
class Step(Primitive):
    """Times `factor` after each `every`.

    >>> Step(Span.parse("50%"), 0.1).bind(4).sample()
    array([1. , 1. , 0.1, 0.1])
    """

    every: Span
    factor: float
    extent_without_over: ClassVar[Extent] = Extent.ENDLESS

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", checked_number("factor", self.factor, above=0))

    def suspicion(self, argument: str, steps: float, horizon: Horizon) -> Level | None:
        if argument == "every":
            # Dropping a little each few updates is a decay like any other, unless nothing is left of the rate.
            falls = horizon.total_steps / steps
            return "warning" if self.factor < 1 and self.factor**falls < DEAD else None
        return super().suspicion(argument, steps, horizon)

    def place(self, horizon: Horizon, room: float) -> Bound:
        return BoundStep(horizon.steps(self.every), self.factor, self.room_taken(horizon, room))

    def __str__(self) -> str:
        return spell_call("step", over=self.over, every=f"'{self.every}'", factor=spell_number(self.factor))


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundStep(Bound):
    """Times `factor` after each `every` steps, for `length` steps."""

    every: float
    factor: float
    length: float

    def __call__(self, steps: Array) -> Array:
        taken = np.floor((np.minimum(steps, self.length) + SEAM) / self.every)
        return np.power(self.factor, taken)

    def unreached(self) -> tuple[float, ...]:
        return (self.every,) if self.every >= self.length else ()


@counterpart("ExponentialLR", multiplies=True)
def _exponential(seen: Seen) -> Schedule:
    return step(every=1, factor=seen.scheduler.gamma)


@counterpart("StepLR", multiplies=True)
def _step(seen: Seen) -> Schedule:
    return step(every=seen.steps("step_size"), factor=seen.scheduler.gamma)


@register(family="Steps and places", example="multistep(at=['50%', '75%'], factor=0.3)")
def multistep(*, at: Iterable[SpanLike], factor: float, over: SpanLike | None = None) -> Schedule:
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
    return MultiStep(checked_spans(at), factor, over=span_or_none("over", over))


@final
@dataclass(frozen=True, repr=False)
class MultiStep(Primitive):
    """Times `factor` at each milestone in `at`.

    >>> MultiStep((Span.parse("50%"), Span.parse("75%")), 0.1).bind(4).sample()
    array([1.  , 1.  , 0.1 , 0.01])
    """

    at: tuple[Span, ...]
    factor: float
    extent_without_over: ClassVar[Extent] = Extent.ENDLESS

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", checked_number("factor", self.factor, above=0))

    def place(self, horizon: Horizon, room: float) -> Bound:
        milestones = increasing(self.at, horizon)
        return BoundMultiStep(milestones, self.factor, self.room_taken(horizon, room))

    def __str__(self) -> str:
        return spell_call("multistep", over=self.over, at=spell_list(self.at), factor=spell_number(self.factor))


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundMultiStep(Bound):
    """Times `factor` at each of the increasing `milestones`, for `length` steps."""

    milestones: tuple[float, ...]
    factor: float
    length: float

    def __call__(self, steps: Array) -> Array:
        reached = np.searchsorted(np.array(self.milestones), np.minimum(steps, self.length) + SEAM, side="right")
        return np.power(self.factor, reached.astype(np.float64))

    def unreached(self) -> tuple[float, ...]:
        return tuple(milestone for milestone in self.milestones if milestone >= self.length)


@counterpart("MultiStepLR", multiplies=True)
def _multistep(seen: Seen) -> Schedule:
    times: Mapping[int, int] = seen.scheduler.milestones  # how often each is listed, and hence applied
    gamma, most = seen.scheduler.gamma, max(times.values(), default=0)
    at_once = [constant(gamma ** times[0])] if times.get(0) else []
    listed = [sorted(at for at in times if at != 0 and times[at] > least) for least in range(most)]
    drops = [multistep(at=places, factor=gamma) for places in listed if places]
    return product([*at_once, *drops]) if at_once or drops else constant(1)


@register(family="Steps and places", example="piecewise(values=[0.2, 1, 0.5, 0.1], at=['10%', '50%', '80%'])")
def piecewise(*, values: Iterable[float], at: Iterable[SpanLike], over: SpanLike | None = None) -> Schedule:
    """Values held, each until the place of the next.

    Formula: values[number of places in at that are <= t]

    Args:
        values: one more than places; the first holds from step 0.
        at: the places, increasing, counted from where this schedule begins.
        over: how long; without it, as long as there are steps left.

    Raises:
        UsageError: an argument out of range, or not one value more than places; when bound, places that do not
            increase.

    Source: Keras' PiecewiseConstantDecay, whose boundaries come one step later (it asks t <= boundary); optax's
    piecewise_constant_schedule.

    >>> piecewise(values=[1, 0.5, 0.1], at=["50%", "75%"]).bind(4).sample()
    array([1. , 1. , 0.5, 0.1])
    """
    return Piecewise(_values(values), checked_spans(at), over=span_or_none("over", over))


SHAPES: Mapping[str, Shape] = {"cosine": Cosine(), "linear": Linear()}


@register(family="Steps and places", example="knots(values=[0.2, 1, 0.3, 0], at=['20%', '60%', '100%'])")
def knots(
    *, values: Iterable[float], at: Iterable[SpanLike], shape: str = "linear", over: SpanLike | None = None
) -> Schedule:
    """Values joined by lines, or by half cosine waves.

    Formula: values[i] + (values[i + 1] - values[i]) * shape((t - at[i]) / (at[i + 1] - at[i]))

    Args:
        values: one more than places; the first stands at step 0.
        at: the places of the others, increasing, counted from where this schedule begins.
        shape: "linear" or "cosine".
        over: how long; without it, as long as there are steps left.

    Raises:
        UsageError: an argument out of range, or not one value more than places; when bound, places that do not
            increase.

    Source: optax's piecewise_interpolate_schedule; Ignite's PiecewiseLinear; numpy.interp, as airbench uses it.

    >>> knots(values=[0, 1, 0], at=["50%", "100%"]).bind(4).sample()
    array([0. , 0.5, 1. , 0.5])
    """
    chosen = checked_choice("shape", shape, SHAPES)
    return Knots(_values(values), checked_spans(at), SHAPES[chosen], over=span_or_none("over", over))


def _values(values: Iterable[float]) -> tuple[float, ...]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise BadArgument("values", "must be a list of numbers such as [1, 0.1]", values)
    return tuple(checked_number("values", value) for value in values)


@dataclass(frozen=True, repr=False)
class Placed(Primitive):
    """Values and their places, one fewer."""

    values: tuple[float, ...]
    at: tuple[Span, ...]
    extent_without_over: ClassVar[Extent] = Extent.ENDLESS

    def __post_init__(self) -> None:
        if len(self.values) != len(self.at) + 1:
            problem = f"must be one more than the {len(self.at)} places in at="
            raise BadArgument("values", problem, self.values, hint="; the first stands at step 0")

    def _spelled_values(self) -> str:
        return f"[{', '.join(map(spell_number, self.values))}]"


@final
@dataclass(frozen=True, repr=False)
class Piecewise(Placed):
    """Values held; write `piecewise(values=..., at=...)`."""

    def place(self, horizon: Horizon, room: float) -> Bound:
        return BoundPiecewise(self.values, increasing(self.at, horizon), self.room_taken(horizon, room))

    def __str__(self) -> str:
        return spell_call("piecewise", over=self.over, values=self._spelled_values(), at=spell_list(self.at))


@final
@dataclass(frozen=True, repr=False)
class Knots(Placed):
    """Values joined; write `knots(values=..., at=...)`."""

    shape: Shape

    def place(self, horizon: Horizon, room: float) -> Bound:
        places = increasing(self.at, horizon)
        starts = (0.0, *places[:-1])
        pieces = tuple(
            BoundRamp(start, end, self.shape, till - since)
            for (start, end), since, till in zip(pairwise(self.values), starts, places, strict=True)
        )
        return BoundKnots(pieces, places, self.room_taken(horizon, room))

    def __str__(self) -> str:
        values, at = self._spelled_values(), spell_list(self.at)
        return spell_call("knots", over=self.over, values=values, at=at, shape=f"'{self.shape.name}'")


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundPiecewise(Bound):
    """`values` from each of `places` on, for `length` steps."""

    values: tuple[float, ...]
    places: tuple[float, ...]
    length: float

    def __call__(self, steps: Array) -> Array:
        which = np.searchsorted(np.array(self.places), np.minimum(steps, self.length) + SEAM, side="right")
        values: Array = np.array(self.values)[which]
        return values

    def unreached(self) -> tuple[float, ...]:
        return tuple(place for place in self.places if place >= self.length)


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundKnots(Bound):
    """One ramp up to each of `places`, for `length` steps."""

    pieces: tuple[BoundRamp, ...]
    places: tuple[float, ...]
    length: float

    def __call__(self, steps: Array) -> Array:
        steps = np.minimum(steps, self.length)
        which = np.minimum(np.searchsorted(np.array(self.places), steps, side="right"), len(self.pieces) - 1)
        values = np.empty_like(steps)
        for index in np.unique(which):
            here = which == index
            values[here] = self.pieces[index](steps[here] - (self.places[index - 1] if index else 0.0))
        return values

    def unreached(self) -> tuple[float, ...]:
        return tuple(place for place in self.places if place > self.length + SEAM)
