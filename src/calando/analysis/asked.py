"""Which runs a strategy has asked for so far, by digest: what a summary, a page and a figure look up.

Final runs differ in their seed alone, so naming a thousand of them costs little more than naming one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from calando.analysis.choose import settle_rate
from calando.analysis.results import RateChoice
from calando.records.family import RunFamily
from calando.records.record import RunRecord
from calando.records.spec import StrategySpec, StudySpec

__all__ = ["Asked", "asked_for", "known_runs", "runs_to_come"]


@dataclass(frozen=True)
class Asked:
    """The runs of one strategy.

    Args:
        choice: how far that of its rate has come.
        trials: digests, ascending in rate.
        finals: digests, by seed from 0; empty while a trial is pending. The run that chose the rate is in both.
    """

    choice: RateChoice
    trials: tuple[str, ...]
    finals: tuple[str, ...]

    @property
    def digests(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys(self.trials + self.finals))


def asked_for(study: StudySpec, strategy: StrategySpec, runs: Mapping[str, RunRecord]) -> Asked:
    """What `strategy` asks for, given the records there are.

    Args:
        runs: records by `RunSpec.digest()`.
    """
    choice = settle_rate(study, strategy, runs)
    finals: tuple[str, ...] = ()
    if choice.lr is not None:
        family = RunFamily(study.run(strategy.at_rate(choice.lr), seed=0))
        finals = tuple(family.digest(seed) for seed in range(study.seeds))
    return Asked(choice=choice, trials=tuple(trial.digest() for trial in choice.trials), finals=finals)


def known_runs(asked: Iterable[Asked]) -> dict[str, None]:
    """Digests of all that is asked for so far, each once: equal training is one run."""
    return dict.fromkeys(digest for one in asked for digest in one.digests)


def runs_to_come(asked: Iterable[Asked], *, seeds: int) -> int:
    """How many runs will be asked for once the rates are chosen that are still being chosen.

    Those of the other seeds: the run that chooses a rate is the first of its final runs. Grids may be extended, and
    runs of different strategies may turn out to be one; both are counted when they are known.
    """
    return sum(not one.finals for one in asked) * (seeds - 1)
