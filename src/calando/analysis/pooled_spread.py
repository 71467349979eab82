"""How uncertain a difference from the best is, by the spread of all strategies of a study.

Three seeds show little of a spread; the other strategies of the study ran at the same seeds and show more.

    V_ij   variance over seeds of (score of i - score of j), plus h² / 6 for rounding        for each pair of strategies
    U, G   arithmetic and geometric mean of V over the pairs of strategies that lend
    v_i    strategy i's part in them: on average V_ij = v_i + v_j over those that lend
    x      V_ib / U, the pair's own variance, b the best                 1 where all strategies are of one kind
    z      2 max(v_i, v_b) / U, that of the less steady of the two       1 likewise
    variance of the difference = min(U (U / G) (1 + x / 10 + (z / 4)⁵), 9 max(U, V_ib))

U alone would do if all spreads were known to be equal. U / G, Bartlett's measure, says how unequal they look: the less
alike they are, the less is borrowed. The terms in x and z take back what was borrowed where the pair itself is less
steady than the others, and the upper bound keeps that from going on without end.

A strategy lends where its spread is of one kind with that of the others:
    not plainly wider      lower quartile of its V_ij at most (2 + 20 / (n - 1))² times their median over strategies
    not plainly narrower   variance of its own scores at least the median one divided by the same number, and not zero
A run that diverged where others did not makes the first fail, runs that all died at one score the second.

Sources: Smyth (2004), "Linear models and empirical Bayes methods" (borrowing of variances); Phipson et al. (2016),
"Robust hyperparameter estimation protects against hypervariable genes" (who must not lend); Bartlett (1937),
"Properties of sufficiency and statistical tests". The form was chosen, and is calibrated, by simulation:
docs/explanation/borrowed-spread.md.

How many such standard errors a difference must have was simulated once, and is kept in a table:

    T = |mean difference| / (borrowed sd / sqrt(n))       k strategies, n seeds
    "worse" where T >= critical(k, n), or where the pair's own spread says so at own_share(k, n) of 5%

T follows no textbook distribution. Normal noise of one spread would give smaller values: each is the largest that any
kind of noise in `benchmarks/verdicts/noises.py` needs to have false verdicts in at most 5.3% of studies of equal
strategies (5.6% for families of siblings). Between its k and n the table is read linearly in log k and 1 / n. Above 24
strategies it goes on linearly, which is more than enough, since the values rise ever more slowly.

Some of the 5% is kept for the pair's own spread. Else a steady pair among unsteady strategies would hardly ever be
found, however many seeds there are:

    own_share(k, n) = (n - 1) / (n - 1 + 8 (k - 2))       1 where nothing is borrowed, less the more there is to borrow

`python -m benchmarks.verdicts.tabulate` makes the table.
"""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from calando.analysis.paired import Floats

__all__ = ["LEAST_SEEDS", "LEAST_STRATEGIES", "borrowed_sd", "critical", "lenders", "own_share"]


LEAST_STRATEGIES, LEAST_SEEDS = 4, 3
"""With fewer there is nothing to borrow: three spreads show no more of each other than each does of itself, and at two
seeds a small spread and a large correlation look the same."""

# Of the logarithm of a pair's variance against the mean one: two strategies that are trained alike differ by nothing.
LOWEST = -12.0


def borrowed_sd(scores: Floats, best: NDArray[np.intp], *, resolution: float) -> Floats:
    """Standard deviation of each strategy's paired difference from the best one.

    Args:
        scores: [..., k, n] with k >= 4 strategies and n >= 3 seeds.
        best: [...], index of the best strategy.
        resolution: step between two possible scores, 1 / (test samples); 0 for scores that are not rounded.

    Returns:
        [..., k], in score; that of the best itself means nothing. Infinite where no two strategies are of one kind.

    >>> scores = np.array([[0.9, 0.91, 0.93], [0.8, 0.83, 0.8], [0.7, 0.7, 0.71], [0.9, 0.1, 0.9], [0.1, 0.1, 0.1]])
    >>> borrowed_sd(scores, np.intp(0), resolution=1e-4)[1:].round(3).tolist()
    [0.025, 0.023, 1.378, 0.023]
    """
    k, n = scores.shape[-2:]
    assert k >= LEAST_STRATEGIES
    assert n >= LEAST_SEEDS
    pairs = _pair_variances(scores, resolution=resolution)
    lends = _lenders(scores, pairs, resolution=resolution)
    others = ~np.eye(k, dtype=bool)
    among = lends[..., :, None] & lends[..., None, :] & others
    # Where no two are of one kind nothing is borrowed: the uncertainty is then unlimited.
    alone = np.asarray(~among.any(axis=(-2, -1)))
    count = np.maximum(among.sum(axis=(-2, -1)), 1)
    mean = (pairs * among).sum(axis=(-2, -1)) / count
    positive = np.where(mean > 0, mean, 1.0)[..., None]
    relative = pairs / positive[..., None]

    logs = np.log(np.maximum(relative, np.exp(LOWEST)))
    unequal = -(logs * among).sum(axis=(-2, -1)) / count
    own = _own_share(relative, lends, others)
    chosen = np.asarray(best)[..., None]
    pair = np.take_along_axis(relative, chosen[..., None], axis=-2)[..., 0, :]
    wider = 2 * np.maximum(own, np.take_along_axis(own, chosen, axis=-1))
    variance = np.exp(unequal)[..., None] * (1 + pair / 10 + (wider / 4) ** 5)
    variance = np.where(alone[..., None], np.inf, mean[..., None] * np.minimum(variance, 9 * np.maximum(1, pair)))
    return np.asarray(np.sqrt(variance))


def lenders(scores: Floats, *, resolution: float) -> NDArray[np.bool_]:
    """Which strategies' spread is of the same kind as that of the others.

    Args:
        scores, resolution: as in `borrowed_sd`.

    Returns:
        [..., k].

    >>> scores = np.array([[0.9, 0.91, 0.93], [0.8, 0.83, 0.8], [0.7, 0.7, 0.71], [0.9, 0.1, 0.9], [0.1, 0.1, 0.1]])
    >>> lenders(scores, resolution=1e-4).tolist()
    [True, True, True, False, False]
    """
    return _lenders(scores, _pair_variances(scores, resolution=resolution), resolution=resolution)


def _pair_variances(scores: Floats, *, resolution: float) -> Floats:
    centred = scores - scores.mean(axis=-1, keepdims=True)
    covariance = centred @ np.swapaxes(centred, -1, -2) / (scores.shape[-1] - 1)
    own = np.diagonal(covariance, axis1=-2, axis2=-1)
    # Rounding may leave a variance of strategies that are trained alike just below zero.
    return np.asarray(np.maximum(own[..., :, None] + own[..., None, :] - 2 * covariance, 0) + resolution**2 / 6)


def _lenders(scores: Floats, pairs: Floats, *, resolution: float) -> NDArray[np.bool_]:
    k, n = scores.shape[-2:]
    factor = (2 + 20 / (n - 1)) ** 2
    # The strategy itself is nearest to itself and sorted first.
    apart = np.where(np.eye(k, dtype=bool), -1.0, pairs)
    wide = np.partition(apart, 1 + (k - 2) // 4, axis=-1)[..., 1 + (k - 2) // 4]
    narrow = scores.var(axis=-1, ddof=1) + resolution**2 / 12
    vary = np.ptp(scores, axis=-1) > 0
    return np.asarray(vary & (wide <= factor * _middle(wide, vary)) & (factor * narrow >= _middle(narrow, vary)))


def _middle(values: Floats, among: NDArray[np.bool_]) -> Floats:
    """Lower median over some strategies, so that at least half of them are at most that; infinite of none."""
    at = np.maximum(among.sum(axis=-1, keepdims=True) - 1, 0) // 2
    return np.take_along_axis(np.sort(np.where(among, values, np.inf), axis=-1), at, axis=-1)


def _own_share(relative: Floats, lends: NDArray[np.bool_], others: NDArray[np.bool_]) -> Floats:
    """v_i / U: from the mean over those that lend of V_ij = v_i + v_j."""
    partners = lends[..., None, :] & others
    count = lends.sum(axis=-1, keepdims=True)
    mean = (relative * partners).sum(axis=-1) / np.maximum(partners.sum(axis=-1), 1)
    # Those that lend have 1/2 on average. A strategy that does is not among its own partners.
    inside = (mean - count / (2 * np.maximum(count - 1, 1))) * (count - 1) / np.maximum(count - 2, 1)
    return np.asarray(np.where(lends & (count > 2), np.maximum(inside, 0), np.maximum(mean - 0.5, 0)))


STRATEGIES = (4, 5, 7, 10, 16, 24)
SEEDS = (3, 4, 5, 7, 10, 20)
TABLE: tuple[tuple[float, ...], ...] = (
    (3.91, 3.53, 3.36, 3.48, 3.47, 3.57),
    (3.14, 3.06, 3.08, 3.16, 3.31, 3.42),
    (2.81, 2.86, 2.91, 3.00, 3.17, 3.36),
    (2.66, 2.72, 2.85, 3.01, 3.23, 3.43),
    (2.60, 2.68, 2.84, 3.01, 3.27, 3.49),
    (2.51, 2.65, 2.86, 3.05, 3.34, 3.54),
)
"""A row for each of `SEEDS`, a column for each of `STRATEGIES`. That of 24 strategies at three seeds is 0.04 less than
the search gives: it leaves 5.7% to two families of twelve siblings, and 4.3% to what needs most of all else."""


def own_share(strategies: int, seeds: int) -> float:
    """How much of the 5% is left to the pair's own spread: (n - 1) / (n - 1 + 8 (k - 2)).

    Args:
        strategies, seeds: at least 2 each.

    >>> own_share(2, 3), round(own_share(5, 3), 3), round(own_share(5, 10), 3)
    (1.0, 0.077, 0.273)
    """
    if strategies < LEAST_STRATEGIES or seeds < LEAST_SEEDS:
        return 1.0
    return (seeds - 1) / (seeds - 1 + 8 * (strategies - 2))


def critical(strategies: int, seeds: int) -> float:
    """The number of borrowed standard errors from which on a strategy is called worse.

    Args:
        strategies: at least 4.
        seeds: at least 3.

    >>> critical(5, 3) > critical(5, 10)
    True
    """
    assert strategies >= LEAST_STRATEGIES
    assert seeds >= LEAST_SEEDS
    right = min(max(bisect_right(STRATEGIES, strategies), 1), len(STRATEGIES) - 1)
    low, high = STRATEGIES[right - 1], STRATEGIES[right]
    part = math.log(strategies / low) / math.log(high / low)
    column = [row[right - 1] + part * (row[right] - row[right - 1]) for row in TABLE]
    # np.interp needs rising places: 1 / n of the most seeds first. More seeds than the table has need no more.
    return float(np.interp(1 / seeds, [1 / n for n in reversed(SEEDS)], column[::-1]))
