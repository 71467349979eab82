"""Steps and places: values that drop at once, or that stand at given places.

Spans are counted from where the schedule begins, and shares are of the whole horizon: after a warmup of 5%,
a milestone at 50% is at 55% of the run. To count from the start of the run, multiply instead of chaining:
`linear(0, 1, over='5%') * multistep(at=['50%'], factor=0.1)`. Of values, the first stands at step 0 and each further
one at its place in `at`; after the last place the last value holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray

from calando.language import message
from calando.schedules.checks import BadArgument, checked_choice, checked_number
from calando.schedules.compose import constant
from calando.schedules.known_schedules import Seen, counterpart, product, register
from calando.schedules.named_ramps import Cosine, Linear
from calando.schedules.primitive import Formula, Primitive, checked_spans, increasing
from calando.schedules.ramp import BoundRamp, Shape
from calando.schedules.schedule import SEAM, Array, Extent, Level, Schedule
from calando.schedules.span import Horizon, Span, SpanLike, span_or_none

__all__ = ["Knots", "MultiStep", "Piecewise", "Step", "knots", "multistep", "piecewise", "step"]

DEAD = 1e-3  # a rate below this share of what it was trains nothing


@register(family="Steps and places", example="step(every='30%', factor=0.5)")
def step(*, every: SpanLike, factor: float, over: SpanLike | None = None) -> Schedule:
    """Multiplied by a factor at regular intervals.

    Formula: factor ** floor(t / every)

    Args:
        every: the interval, counted from where this schedule begins.
        factor: what the value is multiplied by each time, above 0.
        over: length; without it, the schedule goes on for all steps that are left.

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
    """Times `factor` after each `every`; write `step(every=..., factor=...)`."""

    every: Span
    factor: float
    called = "step"
    extent_without_over = Extent.ENDLESS

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", checked_number("factor", self.factor, above=0))

    def suspicion(self, argument: str, steps: float, horizon: Horizon) -> Level | None:
        if argument == "every":
            # Dropping a little each few updates is a decay like any other, unless nothing is left of the rate.
            falls = horizon.total_steps / steps
            return "warning" if self.factor < 1 and self.factor**falls < DEAD else None
        return super().suspicion(argument, steps, horizon)

    def formula(self, horizon: Horizon, length: float) -> Formula:
        every = horizon.steps(self.every)
        return lambda steps: np.power(self.factor, np.floor((steps + SEAM) / every))

    def missed(self, horizon: Horizon, length: float) -> tuple[float, ...]:
        every = horizon.steps(self.every)
        return (every,) if every >= length else ()


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
        factor: what the value is multiplied by each time, above 0.
        over: length; without it, the schedule goes on for all steps that are left.

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
    """Times `factor` at each milestone in `at`; write `multistep(at=..., factor=...)`."""

    at: tuple[Span, ...]
    factor: float
    called = "multistep"
    extent_without_over = Extent.ENDLESS

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", checked_number("factor", self.factor, above=0))

    def formula(self, horizon: Horizon, length: float) -> Formula:
        milestones = np.array(increasing(self.at, horizon))
        return lambda steps: np.power(self.factor, _reached(milestones, steps).astype(np.float64))

    def missed(self, horizon: Horizon, length: float) -> tuple[float, ...]:
        return tuple(milestone for milestone in increasing(self.at, horizon) if milestone >= length)


def _reached(places: Array, steps: Array) -> NDArray[np.intp]:
    """How many of the increasing places are reached at each step, shape (n,)."""
    return np.searchsorted(places, steps + SEAM, side="right")


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
        over: length; without it, the schedule goes on for all steps that are left.

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
        over: length; without it, the schedule goes on for all steps that are left.

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
        raise BadArgument("values", message("must be a list of numbers such as [1, 0.1]"), values)
    return tuple(checked_number("values", value) for value in values)


@dataclass(frozen=True, repr=False)
class Placed(Primitive):
    """Values and their places, one fewer."""

    values: tuple[float, ...]
    at: tuple[Span, ...]
    extent_without_over = Extent.ENDLESS

    def __post_init__(self) -> None:
        if len(self.values) != len(self.at) + 1:
            problem = message("must be one more than the {count} places in at=", count=len(self.at))
            raise BadArgument("values", problem, self.values, hint=message("; the first stands at step 0"))


@final
@dataclass(frozen=True, repr=False)
class Piecewise(Placed):
    """Values held; write `piecewise(values=..., at=...)`."""

    called = "piecewise"

    def formula(self, horizon: Horizon, length: float) -> Formula:
        values, places = np.array(self.values), np.array(increasing(self.at, horizon))
        return lambda steps: values[_reached(places, steps)]

    def missed(self, horizon: Horizon, length: float) -> tuple[float, ...]:
        return tuple(place for place in increasing(self.at, horizon) if place >= length)


@final
@dataclass(frozen=True, repr=False)
class Knots(Placed):
    """Values joined; write `knots(values=..., at=...)`."""

    shape: Shape
    called = "knots"

    def formula(self, horizon: Horizon, length: float) -> Formula:
        places = np.array(increasing(self.at, horizon))
        starts = np.array([0.0, *places[:-1]])
        pieces = [
            BoundRamp(start, end, self.shape, float(till - since))
            for (start, end), since, till in zip(pairwise(self.values), starts, places, strict=True)
        ]

        def joined(steps: Array) -> Array:
            which = np.minimum(np.searchsorted(places, steps, side="right"), len(pieces) - 1)
            values = np.empty_like(steps)
            for index in np.unique(which):
                here = which == index
                values[here] = pieces[index](steps[here] - starts[index])
            return values

        return joined

    def missed(self, horizon: Horizon, length: float) -> tuple[float, ...]:
        return tuple(place for place in increasing(self.at, horizon) if place > length + SEAM)
