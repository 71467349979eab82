"""Schedules and curves: what the rate should be, as a pure function of the step.

    schedule                      immutable; knows shares and epochs, not yet steps
    schedule.bind(T)  -> curve    every unit turned into steps, once
    curve(t)                      what the base rate is multiplied by at update t

The rate of update t (counted from 0) is the schedule's value at progress t / T, as in the closed forms of
torch: the first update has the start value, t = T has the end value, and beyond T the end value holds.

Three kinds of length (`Extent`), which decide how schedules share a horizon:

    FIXED      says how long it is              linear(0, 1, over='5%')
    STRETCHED  fills what it is given           cosine(1, 0)
    ENDLESS    goes on however long it is given constant(1)
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, final, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calando.errors import UsageError
from calando.schedules.checks import checked_number, quote
from calando.schedules.span import Horizon

if TYPE_CHECKING:
    from calando.schedules.compose import Then, Times

__all__ = ["SEAM", "Array", "Bound", "Curve", "Extent", "Schedule", "quote_schedule"]

Array = NDArray[np.float64]

# An update within a millionth of a step of a seam has reached it: seams that fall on whole steps but are
# computed from shares must not be missed by a rounding error.
SEAM = 1e-6

BLOCK = 1024  # steps worked out at once for a training loop
CHUNK = 16384  # steps worked out at once for a long array, so that intermediate values stay in the cache


class Extent(enum.Enum):
    """How a schedule takes up steps; see the top of this file."""

    FIXED = "fixed"
    STRETCHED = "stretched"
    ENDLESS = "endless"


class Bound(ABC):
    """A schedule whose lengths are in steps: a pure function of the steps since its own start."""

    @abstractmethod
    def __call__(self, steps: Array) -> Array:
        """Values at `steps`, a contiguous array of shape (n,) of steps >= 0 since this part began."""

    @abstractmethod
    def seams(self) -> tuple[float, ...]:
        """Where one part hands over to the next, in steps since this part began."""

    @abstractmethod
    def unreached(self) -> tuple[float, ...]:
        """Where values were to drop at once but this part is over, in steps since it began."""


@dataclass(frozen=True, repr=False)
class Schedule(ABC):
    """A multiplier of the base rate, as an immutable value; see the constructors in `presets`.

    Combine: `a >> b` (a, then b), `a * b` and `a * 0.5` (product). Nesting makes no difference:
    `(a >> b) >> c` equals `a >> (b >> c)`.

    >>> from calando.schedules import cosine, linear
    >>> linear(0, 1, over="5%") >> cosine(1, 0)
    linear(0, 1, over='5%') >> cosine(1, 0)
    >>> curve = (linear(0, 1, over="5%") >> cosine(1, 0)).bind(1000)
    >>> curve(0), curve(25), curve(50), curve(1000)
    (0.0, 0.5, 1.0, 0.0)
    """

    # numpy scalars and arrays leave `number * schedule` to us
    __array_ufunc__ = None

    @property
    @abstractmethod
    def extent(self) -> Extent:
        """Whether this schedule says how long it is."""

    @property
    @abstractmethod
    def parts(self) -> tuple[Schedule, ...]:
        """The schedules this one is made of; none for a primitive."""

    @abstractmethod
    def length(self, horizon: Horizon) -> float:
        """The steps that a FIXED schedule takes; asked of no other."""

    @abstractmethod
    def place(self, horizon: Horizon, room: float) -> Bound:
        """This schedule with `room` steps to itself.

        Raises:
            UsageError: it does not fit, or a unit cannot be resolved.
        """

    @abstractmethod
    def __str__(self) -> str:
        """The text that builds this schedule: `parse(str(schedule)) == schedule`."""

    def __repr__(self) -> str:
        return str(self)

    def bind(self, total_steps: int, *, steps_per_epoch: int | None = None) -> Curve:
        """This schedule over a run of `total_steps` updates.

        Args:
            total_steps: the horizon, in optimizer updates.
            steps_per_epoch: updates in one epoch; needed if a length is given in epochs.

        Raises:
            UsageError: a part is longer than the horizon, nothing is left for a part that takes what is
                left, a length is in epochs and `steps_per_epoch` is missing, or a count is out of range.

        >>> from calando.schedules import cosine
        >>> cosine(1, 0).bind(4).sample().round(3)
        array([1.   , 0.854, 0.5  , 0.146])
        """
        return Curve(self, total_steps, steps_per_epoch)

    def __rshift__(self, other: Schedule | float) -> Then:
        # imported here because Then is itself a Schedule
        from calando.schedules.compose import Then

        following = _operand(other)
        return NotImplemented if following is None else Then((self, following))

    def __mul__(self, other: Schedule | float) -> Times:
        from calando.schedules.compose import Times

        factor = _operand(other)
        return NotImplemented if factor is None else Times((self, factor))

    def __rmul__(self, other: float) -> Times:
        from calando.schedules.compose import Times

        factor = _operand(other)
        return NotImplemented if factor is None else Times((factor, self))


def _operand(value: object) -> Schedule | None:
    if isinstance(value, Schedule):
        return value
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    from calando.schedules.ramp import Constant

    return Constant(checked_number("the number combined with a schedule", value))


def quote_schedule(schedule: Schedule) -> str:
    """A schedule's text in quotes for a message, cut to 60 characters."""
    text = str(schedule)
    return f'"{text}"' if len(text) <= 60 else f'"{text[:59]}…"'


@final
@dataclass(frozen=True)
class Curve:
    """A schedule bound to a horizon: `curve(t)` is what the base rate is multiplied by at update t.

    Made by `schedule.bind(total_steps, steps_per_epoch=...)`.

    Args:
        schedule: the schedule.
        total_steps: optimizer updates in the run.
        steps_per_epoch: optimizer updates in one epoch, or None.

    Raises:
        UsageError: as `Schedule.bind`.

    >>> from calando.schedules import linear
    >>> curve = linear(1, 0).bind(10)
    >>> curve(5), curve([0, 5, 10, 99])
    (0.5, array([1. , 0.5, 0. , 0. ]))
    """

    schedule: Schedule
    total_steps: int
    steps_per_epoch: int | None = None
    _bound: Bound = field(init=False, repr=False, compare=False)
    # the block of steps asked for last: a training loop asks for one step after the other
    _block: dict[int, list[float]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        horizon = Horizon(self.total_steps, self.steps_per_epoch)
        object.__setattr__(self, "total_steps", horizon.total_steps)
        object.__setattr__(self, "steps_per_epoch", horizon.steps_per_epoch)
        object.__setattr__(self, "_bound", self.schedule.place(horizon, float(horizon.total_steps)))

    @overload
    def __call__(self, t: float) -> float: ...
    @overload
    def __call__(self, t: ArrayLike) -> Array: ...
    def __call__(self, t: ArrayLike) -> float | Array:
        """The multiplier at update `t`: a float for one number, a float64 array for an array of any shape.

        Both come from the same arithmetic and agree to the bit. Fractional steps are allowed.

        Raises:
            UsageError: a step is negative or not a number.
        """
        if isinstance(t, (int, np.integer)) and not isinstance(t, bool) and t >= 0:
            return self._at(int(t))
        if isinstance(t, (float, np.floating)) and t >= 0:
            return float(self._values(np.array([t], dtype=np.float64))[0])
        steps = np.asarray(t)
        if steps.dtype.kind not in "iuf" and steps.size:
            raise UsageError(f"steps must be numbers, got {quote(t)}")
        early = ~(steps >= 0)
        if early.any():
            raise UsageError(f"a step must be 0 or more, got {quote(steps[early][0].item())}")
        return self._values(steps.astype(np.float64).ravel()).reshape(steps.shape)

    def sample(self) -> Array:
        """The multipliers of all updates t = 0 .. total_steps - 1, shape (total_steps,).

        >>> from calando.schedules import linear
        >>> linear(1, 0).bind(4).sample()
        array([1.  , 0.75, 0.5 , 0.25])
        """
        return self._values(np.arange(self.total_steps, dtype=np.float64))

    def seams(self) -> tuple[float, ...]:
        """Where one part of the schedule hands over to the next, in (maybe fractional) steps, sorted.

        >>> from calando.schedules import cosine, linear
        >>> (linear(0, 1, over="5%") >> cosine(1, 0)).bind(1000).seams()
        (50.0,)
        """
        return tuple(sorted(set(self._bound.seams())))

    def unreached(self) -> tuple[float, ...]:
        """Milestones that come too late to be reached, in steps, sorted.

        >>> from calando.schedules import multistep
        >>> multistep(at=["50%", "2000 steps"], factor=0.1).bind(1000).unreached()
        (2000.0,)
        """
        return tuple(sorted(set(self._bound.unreached())))

    def _at(self, step: int) -> float:
        number, place = divmod(min(step, self.total_steps), BLOCK)
        values = self._block.get(number)
        if values is None:
            values = self._values(np.arange(number * BLOCK, (number + 1) * BLOCK, dtype=np.float64)).tolist()
            self._block.clear()
            self._block[number] = values
        return values[place]

    def _values(self, steps: Array) -> Array:
        steps = np.minimum(steps, float(self.total_steps))
        # what overflows or divides by zero is a value like any other here; `lint` reports it
        with np.errstate(all="ignore"):
            if steps.size <= CHUNK:
                return self._bound(steps)
            return np.concatenate([self._bound(steps[i : i + CHUNK]) for i in range(0, steps.size, CHUNK)])

    def __reduce__(self) -> tuple[type[Curve], tuple[Schedule, int, int | None]]:
        return Curve, (self.schedule, self.total_steps, self.steps_per_epoch)
