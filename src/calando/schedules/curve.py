"""Curves: a schedule bound to a horizon, every unit turned into steps.

curve(t)          what the base rate is multiplied by at update t
curve.sample()    all of them, t = 0 .. total_steps - 1
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final, overload

import numpy as np
from numpy.typing import ArrayLike

from calando.errors import UsageError
from calando.language import message
from calando.rows import WIDTH
from calando.schedules.checks import quote
from calando.schedules.schedule import SEAM, Array, Bound, Schedule
from calando.schedules.span import Horizon
from calando.shown import Shown

if TYPE_CHECKING:
    from calando.schedules.finding import Finding

__all__ = ["Curve"]

BLOCK = 1024  # steps computed at once for a training loop
CHUNK = 16384  # steps computed at once for a long array, so that intermediate values stay in the cache


@final
@dataclass(frozen=True, repr=False)
class Curve(Shown):
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
            raise UsageError(message("steps must be numbers, got {t}", t=quote(t)))
        early = ~(steps >= 0)
        if early.any():
            raise UsageError(message("a step must be 0 or more, got {steps}", steps=quote(steps[early][0].item())))
        return self._values(steps.astype(np.float64).ravel()).reshape(steps.shape)

    def sample(self) -> Array:
        """The multipliers of all updates t = 0 .. total_steps - 1, shape (total_steps,).

        >>> from calando.schedules import linear
        >>> linear(1, 0).bind(4).sample()
        array([1.  , 0.75, 0.5 , 0.25])
        """
        values = np.empty(self.total_steps)
        with np.errstate(all="ignore"):
            for start in range(0, self.total_steps, CHUNK):
                end = min(start + CHUNK, self.total_steps)
                values[start:end] = self._bound(np.arange(start, end, dtype=np.float64))
        return values

    def seams(self) -> tuple[float, ...]:
        """Where one part of the schedule hands over to the next, in (possibly fractional) steps, sorted.

        >>> from calando.schedules import cosine, linear
        >>> (linear(0, 1, over="5%") >> cosine(1, 0)).bind(1000).seams()
        (50.0,)
        """
        return tuple(sorted(set(self._bound.seams())))

    def table(self) -> list[dict[str, float]]:
        """Step and multiplier of the first update, of each at which a part begins, and of the last, a row each."""
        steps = {0, self.total_steps - 1, *(min(math.ceil(seam - SEAM), self.total_steps - 1) for seam in self.seams())}
        return [{"step": step, "multiplier": self(step)} for step in sorted(steps)]

    def __repr__(self) -> str:
        """The schedule, and the run it is bound to."""
        epochs = "" if self.steps_per_epoch is None else f", {self.steps_per_epoch} an epoch"
        schedule = textwrap.shorten(str(self.schedule), WIDTH - 40, placeholder=" …")
        return f"{schedule} over {self.total_steps} steps{epochs}"

    def unreached(self) -> tuple[float, ...]:
        """Milestones that the run ends before, in steps, sorted.

        >>> from calando.schedules import multistep
        >>> multistep(at=["50%", "2000 steps"], factor=0.1).bind(1000).unreached()
        (2000.0,)
        """
        return tuple(sorted(set(self._bound.unreached())))

    def lint(self, *, of: str = "lr") -> list[Finding]:
        """What is suspicious about this curve as a schedule `of` a hyper-parameter; see `calando.schedules.linting`.

        >>> from calando.schedules import constant, linear
        >>> [finding.name for finding in (linear(0.1, 1, over=10) >> constant(-1)).bind(100).lint()]
        ['negative']
        """
        from calando.schedules.linting import lint

        return lint(self, of=of)

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
            if 0 < steps.size <= CHUNK:
                return self._bound(steps)
            chunks = [self._bound(steps[start : start + CHUNK]) for start in range(0, steps.size, CHUNK)]
            return np.concatenate(chunks) if chunks else steps

    def __reduce__(self) -> tuple[type[Curve], tuple[Schedule, int, int | None]]:
        return Curve, (self.schedule, self.total_steps, self.steps_per_epoch)
