"""What a range test measured: the loss before each update of a sweep of rates, once a repeat.

rates    r_0 < … < r_{n-1}, in geometric progression
losses   l_{k,i}: of repeat k, before its update i, which was made at r_i; nan once the repeat had stopped
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from calando.errors import UsageError

__all__ = ["STOPS", "RangeCurves"]

STOPS = ("diverged", "died", "not finite")
FEWEST = 10
UNEVEN = 0.01  # largest relative deviation of a step of log(rate) from the mean one


@dataclass(frozen=True, eq=False)
class RangeCurves:
    """The measured sweeps, all over the same rates and from the same state; see `from_arrays` for a checked way here.

    Args:
        rates: float64[n], increasing geometrically; the rate of each measured update.
        losses: float64[repeats, n], the training loss before that update; nan from where a repeat stopped.
        stopped: a text a repeat: "diverged", "died" or "not finite"; None for one that reached the last rate.
        chance: the loss of a network that knows class shares alone; for cross-entropy the entropy of the labels, which
            is log(classes) where classes are equally frequent. None if not known.
    """

    rates: np.ndarray
    losses: np.ndarray
    stopped: tuple[str | None, ...]
    chance: float | None = None

    @classmethod
    def from_arrays(
        cls,
        rates: ArrayLike,
        losses: ArrayLike,
        *,
        stopped: Sequence[str | None] | None = None,
        chance: float | None = None,
    ) -> RangeCurves:
        """Curves from numbers of any origin, checked.

        Losses that are not finite end their repeat: they and all that follow them become nan.

        Args:
            rates: [n], at least 10, positive, geometric.
            losses: [repeats, n], or [n] for a single repeat.
            stopped: a repeat each; None: "not finite" where a loss is not, else None.
            chance: as in `RangeCurves`.

        Raises:
            UsageError: shapes that do not fit, too few rates, rates that are not a geometric progression upward,
                a reason to stop that is not one of ours, a chance loss that is not finite.

        >>> curves = RangeCurves.from_arrays(np.geomspace(1e-4, 1, 20), np.linspace(2, 1, 20))
        >>> curves.losses.shape, curves.stopped
        ((1, 20), (None,))
        """
        steps = np.array(rates, float)
        rows = np.atleast_2d(np.array(losses, float))
        if steps.ndim != 1 or len(steps) < FEWEST:
            raise UsageError(f"a range test needs a row of {FEWEST} rates or more, got shape {steps.shape}")
        if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] != len(steps):
            raise UsageError(f"losses must have a column for each of the {len(steps)} rates, got shape {rows.shape}")
        if not (np.isfinite(steps).all() and steps[0] > 0 and (np.diff(steps) > 0).all()):
            raise UsageError("the rates of a range test must be positive, finite and increasing; sort them")
        strides = np.diff(np.log(steps))
        if np.abs(strides / strides.mean() - 1).max() > UNEVEN:
            raise UsageError("the rates of a range test must grow by the same factor each step; use numpy.geomspace")
        if chance is not None and not np.isfinite(chance):
            raise UsageError(f"chance must be the finite loss of a network that knows nothing, or None, got {chance}")
        rows[np.logical_or.accumulate(~np.isfinite(rows), axis=1)] = np.nan
        if stopped is None:
            stopped = ["not finite" if np.isnan(row[-1]) else None for row in rows]
        if len(stopped) != len(rows):
            raise UsageError(f"stopped must say of each of the {len(rows)} repeats how it ended, got {len(stopped)}")
        for reason in stopped:
            if reason is not None and reason not in STOPS:
                raise UsageError(f"a repeat stops because it {', '.join(STOPS)}, or None, got {reason!r}")
        return cls(steps, rows, tuple(stopped), chance)
