"""Hand-made studies: records without training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace

import numpy as np
import pytest

from calando.analysis import planned_runs
from calando.records import RunSpec, StrategySpec, StudySpec, WorkloadSpec
from calando.records.record import Evaluation, RunRecord, TestScore

CHANCE = 0.1
STEPS = 100
Judge = Callable[[RunSpec], float | str]


def make_study(
    *strategies: StrategySpec,
    seeds: int = 3,
    grid: tuple[float, ...] = (0.01, 0.1, 1.0),
    target: float | None = None,
    **more: int | None,
) -> StudySpec:
    return StudySpec(
        workload=WorkloadSpec(data="digits"),
        strategies=strategies,
        rate_grids={strategy.name: grid for strategy in strategies if strategy.lr is None},
        seeds=seeds,
        steps=STEPS,
        steps_per_epoch=10,
        evaluate_every=25,
        target=target,
        **more,
    )


def make_strategy(
    name: str, *, lr: float | None = None, schedule: str | None = None, method: str = "sgd"
) -> StrategySpec:
    # An option of its own keeps strategies apart: runs are equal where training is, whatever the name.
    schedules = {} if schedule is None else {"lr": schedule}
    mark = sum(ord(letter) * 31**i for i, letter in enumerate(name))
    return StrategySpec(name=name, method=method, lr=lr, schedules=schedules, options={"mark": mark})


def make_record(spec: RunSpec, verdict: float | str, *, loss: float | None = None) -> RunRecord:
    """`verdict`: the score at the end, "diverged" (at half of the steps) or "died"."""
    diverged = verdict == "diverged"
    score = CHANCE if isinstance(verdict, str) else verdict
    done = spec.steps // 2 if diverged else spec.steps
    looks = range(spec.evaluate_every, done + 1, spec.evaluate_every)
    end = (1 - score) if loss is None else loss
    return RunRecord(
        spec=spec,
        outcome="diverged" if diverged else "died" if verdict == "died" else "finished",
        steps_done=done,
        losses=np.zeros(done, np.float32),
        rates=np.full(done, spec.lr),
        evaluations=tuple(Evaluation(step=step, loss=end, score=score * (step / STEPS)) for step in looks),
        chance=CHANCE,
        seconds=1.0,
    )


def play(study: StudySpec, judge: Judge) -> Iterator[dict[str, RunRecord]]:
    """Every stage of a study, from no record to all of them, one record at a time."""
    runs: dict[str, RunRecord] = {}
    while True:
        yield dict(runs)
        plans = [planned_runs(study, strategy, runs) for strategy in study.strategies]
        asked = [run for one in plans for run in one.choice.pending + one.final_runs]
        missing = [run for run in asked if run.digest() not in runs]
        if not missing:
            return
        runs[missing[0].digest()] = make_record(missing[0], judge(missing[0]))


def look(study: StudySpec, runs: Mapping[str, RunRecord], score: Callable[[RunSpec], float]) -> dict[str, TestScore]:
    """Test scores of all final runs that did not diverge."""
    finals = [run for strategy in study.strategies for run in planned_runs(study, strategy, runs).final_runs]
    return {
        run.digest(): TestScore(score=score(run), loss=0.1, n=1000)
        for run in finals
        if runs[run.digest()].outcome != "diverged"
    }


@pytest.fixture(scope="session")
def fake() -> SimpleNamespace:
    return SimpleNamespace(
        chance=CHANCE,
        look=look,
        play=play,
        record=make_record,
        steps=STEPS,
        strategy=make_strategy,
        study=make_study,
    )
