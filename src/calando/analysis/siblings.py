"""Scores of runs that share a past, simulated: at each seed alike within a family, independent from seed to seed.

    score of strategy i at seed s = sqrt(c) · F(family of i, s) + sqrt(1 - c) · e(i, s)        F, e: standard normal

Runs that were trained from one fork have so much in common that their scores are correlated (c). No fork is shared
between seeds, so seeds stay independent: the comparison takes differences seed by seed, and what siblings have in
common leaves them. Two families look like two strategies, though, and say less of each other's spread than the number
of strategies promises; the critical values of a borrowed spread allow for that. False verdicts of such studies:
`python -m calando.analysis.calibration`.
"""

from __future__ import annotations

import math

import numpy as np

from calando.analysis.paired import Floats

__all__ = ["siblings"]


def siblings(rng: np.random.Generator, shape: tuple[int, int, int], *, family: int, correlation: float) -> Floats:
    """Noise of the scores of equal strategies, of which each so many in a row are siblings.

    Args:
        shape: [studies, strategies, seeds].
        family: how many strategies share a past; the last family may be smaller.
        correlation: of two siblings' scores at one seed, in [0, 1].

    Returns:
        [studies, strategies, seeds], each of standard deviation 1.

    >>> drawn = siblings(np.random.default_rng(0), (2, 3, 4), family=2, correlation=1.0)
    >>> bool((drawn[:, 0] == drawn[:, 1]).all()), bool((drawn[:, 0] == drawn[:, 2]).any())
    (True, False)
    """
    assert family >= 1
    assert 0 <= correlation <= 1
    studies, strategies, seeds = shape
    shared = rng.standard_normal((studies, -(-strategies // family), seeds)).repeat(family, axis=1)[:, :strategies]
    own = rng.standard_normal(shape)
    return np.asarray(math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own)
