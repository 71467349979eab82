"""Thousands of curves as one band a strategy: median, and the middle 80 % of its runs.

    x      buckets of equal width in updates, at most one a pixel
    y      of each run the mean of a bucket; of those the 10th, 50th and 90th percentile

Where strategies have so many values that reading them would take a second, some runs of each stand for all, evenly
spread over its seeds; the band says how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from calando.web.curve import Curve

__all__ = ["HIGH", "LOW", "MOST_VALUES", "Band", "band", "spread_out"]

LOW, HIGH = 10.0, 90.0
MOST_VALUES = 1_500_000
BUCKETS = 200


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
