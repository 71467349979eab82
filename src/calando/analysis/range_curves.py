"""What a range test measured: the loss before each update of a sweep of rates, once a repeat.

rates    r_0 < … < r_{n-1}, in geometric progression
losses   l_{k,i}: of repeat k, before its update i, which was made at r_i; nan once the repeat had stopped

Where on the rate axis the loss falls, is lowest and is lost again, its landmarks:

    start    S   median of the losses of the first HEAD decades
    top      C   min(S, chance): what the loss loses above chance is bad scaling undone, and no learning
    capped       min(loss, C), and C where a repeat has stopped: to explode, to die and to stop are the same
    smooth   s   mean over the repeats of `capped`, Gaussian in log10(rate) of WIDTH decades
    bottom   B   min s, at the rate `minimum`;   depth D = C - B
    half         the first rate with                   s = C - D / 2
    lost         the last rate with                    s = B + D / 2
    stable       the first rate past the minimum with  s = B + KEPT D

    steepest        where s falls most per log(rate), up to the minimum
    valley          sqrt(half * lost): the middle of the valley, at half its depth
    minimum / 10    the folk rule
    largest stable  `stable`: up to there at most a fifth of what was gained is lost

A crossing is interpolated and moves smoothly with the losses, where an argmin jumps: over seeds it scatters a third as
much. Between `half` and `lost` a network may spike and recover; `stable` is the first past the minimum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from calando.errors import UsageError
from calando.language import message

__all__ = ["HEAD", "RULES", "STOPS", "Landmarks", "RangeCurves", "Rule", "capped", "landmarks", "smooth", "start_of"]


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

    rates: np.ndarray = field(repr=False)
    losses: np.ndarray = field(repr=False)
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
            raise UsageError(
                message(
                    "a range test needs a row of {fewest} rates or more, got shape {shape}",
                    fewest=FEWEST,
                    shape=steps.shape,
                )
            )
        if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] != len(steps):
            raise UsageError(
                message(
                    "losses must have a column for each of the {count} rates, got shape {shape}",
                    count=len(steps),
                    shape=rows.shape,
                )
            )
        if not (np.isfinite(steps).all() and steps[0] > 0 and (np.diff(steps) > 0).all()):
            raise UsageError(message("the rates of a range test must be positive, finite and increasing; sort them"))
        strides = np.diff(np.log(steps))
        if np.abs(strides / strides.mean() - 1).max() > UNEVEN:
            raise UsageError(
                message("the rates of a range test must grow by the same factor each step; use numpy.geomspace")
            )
        if chance is not None and not np.isfinite(chance):
            raise UsageError(
                message(
                    "chance must be the finite loss of a network that knows nothing, or None, got {chance}",
                    chance=chance,
                )
            )
        rows[np.logical_or.accumulate(~np.isfinite(rows), axis=1)] = np.nan
        if stopped is None:
            stopped = ["not finite" if np.isnan(row[-1]) else None for row in rows]
        if len(stopped) != len(rows):
            raise UsageError(
                message(
                    "stopped must hold, for each of the {count} repeats, how it ended; got {given}",
                    count=len(rows),
                    given=len(stopped),
                )
            )
        for reason in stopped:
            if reason is not None and reason not in STOPS:
                raise UsageError(
                    message(
                        "a repeat stops because it {stops}, or None, got {reason!r}",
                        stops=", ".join(STOPS),
                        reason=reason,
                    )
                )
        return cls(steps, rows, tuple(stopped), chance)


HEAD = 0.5  # decades
WIDTH = 0.15  # decades: a network takes a few updates to answer to a rate; a decade is some 15 of them
HALF = 0.5
KEPT = 0.2
RULES = ("steepest", "valley", "minimum / 10", "largest stable")


@dataclass(frozen=True)
class Rule:
    """The rate by one rule.

    Args:
        rate: from all repeats together; None where the curve does not have what the rule looks for.
        low, high: the lowest and the highest rate it gives for one repeat alone, and never beyond `rate`; nan where
            there is no rate. With a single repeat they are the rate itself.
    """

    rate: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Landmarks:
    """Of one curve; rates are nan where it has no such place.

    Args:
        bottom, depth: of the smoothed curve, in units of the loss; a depth of 0: it never falls.
        begins: the last rate before `half` at which less than a tenth of the depth is reached.
        half, steepest, minimum, stable, lost: rates; see the formulas of this file.
    """

    bottom: float
    depth: float
    begins: float
    half: float
    steepest: float
    minimum: float
    stable: float
    lost: float

    @property
    def valley(self) -> float:
        """The middle of the valley."""
        return math.sqrt(self.half * self.lost)

    @property
    def rules(self) -> Mapping[str, float]:
        """Rule name -> rate."""
        return dict(zip(RULES, (self.steepest, self.valley, self.minimum / 10, self.stable), strict=True))


def points(rates: np.ndarray, decades: float) -> float:
    """How many updates so many decades of rates are."""
    return decades * (len(rates) - 1) / math.log10(rates[-1] / rates[0])


def start_of(rates: np.ndarray, losses: np.ndarray) -> float:
    """S, of float64[repeats, n]: a repeat that has stopped by then counts as infinite, and so may S be."""
    head = losses[:, : max(3, round(points(rates, HEAD)))]
    return float(np.median(np.where(np.isnan(head), np.inf, head)))


def capped(losses: np.ndarray, top: float) -> np.ndarray:
    """float64[repeats, n]: at most the top; the top where a repeat has stopped."""
    return np.minimum(np.where(np.isnan(losses), np.inf, losses), top)


def smooth(rates: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """float64[..., n] averaged along its last axis."""
    from scipy.ndimage import gaussian_filter1d

    width = max(1.0, points(rates, WIDTH))
    smoothed: np.ndarray = gaussian_filter1d(losses, width, axis=-1, mode="nearest")
    return smoothed


def landmarks(rates: np.ndarray, curve: np.ndarray, top: float) -> Landmarks:
    """Of one smoothed curve, float64[n], under its top."""
    x = np.log10(rates)
    place = int(curve.argmin())
    bottom = float(curve[place])
    depth = top - bottom
    if not depth > 0:
        return Landmarks(bottom, 0.0, *[math.nan] * 6)
    slope = np.gradient(curve, x)
    deep = np.flatnonzero(curve <= bottom + HALF * depth)
    first, last = int(deep[0]), int(deep[-1])
    return Landmarks(
        bottom=bottom,
        depth=depth,
        begins=_before(x, curve, first, top - depth / 10),
        half=_before(x, curve, first, top - HALF * depth),
        steepest=10 ** _lowest(x, slope[: place + 1]),
        minimum=10 ** _lowest(x, curve),
        stable=_after(x, curve, place, bottom + KEPT * depth),
        lost=_after(x, curve, last, bottom + HALF * depth),
    )


def _before(x: np.ndarray, curve: np.ndarray, place: int, level: float) -> float:
    """The last rate before the place at which the curve comes down through the level."""
    above = np.flatnonzero(curve[:place] > level)
    return _crossing(x, curve, int(above[-1]), level) if len(above) else math.nan


def _after(x: np.ndarray, curve: np.ndarray, place: int, level: float) -> float:
    """The first rate past the place at which the curve goes up through the level."""
    above = np.flatnonzero(curve[place:] > level)
    return _crossing(x, curve, place + int(above[0]) - 1, level) if len(above) else math.nan


def _crossing(x: np.ndarray, curve: np.ndarray, before: int, level: float) -> float:
    share = (level - curve[before]) / (curve[before + 1] - curve[before])
    return float(10 ** (x[before] + share * (x[before + 1] - x[before])))


def _lowest(x: np.ndarray, values: np.ndarray) -> float:
    """Where the parabola through the lowest value and its neighbours is lowest."""
    place = int(values.argmin())
    if not 0 < place < len(values) - 1:
        return float(x[place])
    left, middle, right = values[place - 1 : place + 2]
    bend = left - 2 * middle + right
    return float(x[place] + (x[1] - x[0]) * (0.5 * (left - right) / bend if bend > 0 else 0.0))
