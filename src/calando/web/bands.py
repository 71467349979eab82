"""Thousands of curves as one band a strategy: median, and the middle 80 % of its runs.

    x      buckets of equal width in updates, at most one a pixel
    y      of each run the mean of a bucket; of those the 10th, 50th and 90th percentile

Where strategies have so many values that reading them would take a second, some runs of each stand for all, evenly
spread over its seeds; the band says how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from calando.web.curves import Curve

if TYPE_CHECKING:
    from calando.web.place import Place
    from calando.web.table import Row

__all__ = ["HIGH", "LOW", "MOST_VALUES", "Band", "Bands", "band", "spread_out"]

LOW, HIGH = 10.0, 90.0
MOST_VALUES = 1_500_000
BUCKETS = 200
MOST_KEPT = 300


@final
@dataclass(frozen=True)
class Band:
    """Of one strategy: `runs` there are, `sampled` of them were read."""

    strategy: str
    runs: int
    sampled: int
    x: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray


@final
class Bands:
    """The bands of a place, each kept until one of its runs has changed. Steered runs are in none."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, int], tuple[object, Band]] = {}

    def of(self, place: Place, of: str, *, pixels: int) -> list[Band]:
        """A band for each strategy; the place's lock is let go between two of them, so that polls are not held up."""
        with place.lock:
            rows = [row for row in place.rows.values() if row.state != "queued" and not row.steered]
        by_strategy: dict[str, list[Row]] = {}
        for row in rows:
            by_strategy.setdefault(row.strategy, []).append(row)
        most = MOST_VALUES // max(1, max((row.step for row in rows), default=0) * len(by_strategy))
        found = []
        for strategy, theirs in by_strategy.items():
            key, state = (strategy, of, pixels), tuple((row.run, row.step) for row in theirs)
            with place.lock:
                known = self._kept.get(key)
                if known is None or known[0] != state:
                    digests = [row.run for row in theirs]
                    some = digests if of == "score" else spread_out(digests, most=most)
                    made = band(strategy, list(place.curves(some, of)), runs=len(digests), pixels=pixels)
                    known = self._kept[key] = state, made
                    while len(self._kept) > MOST_KEPT:
                        self._kept.pop(next(iter(self._kept)))
            found.append(known[1])
        return found


def spread_out(digests: Sequence[str], *, most: int) -> Sequence[str]:
    """At most so many of them, evenly spread.

    >>> spread_out(["a", "b", "c", "d"], most=2)
    ['a', 'c']
    """
    most = max(1, most)
    if len(digests) <= most:
        return digests
    return [digests[place * len(digests) // most] for place in range(most)]


def band(strategy: str, curves: Sequence[Curve], *, runs: int, pixels: int) -> Band:
    """Of curves that may differ in length: at each x those that got there."""
    same = [curve for curve in curves if len(curve.x)]
    if not same:
        nothing = np.empty(0)
        return Band(strategy, runs, 0, nothing, nothing, nothing, nothing)
    buckets = min(pixels, BUCKETS)
    grid = np.unique(np.concatenate([curve.x for curve in same[:BUCKETS]]))
    if len(grid) > buckets or len(same) > BUCKETS:
        whole = max(curve.x[-1] for curve in same)
        grid = grid if _all_on(grid, same, buckets) else np.unique(np.ceil(np.arange(1, buckets + 1) * whole / buckets))
    rows = np.full((len(same), len(grid)), np.nan)
    for place, curve in enumerate(same):
        rows[place] = _at(curve, grid)
    kept = np.isfinite(rows).any(axis=0)
    found = rows[:, kept]
    if not kept.any():
        return Band(strategy, runs, len(same), *[np.empty(0)] * 4)
    finite = np.isfinite(found)
    # Where nothing is missing, as mostly, the plain one is several times as fast.
    percentile, values = (np.percentile, found) if finite.all() else (np.nanpercentile, np.where(finite, found, np.nan))
    low, median, high = percentile(values, (LOW, 50, HIGH), axis=0)
    return Band(strategy, runs, len(same), grid[kept], median, low, high)


def _all_on(grid: np.ndarray, curves: Sequence[Curve], buckets: int) -> bool:
    """Whether the few updates of a grid are all that curves have values at: looks at the validation part, say."""
    return len(grid) <= buckets and all(np.isin(curve.x, grid).all() for curve in curves)


def _at(curve: Curve, grid: np.ndarray) -> np.ndarray:
    """The mean of each bucket that ends at a point of the grid; of one without values, nothing."""
    if len(curve.x) <= len(grid):
        found = np.full(len(grid), np.nan)
        found[np.searchsorted(grid, curve.x)] = curve.y
        return found
    edges = np.concatenate([[0], np.searchsorted(curve.x, grid, side="right")])
    total = np.concatenate([[0.0], np.cumsum(curve.y)])
    count = np.diff(edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, (total[edges[1:]] - total[edges[:-1]]) / count, np.nan)
