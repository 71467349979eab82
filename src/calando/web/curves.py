"""Curves of runs; long ones as few points, so that nothing that stands out is lost.

bucket k of n        values  [k N / n, (k + 1) N / n)
of each bucket       its least and its greatest value, in their order; a value that is no number where there is one
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

__all__ = ["Curve", "decimated"]


@final
@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one run: x, updates made, ascending, and y; of equal shape (N,)."""

    x: np.ndarray
    y: np.ndarray


def decimated(x: np.ndarray, y: np.ndarray, *, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `2 * pixels` points of a curve: its first and last, and the extremes of each of `pixels - 1` buckets.

    Args:
        x, y: of shape (N,); y may hold values that are not finite.
        pixels: at least 2.

    >>> x = np.arange(1000); y = np.zeros(1000); y[500] = 7
    >>> few_x, few_y = decimated(x, y, pixels=10)
    >>> len(few_x), float(few_y.max())
    (12, 7.0)
    """
    count = len(x)
    if count <= 2 * pixels:
        return x, y
    edges = 1 + np.arange(pixels) * (count - 2) // (pixels - 1)
    # What is not finite is a gap that must be seen: it counts as greatest.
    height = np.where(np.isfinite(y), y, np.inf)
    lows, highs = _first(height, edges, np.minimum), _first(height, edges, np.maximum)
    kept = np.unique(np.concatenate([[0], lows, highs, [count - 1]]))
    return x[kept], y[kept]


def _first(values: np.ndarray, edges: np.ndarray, extreme: np.ufunc) -> np.ndarray:
    """Where in each bucket its extreme value first is."""
    starts, within = edges[:-1], values[: edges[-1]]
    found = np.repeat(extreme.reduceat(within, starts), np.diff(edges))
    places: np.ndarray = starts[0] + np.flatnonzero(within[starts[0] :] == found)
    first: np.ndarray = places[np.searchsorted(places, starts)]
    return first
