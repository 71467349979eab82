"""How much a strategy minds its rate: the width of the band of rates that do nearly as well as the best tried.

    band   the rates round the best trial, without a gap, whose score is at least best - tolerance
    width  log10(high / low), in decades

Between two trials the score is taken as linear in log(rate). A trial that diverged counts as chance, so an end next
to one is drawn close to the last rate that worked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from calando.analysis.results import RateBand, Trial

__all__ = ["rate_band"]


def rate_band(trials: Iterable[Trial], *, tolerance: float = 0.01) -> RateBand | None:
    """The band of rates within `tolerance` of the best trial's score.

    Args:
        trials: of one strategy, in any order; rates are distinct.
        tolerance: in score; 0.01 is one percentage point.

    Returns:
        None without trials, or where every one failed. An open end means that the band runs over that edge of
        the grid: it is at least this wide.

    >>> scores = {0.01: 0.90, 0.1: 0.95, 1.0: 0.93}
    >>> band = rate_band(Trial(lr=lr, score=s, loss=0.2, outcome="finished") for lr, s in scores.items())
    >>> round(band.low, 4), round(band.high, 4), round(band.decades, 2), band.open_low
    (0.0631, 0.3162, 0.7, False)
    """
    assert tolerance >= 0
    row = sorted(trials, key=lambda trial: trial.lr)
    if not any(trial.outcome == "finished" for trial in row):
        return None
    scores = [trial.score for trial in row]
    rates = [math.log10(trial.lr) for trial in row]
    # Trials that failed cannot be the centre, but a tie in score goes to the lower rate, as in choosing.
    centre = max(range(len(row)), key=lambda i: (row[i].outcome == "finished", scores[i], -i))
    floor = scores[centre] - tolerance

    def end(way: int) -> tuple[float, bool]:
        """The band's end that way, and whether the grid ended before the band did."""
        i = centre
        while 0 <= i + way < len(row) and scores[i + way] >= floor:
            i += way
        if not 0 <= i + way < len(row):
            return row[i].lr, True
        share = (scores[i] - floor) / (scores[i] - scores[i + way])
        return float(10 ** (rates[i] + share * (rates[i + way] - rates[i]))), False

    (low, open_low), (high, open_high) = end(-1), end(+1)
    return RateBand(low=low, high=high, decades=math.log10(high / low), open_low=open_low, open_high=open_high)
