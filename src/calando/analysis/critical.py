"""How many borrowed standard errors a difference must have: simulated once, kept in a table.

    T = |mean difference| / (borrowed sd / sqrt(n))       `borrowed`; k strategies, n seeds
    "worse" where T >= critical(k, n), or where the pair's own spread says so at own_share(k, n) of 5%

T follows no textbook distribution, so its critical values are simulated. Normal noise of one spread would give smaller
ones: each is the largest that any kind of noise in `noises` needs to have false verdicts in at most 5.3% of studies of
equal strategies (5.6% for families of siblings). Between its k and n the table is read linearly in log k and 1 / n.
Above 24 strategies it goes on linearly, which is more than enough, since the values rise ever more slowly.

Some of the 5% is kept for the pair's own spread. Else a steady pair among unsteady strategies would hardly ever be
found, however many seeds there are:

    own_share(k, n) = (n - 1) / (n - 1 + 8 (k - 2))       1 where nothing is borrowed, less the more there is to borrow

`python -m calando.analysis.tabulate` makes the table.
"""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np

from calando.analysis.borrowed import LEAST_SEEDS, LEAST_STRATEGIES

__all__ = ["critical", "own_share"]

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
    # np.interp wants rising places: 1 / n of the most seeds first. More seeds than the table has need no more.
    return float(np.interp(1 / seeds, [1 / n for n in reversed(SEEDS)], column[::-1]))
