"""A larger question put to a study: what is there stays and counts, only what is new is made.

    the same      workload, lane, updates in an epoch, target, whether seeds are added until verdicts are settled,
                  whether range tests move the grids, how far these go on
    may grow      strategies, lengths, seeds (how many at most, where that changes no look that there was)
    stays         how often runs are evaluated, where range tests have put the grids of the strategies there are, and
                  the rule by which the grids of a study of schema 4 and before go on

Two strategies are the same where their runs are: method, options, schedules, controllers, average, length in
updates, and the rate or the grid it is chosen from. Names do not matter; the new question's are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from calando.analysis.looks import LADDER, USUAL_MOST, may_go_on_from
from calando.errors import UsageError
from calando.language import message
from calando.records import StrategySpec, StudySpec
from calando.records.spec import BEYOND

__all__ = ["Larger", "extended"]

# Two roundings to three digits at most.
ROUNDING = 0.0101
_Key = tuple[str, float | None, tuple[float, ...] | None]


@dataclass(frozen=True)
class Larger:
    """A study after it was given a larger question: as `asked`, and with the grids settled so far."""

    asked: StudySpec
    study: StudySpec


def extended(new: StudySpec, *, asked: StudySpec, settled: StudySpec, folder: Path) -> Larger:
    """The question `new` put to the study that there is.

    The same question again, however its strategies are named, changes nothing but the names.

    Args:
        asked: the study's question as it was asked.
        settled: the same, its grids moved where range tests have settled them.
        folder: the study's, for errors.

    Raises:
        UsageError: the study cannot become this one; it says what differs, and what to do.
    """
    if differing := [*_differing(asked, new)]:
        raise UsageError(
            message(
                "study folder {folder!r} was made with other settings ({differing}); a study may be given more "
                "strategies, lengths and seeds, nothing else: name another --study, or run the command that made it",
                folder=str(folder),
                differing="; ".join(differing),
            )
        )
    if new.seeds > asked.seeds and asked.until is not None and not may_go_on_from(asked.seeds):
        allowed = ", ".join(str(n) for n in LADDER if USUAL_MOST <= n <= 100)
        raise UsageError(
            message(
                "study folder {folder!r} has looked at up to {seeds} seeds, at levels that hold only where "
                "there are no more; name another --study for {asked} ({allowed} can be raised later)",
                folder=str(folder),
                seeds=asked.seeds,
                asked=new.seeds,
                allowed=allowed,
            )
        )
    if new.seeds < asked.seeds:
        raise UsageError(
            message(
                "study folder {folder!r} has {seeds} seeds, got {asked}; ask for at least {seeds}, or name "
                "another --study",
                folder=str(folder),
                seeds=asked.seeds,
                asked=new.seeds,
            )
        )
    beyond = asked.beyond if asked.rate_grids else new.beyond
    grown = new.model_copy(
        update={
            "evaluate_every": asked.evaluate_every,
            "beyond": beyond,
            "rate_grids": {name: _as_it_was(asked, grid) for name, grid in new.rate_grids.items()},
        }
    )
    there = {_key(asked, strategy): strategy.name for strategy in asked.strategies}
    wanted = {strategy.name: _key(grown, strategy) for strategy in grown.strategies}
    for key, name in there.items():
        if key not in wanted.values():
            raise UsageError(
                message(
                    "study folder {folder!r} holds strategy {name!r}, {asked}; ask for both (two lengths: --steps "
                    "20,40), or name another --study",
                    folder=str(folder),
                    name=name,
                    asked=_lacking(asked, name, grown),
                )
            )
    grids, centres = dict(grown.rate_grids), {}
    for name, key in wanted.items():
        old = there.get(key)
        if old in settled.centres:
            centres[name] = settled.centres[old]
            if old in settled.rate_grids:
                grids[name] = settled.rate_grids[old]
    return Larger(asked=grown, study=grown.model_copy(update={"rate_grids": grids, "centres": centres}))


def _differing(asked: StudySpec, new: StudySpec) -> Iterator[str]:
    """What must be the same and is not, as "batch_size 64 instead of 32"."""
    for part in ("workload", "lane"):
        theirs, ours = getattr(asked, part).model_dump(), getattr(new, part).model_dump()
        ours.pop("name", None)  # of the workload; the new one is kept, as those of strategies are
        yield from (
            message("{key} {ours} instead of {theirs}", key=key, ours=ours[key], theirs=theirs.get(key))
            for key in ours
            if ours[key] != theirs.get(key)
        )
    if asked.until != new.until:
        yield (
            message("seeds until decided instead of a fixed number")
            if new.until
            else message("a fixed number of seeds instead of until decided")
        )
    for key in ("steps_per_epoch", "target"):
        theirs, ours = getattr(asked, key), getattr(new, key)
        if theirs != ours:
            yield message("{key} {ours} instead of {theirs}", key=key, ours=ours, theirs=theirs)
    # Where every rate was given, no grid is there to go on, no range test was asked for and none forgone.
    if not asked.rate_grids:
        return
    if asked.beyond is not None and asked.beyond != new.beyond:
        yield message("beyond {ours} instead of {theirs}", ours=new.beyond, theirs=asked.beyond)
    if asked.beyond is None and new.beyond not in (None, BEYOND):
        yield message("beyond {beyond} instead of the one rate of the calando that began it", beyond=new.beyond)
    if asked.find != new.find:
        yield message("--lr find") if new.find else message("no --lr find")


def _key(study: StudySpec, strategy: StrategySpec) -> _Key:
    """Equal for strategies whose runs are equal, in studies that agree in all else."""
    run = study.run(strategy.at_rate(strategy.lr or 1.0), seed=0)
    return run.digest(), strategy.lr, study.rate_grids.get(strategy.name)


def _as_it_was(asked: StudySpec, grid: tuple[float, ...]) -> tuple[float, ...]:
    """The grid as a study of schema 4 and before has it: 0.05 was written as 0.0501 there."""
    if asked.beyond is not None:
        return grid
    for other in asked.rate_grids.values():
        if len(other) == len(grid) and all(
            abs(old - new) <= ROUNDING * new for old, new in zip(other, grid, strict=True)
        ):
            return other
    return grid


def _lacking(asked: StudySpec, name: str, new: StudySpec) -> str:
    """How a strategy of the study is missing in the new question: nearly there, or not at all."""
    strategy = asked.strategy(name)
    for other in sorted(new.strategies, key=lambda one: (one.lr is None) != (strategy.lr is None)):
        if _key(new, other)[0] == _key(asked, strategy.at_rate(other.lr or 1.0))[0]:
            ours, theirs = _rates(new, other), _rates(asked, strategy)
            return message("at {theirs}, here at {ours}", theirs=theirs, ours=ours)
    length = asked.steps_of(strategy)
    plain = strategy.without_horizon().model_copy(update={"name": ""})
    same = [one for one in new.strategies if one.without_horizon().model_copy(update={"name": ""}) == plain]
    if same:
        ours = ", ".join(str(steps) for steps in sorted({new.steps_of(one) for one in same}))
        return message("whose runs have {length} updates, here {ours}", length=length, ours=ours)
    return message("which is left out here ({text}, runs of {length} updates)", text=strategy.text, length=length)


def _rates(study: StudySpec, strategy: StrategySpec) -> str:
    if strategy.lr is not None:
        return message("the rate {rate:g}", rate=strategy.lr)
    grid = study.rate_grids[strategy.name]
    return message("the trial rates {rates}", rates=", ".join(f"{rate:g}" for rate in grid))
