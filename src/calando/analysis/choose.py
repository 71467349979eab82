"""Which rate a strategy runs at: trials on a log grid, chosen on validation at seed 0.

    winner    the best of: did not fail, validation score up, inside before at an end, validation loss down, rate down
    goes on   past the end where the winner is, one rate at a time, until the winner is inside or the limit is met
    at edge   the winner is still the outermost rate tried: not tuned out

Every strategy gets the same number of trials, and as many more as its grid goes on by. All of this is a pure function
of the records there are: ask again when a record is added.

A score that no longer rises towards the end says that the end is not what holds it back, so a tie goes to the rate
inside. Where every trial failed, none is best; the grid then goes on below a lowest rate that diverged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise

from calando.analysis.grids import further_rates, next_rate_of_old
from calando.analysis.results import Edge, PlannedRuns, RateChoice
from calando.records.family import RunFamily
from calando.records.record import RunRecord
from calando.records.spec import StrategySpec, StudySpec

__all__ = ["planned_runs", "rates_that_may_come", "runs_to_come", "settle_rate"]

_EDGES: tuple[Edge, ...] = ("low", "high")


def settle_rate(study: StudySpec, strategy: StrategySpec, runs: Mapping[str, RunRecord]) -> RateChoice:
    """How far the choice of this strategy's rate has come, given the records there are.

    A trial that diverged or died wins only where all did. A tie in score goes to a rate inside the grid, then to the
    lower validation loss, then to the lower rate. A grid of a single rate has no ratio and never goes on; its
    winner is on the edge.

    Args:
        runs: records by `RunSpec.digest()`.

    Returns:
        No trials and the given rate for a strategy that has one.
    """
    if strategy.lr is not None:
        return RateChoice(trials=(), digests=(), pending=(), lr=strategy.lr)
    grid = study.rate_grids[strategy.name]
    assert all(low < high for low, high in pairwise(grid)), f"rates must ascend, got {grid}"
    trials = tuple(study.run(strategy.at_rate(lr), seed=0) for lr in grid)
    digests = tuple(trial.digest() for trial in trials)
    records = {trial.lr: runs.get(digest) for trial, digest in zip(trials, digests, strict=True)}
    extended: Edge | None = None
    further: tuple[float, ...] = ()
    while True:
        if pending := tuple(trial for trial in trials if records[trial.lr] is None):
            return RateChoice(trials=trials, digests=digests, pending=pending, lr=None, extended=extended)
        made = {lr: record for lr, record in sorted(records.items()) if record is not None}
        winner = _best_of_old(made) if study.beyond is None else _best(made)
        worked = made[winner].outcome == "finished"
        edge: Edge | None = "low" if winner == trials[0].lr else "high" if winner == trials[-1].lr else None
        # A grid goes on at one end alone: what it adds there cannot make its other end the best.
        if edge is not None and extended is None:
            further = _further(study, grid, edge)
        elif edge != extended:
            further = ()
        if edge is None or not further:
            return RateChoice(
                trials=trials,
                digests=digests,
                pending=(),
                lr=winner,
                extended=extended,
                at_edge=edge is not None,
                failed=not worked,
            )
        more, *rest = further
        further, extended = tuple(rest), edge
        run = study.run(strategy.at_rate(more), seed=0)
        digest = run.digest()
        records[more] = runs.get(digest)
        trials = (run, *trials) if edge == "low" else (*trials, run)
        digests = (digest, *digests) if edge == "low" else (*digests, digest)


def planned_runs(study: StudySpec, strategy: StrategySpec, runs: Mapping[str, RunRecord]) -> PlannedRuns:
    """Which runs a strategy needs, given the records there are.

    Where the rate was chosen, its final run at seed 0 is the winning trial itself: equal specs are one run.

    Args:
        runs: records by `RunSpec.digest()`.
    """
    choice = settle_rate(study, strategy, runs)
    if choice.lr is None:
        return PlannedRuns(choice)
    first = study.run(strategy.at_rate(choice.lr), seed=0)
    family = RunFamily(first)
    return PlannedRuns(choice, finals=tuple(family.digest(seed) for seed in range(study.seeds)), first=first)


def runs_to_come(planned: Iterable[PlannedRuns], *, seeds: int) -> int:
    """How many more runs will be planned once the rates are chosen that are still being chosen.

    Those of the other seeds: the run that chooses a rate is the first of its final runs. Grids may be extended, and
    runs of different strategies may turn out to be one; both are counted when they are known.
    """
    return sum(not one.finals for one in planned) * (seeds - 1)


def rates_that_may_come(study: StudySpec, strategy: StrategySpec, choice: RateChoice) -> tuple[float, ...]:
    """The rates that runs of a strategy have, or may still come to have, ascending; one where it is settled."""
    if choice.lr is not None:
        return (choice.lr,)
    grid = study.rate_grids[strategy.name]
    edges = _EDGES if choice.extended is None else (choice.extended,)
    beyond = {rate for edge in edges for rate in _further(study, grid, edge)}
    return tuple(sorted(beyond | {trial.lr for trial in choice.trials}))


def _further(study: StudySpec, grid: tuple[float, ...], edge: Edge) -> tuple[float, ...]:
    """What may be added past one end of a grid, the nearest first."""
    return next_rate_of_old(grid, edge) if study.beyond is None else further_rates(grid, edge, study.beyond)


def _best(made: Mapping[float, RunRecord]) -> float:
    """The winning rate of trials that are all made; `made` ascends in rate."""
    lowest, highest = min(made), max(made)
    if all(record.outcome != "finished" for record in made.values()) and made[lowest].outcome == "diverged":
        return lowest

    def merit(lr: float) -> tuple[bool, float, bool, float, float]:
        record = made[lr]
        finished = record.outcome == "finished"
        return finished, record.score, finished and lowest < lr < highest, -_loss(record), -lr

    return max(made, key=merit)


def _best_of_old(made: Mapping[float, RunRecord]) -> float:
    """The same as studies of schema 4 and before chose: a tie in score goes to the lower loss wherever it is."""

    def merit(lr: float) -> tuple[bool, float, float, float]:
        record = made[lr]
        return record.outcome == "finished", record.score, -_loss(record), -lr

    return max(made, key=merit)


def _loss(record: RunRecord) -> float:
    return record.loss if math.isfinite(record.loss) else math.inf
