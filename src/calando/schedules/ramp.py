"""Ramp: the way from one value to another, along a shape.

    v(t) = shape(start, end, p)    p = min(t / L, 1)

L is the ramp's `over` in steps, or all the steps it is given. A ramp stays between its values, and has its start
value at t = 0 and its end value at t = L, to the bit, unless its shape does not meet them (tanh). After L it
holds the last value.

A shape is given its progress: the part done, p = t / L, and the part left, q = 1 - p, both in [0, 1]. Having both keeps
full relative precision where a rate comes close to zero: 1 - p would have lost its digits there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from calando.language import message
from calando.schedules.checks import BadArgument, checked_number
from calando.schedules.primitive import Primitive
from calando.schedules.schedule import Array, Bound, Extent, Form, Level
from calando.schedules.span import Horizon

__all__ = ["BoundRamp", "Progress", "Ramp", "Shape", "weighted"]


@final
class Progress:
    """How far a ramp of `length` steps has come at `steps`, shape (n,), all from 0 to `length`."""

    def __init__(self, steps: Array, length: float) -> None:
        self._steps, self._length = steps, length

    @property
    def p(self) -> Array:
        """The part done, an array of the caller's own."""
        return self._steps / self._length

    @property
    def q(self) -> Array:
        """The part left, an array of the caller's own."""
        left = self._length - self._steps
        left /= self._length
        return left


@dataclass(frozen=True)
class Shape(Form):
    """A way from one value to another; its fields are numbers that the constructor of its name takes.

    Attributes:
        needs_positive: the shape exists between values above zero only.
        meets_ends: it has the start value at p = 0 and the end value at p = 1.
    """

    meets_ends: ClassVar[bool] = True
    needs_positive: ClassVar[bool] = False

    @abstractmethod
    def between(self, start: float, end: float, at: Progress) -> Array:
        """The values at a progress, shape (n,); the ramp itself sees to p = 0 and p = 1."""


def weighted(start: float, end: float, fall: Callable[[], Array], rise: Callable[[], Array]) -> Array:
    """start * fall + end * rise, for weights that add up to one; each gives an array that is overwritten."""
    falls = abs(start) >= abs(end)
    values = fall() if falls else rise()
    values *= start - end if falls else end - start
    values += end if falls else start
    return values


@final
@dataclass(frozen=True, repr=False)
class Ramp(Primitive):
    """From `start` to `end` along `shape`, over `over` or all that is left.

    >>> from calando.schedules.named_ramps import Linear
    >>> from calando.schedules.span import Span
    >>> Ramp(0, 1, Linear(), over=Span(50, "%")).bind(10).sample()
    array([0. , 0.2, 0.4, 0.6, 0.8, 1. , 1. , 1. , 1. , 1. ])
    """

    start: float
    end: float
    shape: Shape
    by_place = 2
    extent_without_over = Extent.STRETCHED

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            value = checked_number(name, getattr(self, name))
            if self.shape.needs_positive and value <= 0:
                problem = message("must be above 0 for {name}", name=self.shape.name)
                raise BadArgument(
                    name, problem, getattr(self, name), hint=message("; use a small number such as 0.001")
                )
            object.__setattr__(self, name, value)

    def suspicion(self, argument: str, steps: float, horizon: Horizon) -> Level | None:
        if self.end > self.start:  # a short warmup is common, a short fall or hold is not
            return "info" if steps > 1 else None
        return super().suspicion(argument, steps, horizon)

    def place(self, horizon: Horizon, room: float) -> Bound:
        return BoundRamp(self.start, self.end, self.shape, self.room_taken(horizon, room))

    @property
    def called(self) -> str:  # type: ignore[override]
        return self.shape.name


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundRamp(Bound):
    """A ramp of `length` steps."""

    start: float
    end: float
    shape: Shape
    length: float

    def __call__(self, steps: Array) -> Array:
        first, last = steps.min(initial=np.inf), steps.max(initial=0.0)
        inside = steps if last <= self.length else np.minimum(steps, self.length)
        values = self.shape.between(self.start, self.end, Progress(inside, self.length))
        # rounding may carry a value past an end, or miss it at the end itself
        np.clip(values, min(self.start, self.end), max(self.start, self.end), out=values)
        if self.shape.meets_ends and first <= 0:
            values[steps <= 0] = self.start
        if self.shape.meets_ends and last >= self.length:
            values[steps >= self.length] = self.end
        return values
