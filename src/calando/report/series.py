"""From records to the few plain numbers a figure needs.

thinned(y)       the fewest points whose straight lines stay within a tolerance of y (greedy
                 Douglas–Peucker), at most `limit`: corners of a schedule survive, plateaus cost two
smoothed(y)_t    mean of the finite y in [t - w, t + w]
Band             over seeds, at each step: mean, smallest, largest, n
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calando.analysis.results import StudySummary
from calando.records.record import RunRecord

__all__ = ["Band", "End", "ends", "final_records", "loss_band", "score_band", "smoothed", "thinned"]


@dataclass(frozen=True, eq=False)
class Band:
    """What the seeds did together.

    Args:
        steps: int64[k], ascending.
        mean, low, high: float64[k], over the runs that have a finite value there.
        n: int64[k], how many those are; at least 1.
    """

    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


@dataclass(frozen=True)
class End:
    """Where a run diverged: the step, and the last finite smoothed training loss before it."""

    seed: int
    step: int
    loss: float


def final_records(summary: StudySummary, runs: Mapping[str, RunRecord]) -> dict[str, tuple[RunRecord, ...]]:
    """The records of each strategy at its chosen rate, in seed order; best strategy first, those without left out."""
    found = {
        result.name: tuple(runs[digest] for digest in result.planned.finals if digest in runs)
        for result in summary.results
    }
    return {name: records for name, records in found.items() if records}


def thinned(values: np.ndarray, *, limit: int = 400, tolerance: float = 0.0005) -> np.ndarray:
    """Indices of the points to keep, first and last among them; `values` is float[n], n >= 1, finite.

    Args:
        limit: the most points kept.
        tolerance: largest error left, as a share of max - min (unless the limit is reached before).

    >>> thinned(np.array([0.0, 1.0, 2.0, 3.0, 3.0, 3.0]))
    array([0, 3, 5])
    """
    last = len(values) - 1
    kept = {0, last}
    allowed = tolerance * float(values.max() - values.min())
    pending = [_worst(values, 0, last)]
    while pending and len(kept) < limit:
        error, at, low, high = heapq.heappop(pending)
        if -error <= allowed:
            break
        kept.add(at)
        for part in (_worst(values, low, at), _worst(values, at, high)):
            heapq.heappush(pending, part)
    return np.array(sorted(kept))


def _worst(values: np.ndarray, low: int, high: int) -> tuple[float, int, int, int]:
    """(-error, index, low, high) of the point farthest from the straight line low–high."""
    if high - low < 2:
        return (0.0, low, low, high)
    line = np.linspace(values[low], values[high], high - low + 1)
    errors = np.abs(values[low : high + 1] - line)
    at = int(errors.argmax())
    return (-float(errors[at]), low + at, low, high)


def smoothed(values: np.ndarray, *, half: int) -> np.ndarray:
    """Centred moving mean over 2 * half + 1 steps (fewer at the ends), of the finite values; else nan.

    >>> smoothed(np.array([1.0, 2.0, 6.0, np.inf]), half=1)
    array([1.5, 3. , 4. , 6. ])
    """
    finite = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0), dtype=np.float64)])
    counts = np.concatenate([[0], np.cumsum(finite)])
    at = np.arange(len(values))
    start, stop = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    n = counts[stop] - counts[start]
    return np.where(n > 0, (sums[stop] - sums[start]) / np.maximum(n, 1), np.nan)


def loss_band(records: Sequence[RunRecord], *, half: int, points: int = 160) -> Band | None:
    """Smoothed training loss over seeds; a run that diverged leaves the band where it did."""
    horizon = max((record.steps_done for record in records), default=0)
    if not horizon:
        return None
    steps = np.unique(np.linspace(0, horizon - 1, points).round().astype(np.int64))
    rows = np.full((len(records), len(steps)), np.nan)
    for row, record in zip(rows, records, strict=True):
        there = steps < record.steps_done
        row[there] = smoothed(record.losses, half=half)[steps[there]]
    return _band(steps, rows)


def score_band(records: Sequence[RunRecord], *, points: int = 160) -> Band | None:
    """Validation score over seeds; a run that diverged counts as chance from there on, as in the tables."""
    seen = {look.step for record in records for look in record.evaluations}
    for spec in {record.spec.steps: record.spec for record in records if record.outcome == "diverged"}.values():
        seen |= {*range(spec.evaluate_every, spec.steps, spec.evaluate_every), spec.steps}
    if not seen:
        return None
    steps = np.array(sorted(seen), dtype=np.int64)
    if len(steps) > points:
        steps = steps[np.unique(np.linspace(0, len(steps) - 1, points).round().astype(np.int64))]
    rows = np.full((len(records), len(steps)), np.nan)
    for row, record in zip(rows, records, strict=True):
        known = {look.step: look.score for look in record.evaluations if np.isfinite(look.loss)}
        if record.outcome == "diverged":
            row[steps >= record.steps_done] = record.chance
        for place, step in enumerate(steps):
            row[place] = known.get(int(step), row[place])
    return _band(steps, rows)


def _band(steps: np.ndarray, rows: np.ndarray) -> Band | None:
    finite = np.isfinite(rows)
    n = finite.sum(axis=0)
    some = n > 0
    if not some.any():
        return None
    rows, finite, steps, n = rows[:, some], finite[:, some], steps[some], n[some]
    return Band(
        steps=steps,
        mean=np.where(finite, rows, 0.0).sum(axis=0) / n,
        low=np.where(finite, rows, np.inf).min(axis=0),
        high=np.where(finite, rows, -np.inf).max(axis=0),
        n=n,
    )


def ends(records: Sequence[RunRecord], *, half: int) -> tuple[End, ...]:
    """Where the runs that diverged did, for those with a finite loss before it."""
    found = []
    for record in records:
        curve = smoothed(record.losses, half=half)
        finite = np.flatnonzero(np.isfinite(curve))
        if record.outcome == "diverged" and len(finite):
            found.append(End(seed=record.spec.seed, step=record.steps_done, loss=float(curve[finite[-1]])))
    return tuple(found)
