"""Hyperbolas: a decay whose first steps do not depend on how long the run is.

    f(t) = sqrt((N - t) / U * (2 - (N + t) / U))

N is the schedule's own length, U the longest that it is ever to have, `bound`: the nearer N comes to U, the nearer
the end comes to the infimum. At N = U they are a straight line and an exponential decay.

f(t) - f(0) loses digits where f(t) nears 0 and f(0) nears 1; 1 - f(0) = (1 - N/U)² / (1 + f(0)) does not.

Source: Kim 2024, arXiv:2407.15200.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from calando.language import message
from calando.schedules.checks import BadArgument, checked_number
from calando.schedules.known_schedules import register
from calando.schedules.primitive import Formula, Primitive
from calando.schedules.schedule import SEAM, Array, DoesNotFit, Extent, Schedule, quote_schedule
from calando.schedules.span import Horizon, Span, SpanLike, span_or_none, spell_steps

__all__ = ["ExponentialHyperbola", "Hyperbola", "exponential_hyperbolic", "hyperbolic"]


@register(family="Ramps", example="hyperbolic(1, 0.01, bound=1200)")
def hyperbolic(start: float, infimum: float, *, bound: SpanLike, over: SpanLike | None = None) -> Schedule:
    """Down along a hyperbola, whose first steps depend little on how long the run is.

    Formula: start + (start - infimum) * (f(t) - f(0)), f(t) = sqrt((N - t) / bound * (2 - (N + t) / bound))

    N is the schedule's own length: `over` where it is given, else all that is left.

    Args:
        start: value of the first update.
        infimum: value at the end of a run as long as `bound`, below start; a shorter run ends above it.
        bound: the longest run that is planned; at least N.
        over: length; without it, the schedule stretches over all steps that are left.

    Raises:
        UsageError: an argument out of range; when bound to a horizon, a `bound` shorter than the schedule.

    Source: HyperbolicLR(max_iter=N, upper_bound=bound), Kim 2024, arXiv:2407.15200.

    >>> hyperbolic(1, 0, bound=1000).bind(500)([0, 250, 500]).round(3)
    array([1.   , 0.693, 0.134])
    """
    return Hyperbola(start, infimum, Span.parse(bound, name="bound"), over=span_or_none("over", over))


@register(family="Ramps", example="exponential_hyperbolic(1, 0.01, bound=1200)")
def exponential_hyperbolic(start: float, infimum: float, *, bound: SpanLike, over: SpanLike | None = None) -> Schedule:
    """Down by ratios along a hyperbola, whose first steps depend little on how long the run is.

    Formula: start * (start / infimum) ** (f(t) - f(0)), f(t) = sqrt((N - t) / bound * (2 - (N + t) / bound))

    N is the schedule's own length: `over` where it is given, else all that is left.

    Args:
        start: value of the first update.
        infimum: value at the end of a run as long as `bound`, above 0 and below start; a shorter run ends above it.
        bound: the longest run that is planned; at least N.
        over: length; without it, the schedule stretches over all steps that are left.

    Raises:
        UsageError: an argument out of range; when bound to a horizon, a `bound` shorter than the schedule.

    Source: ExpHyperbolicLR(max_iter=N, upper_bound=bound), Kim 2024, arXiv:2407.15200.

    >>> exponential_hyperbolic(1, 0.01, bound=1000).bind(500)([0, 250, 500]).round(3)
    array([1.   , 0.243, 0.019])
    """
    return ExponentialHyperbola(start, infimum, Span.parse(bound, name="bound"), over=span_or_none("over", over))


@dataclass(frozen=True, repr=False)
class Hyperbola(Primitive):
    """A hyperbola; write `hyperbolic(start, infimum, bound=...)`."""

    start: float
    infimum: float
    bound: Span
    called = "hyperbolic"
    by_place = 2
    extent_without_over = Extent.STRETCHED

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", checked_number("start", self.start))
        object.__setattr__(self, "infimum", checked_number("infimum", self.infimum))
        if not self.infimum < self.start:
            raise BadArgument("infimum", message("must be below start"), self.infimum)

    def formula(self, horizon: Horizon, length: float) -> Formula:
        bound = horizon.steps(self.bound)
        if bound < length - SEAM:
            raise DoesNotFit(
                message(
                    "{schedule} takes {length}, more than its bound of {bound}",
                    schedule=quote_schedule(self),
                    length=spell_steps(length),
                    bound=spell_steps(bound),
                ),
                message("raise bound= to the longest run you plan"),
            )
        return lambda steps: self.at(steps, _left(steps, length, max(bound, length)))

    def at(self, steps: Array, left: Array) -> Array:
        """The values where `left`, in [0, 1], is left of the way from start to infimum."""
        values = self.infimum + (self.start - self.infimum) * left
        return np.where(steps <= 0, self.start, np.minimum(values, self.start))


@final
@dataclass(frozen=True, repr=False)
class ExponentialHyperbola(Hyperbola):
    """A hyperbola of the logarithm; write `exponential_hyperbolic(start, infimum, bound=...)`."""

    called = "exponential_hyperbolic"

    def __post_init__(self) -> None:
        checked_number("infimum", self.infimum, above=0)
        super().__post_init__()

    def at(self, steps: Array, left: Array) -> Array:
        return np.power(self.start, left) * np.power(self.infimum, 1 - left)


def _left(steps: Array, length: float, bound: float) -> Array:
    """1 - (f(0) - f(t)) of a hyperbola of `length` steps that could have `bound`."""
    spare = bound - length
    at_start = np.sqrt(length * (bound + spare)) / bound
    now = np.sqrt((length - steps) * (spare + (bound - steps))) / bound
    return np.where(steps <= 0, 1.0, (spare / bound) ** 2 / (1 + at_start) + now)
