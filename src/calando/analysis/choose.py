"""Which rate a strategy runs at: trials on a log grid, chosen on validation at seed 0.

    winner    the best of: did not fail, validation score up, inside before at an end, validation loss down, rate down
    goes on   past the end where the winner is, one rate at a time, until the winner is inside or the limit is met
    at edge   the winner is still the outermost rate tried: not fully tuned
    band      the rates round the best trial, without a gap, whose score is at least best - tolerance; its width is
              log10(high / low), in decades

Every strategy gets the same number of trials, and as many more as its grid goes on by. All of this is a pure function
of the records there are: ask again when a record is added.

A score that no longer rises towards the end says that the end is not what limits it, so a tie goes to the rate inside.
Where every trial failed, none is best; the grid then goes on below a lowest rate that diverged.

A better rate may lie where none was tried, so a strategy that is not fully tuned is not yet a fair opponent: it is not
called worse, and beats no other (`verdicts`). Its numbers stay: they are what it does at the rate it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise

from calando.analysis.grids import further_rates, next_rate_of_old
from calando.analysis.results import Edge, PlannedRuns, RateBand, RateChoice, RateTrial
from calando.language import message
from calando.records.family import RunFamily
from calando.records.measure import SHARE, Measure
from calando.records.record import RunRecord
from calando.records.spec import StudySpec
from calando.records.strategy_spec import StrategySpec

__all__ = ["planned_runs", "rate_band", "rates_that_may_come", "runs_to_come", "settle_rate", "untuned_because"]


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
        winner = _best(made, old=study.beyond is None)
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
    """How many more runs will be planned once the pending rates are chosen.

    They are those of the other seeds: the run that chooses a rate is the first of its final runs. Grids may be
    extended, and runs of different strategies may turn out to be one; both are counted when they are known.
    """
    return sum(not one.finals for one in planned) * (seeds - 1)


def untuned_because(study: StudySpec, choice: RateChoice) -> str:
    """Why a settled rate is not fully tuned; "" where it is, was given, or is not settled yet."""
    if choice.lr is None or choice.fully_tuned:
        return ""
    if choice.failed:
        return message("every trial diverged or died")
    if len(choice.trials) == 1:
        return message("only one rate tried")
    if study.beyond is None:
        return message(
            "best rate at the edge of its grid; grids went on by one rate in the calando that began this study"
        )
    return message("best rate at the edge of its grid")


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


def _best(made: Mapping[float, RunRecord], *, old: bool) -> float:
    """The winning rate of trials that are all made; `made` ascends in rate.

    Args:
        old: as studies of schema 4 and before chose: wherever in the grid a rate is.
    """
    lowest, highest = min(made), max(made)
    if not old and made[lowest].outcome == "diverged" and all(one.outcome != "finished" for one in made.values()):
        return lowest

    def merit(lr: float) -> tuple[bool, float, bool, float, float]:
        record = made[lr]
        finished = record.outcome == "finished"
        inside = not old and finished and lowest < lr < highest
        return finished, record.spec.workload.measure.merit(record.score), inside, -_loss(record), -lr

    return max(made, key=merit)


def _loss(record: RunRecord) -> float:
    return record.loss if math.isfinite(record.loss) else math.inf


def rate_band(
    trials: Iterable[RateTrial], *, measure: Measure = SHARE, tolerance: float | None = None
) -> RateBand | None:
    """The band of rates within `tolerance` of the best trial's score.

    Args:
        trials: trials of one strategy, in any order; their rates are distinct.
        measure: measure of the scores.
        tolerance: in score; None: the measure's own, one percentage point of a share.

    Returns:
        None without trials, or where every one failed. An open end means that the band runs over that edge of
        the grid, and is at least this wide.

    >>> scores = {0.01: 0.90, 0.1: 0.95, 1.0: 0.93}
    >>> band = rate_band(RateTrial(lr=lr, score=s, loss=0.2, outcome="finished") for lr, s in scores.items())
    >>> round(band.low, 4), round(band.high, 4), round(band.decades, 2), band.open_low
    (0.0631, 0.3162, 0.7, False)
    """
    assert tolerance is None or tolerance >= 0
    row = sorted(trials, key=lambda trial: trial.lr)
    if not any(trial.outcome == "finished" for trial in row):
        return None
    scores = [measure.merit(trial.score) for trial in row]
    rates = [math.log10(trial.lr) for trial in row]
    # Trials that failed cannot be the centre, but a tie in score goes to the lower rate, as in choosing.
    centre = max(range(len(row)), key=lambda i: (row[i].outcome == "finished", scores[i], -i))
    floor = scores[centre] - (measure.near(scores[centre]) if tolerance is None else tolerance)

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
