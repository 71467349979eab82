"""Seeds added until the verdicts are settled: who is still in question, and how many seeds that asks for.

    in question    at first all strategies; at each look (`looks`) those with scores at its n seeds are compared
    settled        called worse at a look, at its level: no further seeds; the verdict stays, with the n it had
    decided        nobody is in question but the best and those on which there can be no verdict (not fully tuned), or
                   the last look was taken: "cannot distinguish" is then the answer

Every look is a function of the records of its own seeds alone, so neither later records nor the order in which records
come change what it found: a killed study that goes on decides the same.

The best of a look is the best of those in question. A strategy that was settled against the best of an early look is
not held against a later one, since it has no scores at the later seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from calando.analysis.choose import planned_runs, untuned_because
from calando.analysis.final_scores import (
    coarsest_step,
    counting_failures,
    did_work,
    rank,
    spread_of,
    spread_of_tests,
    unbiased,
)
from calando.analysis.looks import Look, looks_of
from calando.analysis.results import Comparison, PlannedRuns
from calando.analysis.verdicts import against_best
from calando.records.record import RunRecord, TestScore
from calando.records.spec import StudySpec

__all__ = ["Standing", "plan_study", "seeds_at_first", "stand"]


@dataclass(frozen=True)
class Standing:
    """How far a study that adds seeds has come.

    Args:
        seeds: strategy -> how many final runs it needs, as far as records decide; for good where it is settled.
        looks: looks taken.
        settled: strategy -> seeds at the look that called it worse, or found that no run of it works.
        comparisons: strategy -> what its last look found; the best of the last look has none.
        best: the best strategy of the last look taken; None before the first.
        decided: whether no further seed is asked for.
    """

    seeds: Mapping[str, int]
    looks: tuple[Look, ...] = ()
    settled: Mapping[str, int] = field(default_factory=dict)
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    best: str | None = None
    decided: bool = False

    @property
    def in_question(self) -> tuple[str, ...]:
        """Strategies that are not settled, in the study's order."""
        return tuple(name for name in self.seeds if name not in self.settled)


def seeds_at_first(study: StudySpec) -> int:
    """How many seeds every strategy is given: all, or where seeds are added those of the first look."""
    return study.seeds if study.until is None else looks_of(study.seeds)[0].n


def plan_study(
    study: StudySpec, runs: Mapping[str, RunRecord], tests: Mapping[str, TestScore]
) -> tuple[list[PlannedRuns], Standing | None]:
    """The runs that each strategy needs, given the records there are; and where seeds are added, how that stands.

    Args:
        runs: records by `RunSpec.digest()`.
        tests: test scores, by the same.
    """
    plans = [planned_runs(study, strategy, runs) for strategy in study.strategies]
    if study.until is None:
        return plans, None
    standing = stand(study, plans, runs, tests)
    asked = zip(study.strategies, plans, strict=True)
    return [planned.up_to(standing.seeds[strategy.name]) for strategy, planned in asked], standing


def stand(
    study: StudySpec, plans: Sequence[PlannedRuns], runs: Mapping[str, RunRecord], tests: Mapping[str, TestScore]
) -> Standing:
    """Take every look that the records allow.

    Args:
        study: one that adds seeds.
        plans: of its strategies, in order, with the final runs of all seeds that there may be.
        runs, tests: by digest; those of no use are passed over.
    """
    assert study.until is not None
    looks = looks_of(study.seeds)
    names = [strategy.name for strategy in study.strategies]
    planned = dict(zip(names, plans, strict=True))
    standing = Standing(seeds=dict.fromkeys(names, looks[0].n))
    if any(one.choice.lr is None for one in plans):
        return standing
    for look in looks:
        seeds = {name: standing.settled.get(name, look.n) for name in names}
        standing = replace(standing, seeds=seeds)
        needed = [digest for name in standing.in_question for digest in planned[name].finals[: look.n]]
        if any(digest not in runs or digest not in tests for digest in needed):
            return standing
        standing = _look(study, planned, standing, look, runs, tests)
        if standing.decided:
            return standing
    return replace(standing, decided=True)


def _look(
    study: StudySpec,
    planned: Mapping[str, PlannedRuns],
    before: Standing,
    look: Look,
    runs: Mapping[str, RunRecord],
    tests: Mapping[str, TestScore],
) -> Standing:
    """What a look finds; all that it needs is there."""
    measure, seeds = study.workload.measure, before.seeds
    trials = (digest for one in planned.values() for digest in one.trials)
    finals = {name: planned[name].finals[: seeds[name]] for name in seeds}
    # How a failed run counts may depend on other runs' scores: of those of this look, never of later ones.
    known = dict.fromkeys((*trials, *(digest for digests in finals.values() for digest in digests)))
    counted = counting_failures({digest: runs[digest] for digest in known}, measure)
    records = {name: {digest: counted[digest] for digest in finals[name]} for name in seeds}
    works = {name: [one for digest, one in records[name].items() if did_work(one, tests[digest])] for name in seeds}
    scores = {name: spread_of_tests(records[name], tests) for name in before.in_question}

    def place(name: str) -> tuple[bool, float, float]:
        chosen = study.strategy(name).lr is None
        own = unbiased(records[name].values(), chosen=chosen) or [one.score for one in records[name].values()]
        return not works[name], *rank(scores[name], spread_of(own), measure, by_test=True)

    ranked = sorted(before.in_question, key=place)
    compared = against_best(
        ranked[0],
        {name: spread.values for name in ranked if (spread := scores[name]) is not None},
        resolution=coarsest_step(known, tests),
        measure=measure,
        alpha=look.level,
    )
    settled = {
        one.strategy: look.n
        for one in compared
        if one.verdict == "worse" or (not works[one.strategy] and measure.merit(one.difference) > 1e-12)
    }
    open_ = [
        one.strategy
        for one in compared
        if one.strategy not in settled and not untuned_because(study, planned[one.strategy].choice)
    ]
    nothing_learns = all(one.at_chance for those in works.values() for one in those)
    return Standing(
        seeds=seeds,
        looks=(*before.looks, look),
        settled={**before.settled, **settled},
        comparisons={
            **{name: one for name, one in before.comparisons.items() if name in before.settled},
            **{one.strategy: one for one in compared},
        },
        best=ranked[0],
        decided=nothing_learns or not open_,
    )
