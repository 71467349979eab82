"""Which rate a strategy runs at: trials on a log grid, chosen on validation at seed 0.

    grid      g_0 < … < g_{m-1},  g_i = centre * span ** (i / (m - 1) - 1/2)
    winner    the best of: did not fail, validation score up, validation loss down, rate down
    extended  a winner at g_0 adds g_0² / g_1, one at g_{m-1} adds g_{m-1}² / g_{m-2}: once, then the rate settles

Every strategy gets the same number of trials, and one more where its best lies on the edge. All of this is
a pure function of the records there are: ask again when a record is added.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from calando.analysis.results import Edge, RateChoice
from calando.errors import UsageError
from calando.records.family import RunFamily
from calando.records.record import RunRecord
from calando.records.spec import RunSpec, StrategySpec, StudySpec

__all__ = ["beyond_edges", "final_runs", "log_grid", "settle_rate"]


def log_grid(centre: float, span: float, count: int) -> tuple[float, ...]:
    """`count` rates in geometric progression round `centre`, the highest `span` times the lowest.

    Rates are rounded to three significant digits, so that they read well.

    Args:
        centre: the geometric middle; on the grid where `count` is odd.
        span: highest / lowest rate, above 1 (without effect where `count` is 1).
        count: how many.

    Raises:
        UsageError: a number out of its range, rates beyond what a float holds, or rates that three digits
            cannot tell apart.

    >>> log_grid(0.1, 100, 5)
    (0.01, 0.0316, 0.1, 0.316, 1.0)
    """
    if count < 1:
        raise UsageError(f"the number of trial rates must be at least 1, got {count}")
    if not (math.isfinite(centre) and centre > 0):
        raise UsageError(f"the centre of a rate grid must be positive and finite, got {centre}")
    if not (math.isfinite(span) and span > 0):
        raise UsageError(f"the span of a rate grid (highest / lowest rate) must be positive and finite, got {span}")
    if count == 1:
        return (_three_digits(centre),)
    if span <= 1:
        raise UsageError(f"the span of a rate grid (highest / lowest rate) must be above 1, got {span}")
    grid = tuple(_three_digits(centre * span ** (i / (count - 1) - 0.5)) for i in range(count))
    if grid[0] <= 0 or not math.isfinite(grid[-1]):
        raise UsageError(f"a rate grid round {centre} with span {span} leaves the range of numbers; narrow the span")
    if any(low >= high for low, high in pairwise(grid)):
        raise UsageError(
            f"{count} rates within span {span} are too close to tell apart; widen the span or ask for fewer"
        )
    return grid


def settle_rate(study: StudySpec, strategy: StrategySpec, runs: Mapping[str, RunRecord]) -> RateChoice:
    """How far the choice of this strategy's rate has come, given the records there are.

    A trial that diverged or died wins only where all did. A tie in score goes to the lower validation loss, a
    tie in both to the lower rate, also on an edge: so where the whole grid diverged, the lowest rate wins
    and the one more point is tried below it. A grid of a single rate has no ratio and is never extended; its
    winner is on the edge.

    Args:
        runs: records by `RunSpec.digest()`.

    Returns:
        No trials and the given rate for a strategy that has one.
    """
    if strategy.lr is not None:
        return RateChoice(trials=(), pending=(), lr=strategy.lr)
    grid = study.rate_grids[strategy.name]
    assert all(low < high for low, high in pairwise(grid)), f"rates must ascend, got {grid}"
    trials = tuple(study.run(strategy.at_rate(lr), seed=0) for lr in grid)
    if pending := _without_record(trials, runs):
        return RateChoice(trials=trials, pending=pending, lr=None)

    winner = _best(trials, runs).lr
    edge: Edge | None = "low" if winner == grid[0] else "high" if winner == grid[-1] else None
    beyond = _beyond(grid, edge)
    if edge is None or beyond is None:
        return RateChoice(trials=trials, pending=(), lr=winner, at_edge=edge is not None)

    more = study.run(strategy.at_rate(beyond), seed=0)
    trials = (more, *trials) if edge == "low" else (*trials, more)
    if pending := _without_record((more,), runs):
        return RateChoice(trials=trials, pending=pending, lr=None, extended=edge)
    winner = _best(trials, runs).lr
    return RateChoice(trials=trials, pending=(), lr=winner, extended=edge, at_edge=winner == beyond)


def final_runs(study: StudySpec, strategy: StrategySpec, runs: Mapping[str, RunRecord]) -> tuple[RunSpec, ...]:
    """The runs that are compared: seeds 0 … seeds-1 at the settled rate; none while a trial is pending.

    Where the rate was chosen, seed 0 is the winning trial itself: equal specs are one run.
    """
    lr = settle_rate(study, strategy, runs).lr
    if lr is None:
        return ()
    family = RunFamily(study.run(strategy.at_rate(lr), seed=0))
    return tuple(family.run(seed) for seed in range(study.seeds))


def beyond_edges(grid: tuple[float, ...]) -> tuple[float, ...]:
    """The rates that may still be tried past the edges of an ascending grid.

    >>> beyond_edges((0.01, 0.1, 1.0))
    (0.001, 10.0)
    """
    edges: tuple[Edge, ...] = ("low", "high")
    return tuple(rate for edge in edges if (rate := _beyond(grid, edge)) is not None)


def _best(trials: tuple[RunSpec, ...], runs: Mapping[str, RunRecord]) -> RunSpec:
    def merit(trial: RunSpec) -> tuple[bool, float, float, float]:
        record = runs[trial.digest()]
        loss = record.loss if math.isfinite(record.loss) else math.inf
        return record.outcome == "finished", record.score, -loss, -trial.lr

    return max(trials, key=merit)


def _without_record(trials: tuple[RunSpec, ...], runs: Mapping[str, RunRecord]) -> tuple[RunSpec, ...]:
    return tuple(trial for trial in trials if trial.digest() not in runs)


def _beyond(grid: tuple[float, ...], edge: Edge | None) -> float | None:
    """The next rate past that edge, or None where there is none to give."""
    if edge is None or len(grid) == 1:
        return None
    outermost, neighbour = (grid[0], grid[1]) if edge == "low" else (grid[-1], grid[-2])
    exact = outermost * (outermost / neighbour)
    rounded = _three_digits(exact)
    # A grid finer than three digits: rounding must not fall back on the edge itself.
    rate = rounded if (rounded - outermost) * (outermost - neighbour) > 0 else exact
    return rate if math.isfinite(rate) and rate > 0 and rate != outermost else None


def _three_digits(rate: float) -> float:
    return float(f"{rate:.3g}")
