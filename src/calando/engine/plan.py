"""The plan: what a study still needs, as a pure function of what it has.

    0. range tests     where the study asks for them: one for each method with its options
    1. rate trials     every strategy whose rate is chosen: its grid at seed 0, and the one point beyond an edge
    2. final runs      seeds 0 … at the settled rate; seed 0 of a chosen rate is its trial, already made
    3. test looks      once nothing is left to train: each final run's last weights, once

Nothing is remembered between calls, so a killed study goes on where its store stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calando.analysis import final_runs, settle_rate
from calando.engine.centre import range_runs
from calando.records import RangeRecord, RunRecord, RunSpec, StudySpec, TestScore

__all__ = ["Find", "Job", "Look", "Train", "expected_runs", "needed_checkpoints", "pending"]


@dataclass(frozen=True)
class Find:
    """Make the range test for this run."""

    spec: RunSpec


@dataclass(frozen=True)
class Train:
    """Make this run."""

    spec: RunSpec


@dataclass(frozen=True)
class Look:
    """Read the test part with the final weights of this run; a diverged run has none and scores chance."""

    spec: RunSpec
    diverged: bool


Job = Find | Train | Look


def pending(
    study: StudySpec,
    *,
    runs: Mapping[str, RunRecord],
    tests: Mapping[str, TestScore],
    ranges: Mapping[str, RangeRecord],
) -> list[Job]:
    """Every job that can be started now and has no result, trials first; empty: the study is complete."""
    if not study.centres and (asked := range_runs(study)):
        return [Find(run) for digest, run in asked.items() if digest not in ranges]
    wanted: dict[str, RunSpec] = {}
    choosing = False
    for strategy in study.strategies:
        choice = settle_rate(study, strategy, runs)
        choosing = choosing or bool(choice.pending)
        wanted |= {spec.digest(): spec for spec in choice.pending}
    finals = {spec.digest(): spec for strategy in study.strategies for spec in final_runs(study, strategy, runs)}
    wanted |= {digest: spec for digest, spec in finals.items() if digest not in runs}
    if wanted or choosing:
        return [Train(spec) for spec in wanted.values()]
    unread = [digest for digest in finals if digest not in tests]
    return [Look(finals[digest], diverged=runs[digest].outcome == "diverged") for digest in unread]


def expected_runs(study: StudySpec) -> int:
    """How many runs the study will make if no grid is extended: what "time left" is reckoned from."""
    chosen = [len(grid) + study.seeds - 1 for grid in study.rate_grids.values()]
    return sum(chosen) + study.seeds * (len(study.strategies) - len(chosen))


def needed_checkpoints(study: StudySpec, *, runs: Mapping[str, RunRecord]) -> set[str]:
    """Digests of runs whose checkpoint may still be wanted: not finished, or final, or a trial not yet judged."""
    needed: set[str] = set()
    for strategy in study.strategies:
        choice = settle_rate(study, strategy, runs)
        if choice.lr is None:
            needed |= {spec.digest() for spec in choice.trials}
        needed |= {spec.digest() for spec in final_runs(study, strategy, runs)}
    return needed
