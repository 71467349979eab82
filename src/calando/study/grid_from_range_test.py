"""Range tests before a study: what they are made for, and how they move the grids of trial rates.

    rate      a schedule that decays, or a plateau: the peak for a decayed one; else the rate for a constant one
    centre    rate / highest multiplier of the schedule
    grid      round the centre, with the span and the count it had

Strategies of the same method and options share a range test, whatever their lengths: it has none. A grid stays round
the method's usual rate where the range test is not reliable, and where the method works its rate out by itself, which
needs no range test.
"""

from __future__ import annotations

from collections.abc import Mapping

from calando.analysis import log_grid
from calando.controllers import CONTROLLERS
from calando.language import message
from calando.methods import find_method
from calando.records import Centre, RangeRecord, RunSpec, StrategySpec, StudySpec
from calando.schedules.span import Horizon
from calando.strategy import bind
from calando.strategy.called_parts import called

__all__ = ["centre_grids", "centre_of", "is_centred", "notes_on_centres", "range_run", "range_runs"]

DECAYED = 0.5
"""A schedule that ends at or below this share of its highest multiplier decays."""


def range_run(run: RunSpec) -> RunSpec:
    """What the range test for a run is made for: its method and options at the usual rate, nothing else of it.

    A range test knows no length and evaluates nothing; one epoch stands for both.
    """
    theirs, epoch = run.strategy, run.steps_per_epoch
    usual = find_method(theirs.method).usual_rate
    plain = StrategySpec(name=theirs.method, method=theirs.method, lr=usual, options=theirs.options)
    return run.model_copy(update={"strategy": plain, "steps": epoch, "evaluate_every": epoch})


def range_runs(study: StudySpec) -> dict[str, RunSpec]:
    """The range tests that a study still asks for, by digest: of strategies whose grid has not been settled."""
    if not study.find:
        return {}
    strategies = [study.strategy(name) for name in _unsettled(study)]
    runs = [_range_run(study, one) for one in strategies if not find_method(one.method).rate_free]
    return {run.digest(): run for run in runs}


def is_centred(study: StudySpec) -> bool:
    """Whether nothing is left to be settled by range tests, or none was asked for."""
    return not study.find or not _unsettled(study)


def centre_grids(study: StudySpec, ranges: Mapping[str, RangeRecord]) -> StudySpec:
    """The study with its grids moved to what range tests found, by digest of `range_runs`; settled ones stay."""
    grids, centres = dict(study.rate_grids), dict(study.centres)
    for name in _unsettled(study):
        strategy, method = study.strategy(name), find_method(study.strategy(name).method)
        if method.rate_free:
            centres[name] = Centre(lr=None, doubts=(method.own_rate,), updates=0, seconds=0.0)
            continue
        grid = grids[name]
        found = centre_of(
            strategy,
            ranges[_range_run(study, strategy).digest()],
            Horizon(study.steps_of(strategy), study.steps_per_epoch),
        )
        grids[name] = grid if found.lr is None else log_grid(found.lr, grid[-1] / grid[0], len(grid))
        centres[name] = found
    return study.model_copy(update={"rate_grids": grids, "centres": centres})


def centre_of(strategy: StrategySpec, found: RangeRecord, horizon: Horizon) -> Centre:
    curves = bind(strategy, horizon).curves["lr"]
    highest = max(float(curve.sample().max()) for curve in curves)
    cut = any(CONTROLLERS[called(text)].decays for text in strategy.controllers)
    decays = cut or all(curve(horizon.total_steps - 1) <= DECAYED * highest for curve in curves)
    usable = found.decayed if decays else found.constant
    if usable is None or found.doubts:
        return Centre(lr=None, doubts=found.doubts, updates=found.updates, seconds=found.seconds)
    rate, low, high = (float(f"{value / highest:.3g}") for value in usable)
    return Centre(lr=rate, low=low, high=high, updates=found.updates, seconds=found.seconds)


def _unsettled(study: StudySpec) -> list[str]:
    """Also methods that work their rate out, with or without a grid: it is noted that none was looked for."""
    return [
        one.name
        for one in study.strategies
        if one.name not in study.centres and (one.name in study.rate_grids or find_method(one.method).rate_free)
    ]


def _range_run(study: StudySpec, strategy: StrategySpec) -> RunSpec:
    usual = find_method(strategy.method).usual_rate
    return range_run(study.run(strategy.at_rate(usual), seed=0))


def notes_on_centres(study: StudySpec, *, before: Mapping[str, Centre]) -> list[str]:
    """What range tests found, in sentences, of the strategies that had no centre before."""
    notes: list[str] = []
    for name, centre in study.centres.items():
        if name in before:
            continue
        doubts = "; ".join(centre.doubts)
        if centre.lr is None and centre.updates == 0:
            notes.append(message("{name}: no range test: {doubts}", name=name, doubts=doubts))
        elif centre.lr is None:
            notes.append(
                message(
                    "{name}: the range test is not reliable ({doubts}); the usual grid is kept",
                    name=name,
                    doubts=doubts,
                )
            )
        else:
            notes.append(message("{name}: grid centred on {lr:g}, found by a range test", name=name, lr=centre.lr))
    return notes
