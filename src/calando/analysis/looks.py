"""When a study that adds seeds until its verdicts are settled is looked at, and what each look may spend of the 5%.

    look at n seeds          3     5     8     12    20    32    50    80 …  (LADDER)
    level of that look       0.5%  0.7%  1%    1.3%  2%    0.1% each
    last look, N seeds       the level of the first n >= N; below 20 seeds, where that is more, 5% - the levels before

A verdict at one of many looks at 5% each would be false far more often than 5%. The levels depend on n alone, not on
how many seeds there may be, so whoever allows more seeds later changes no verdict that there is (`may_go_on_from`);
below 20 seeds the last look takes what no later one will spend. That the whole stays at 5% is simulated:
docs/explanation/seeds-added.md, `python -m benchmarks.verdicts.until_decided`.

Sources: Pocock (1977), "Group sequential methods in the design and analysis of clinical trials"; Wang and Tsiatis
(1987), "Approximately optimal one-parameter boundaries for group sequential trials", for levels that rise with n.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from calando.analysis.verdicts import ALPHA

__all__ = ["LADDER", "LEVELS", "USUAL_MOST", "Look", "looks_of", "may_go_on_from"]

USUAL_MOST = 20
"""How many seeds a strategy may be given, unless asked otherwise."""

LADDER = (3, 5, 8, 12, 20, 32, 50, 80, 125, 200, 320, 500, 1000)
LEVELS = (0.005, 0.007, 0.010, 0.013, 0.020, *[0.001] * 8)


class Look(NamedTuple):
    """One look at the test scores: at how many seeds, and how often any verdict of it may be false."""

    n: int
    level: float


def looks_of(most: int) -> tuple[Look, ...]:
    """The looks of a study of at most so many seeds.

    Args:
        most: at least 2.

    >>> looks_of(8)
    (Look(n=3, level=0.005), Look(n=5, level=0.007), Look(n=8, level=0.038))
    >>> [look.n for look in looks_of(16)], looks_of(2)
    ([3, 5, 8, 12, 16], (Look(n=2, level=0.05),))
    """
    assert 2 <= most <= LADDER[-1]
    last = bisect_left(LADDER, most)
    before = tuple(map(Look, LADDER[:last], LEVELS[:last]))
    left = round(ALPHA - sum(LEVELS[:last]), 6)
    return (*before, Look(most, max(LEVELS[last], left)))


def may_go_on_from(most: int) -> bool:
    """Whether a study of at most so many seeds may be allowed more: the looks it had are then those of the larger one.

    >>> may_go_on_from(20), may_go_on_from(16), may_go_on_from(8)
    (True, False, False)
    """
    return most >= USUAL_MOST and most in LADDER
