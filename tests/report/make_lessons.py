"""Lessons made up for tests: records of any course, with no training."""

from collections.abc import Callable

import numpy as np

from calando.records import RunSpec, WorkloadSpec
from calando.records.lesson import Lesson, StoredLesson, find_lesson
from calando.records.probe import LayerRow, ProbeRow
from calando.records.record import Evaluation, Event, RunRecord
from calando.strategy import read_strategy

CHANCE = 0.1
Course = Callable[[str, str, float, int], tuple[np.ndarray, float]]
"""(network, strategy, rate, seed) -> losses and score at the end; a last loss that is not finite: it diverged."""


def record_of(network: str, text: str, losses: np.ndarray, score: float, *, steps: int, seed: int = 0) -> RunRecord:
    strategy = read_strategy(text)
    spec = RunSpec(
        workload=WorkloadSpec(data="digits", model=network, batch_size=32), strategy=strategy, steps=steps,
        steps_per_epoch=45, evaluate_every=45, seed=seed,
    )  # fmt: skip
    diverged = not np.isfinite(losses[-1])
    chance = not diverged and score <= CHANCE
    return RunRecord(
        spec=spec,
        outcome="diverged" if diverged else "finished",
        steps_done=len(losses),
        losses=np.asarray(losses, np.float32),
        rates=np.geomspace(spec.lr, spec.lr / 30 if strategy.schedules else spec.lr, len(losses)),
        evaluations=() if diverged else (Evaluation(step=steps, loss=1.0, score=score),),
        chance=CHANCE,
        events=(Event(steps - 1, "chance", "no better than naming one class"),) if chance else (),
        host={"machine": "made up"},
    )


def make_lesson(course: Course, *, lesson: Lesson | None = None, seeds: int = 1) -> StoredLesson:
    taught = lesson or find_lesson("diverge-and-crawl")
    runs = {
        network: {
            name: tuple(
                record_of(
                    network, text, *course(network, name, float(read_strategy(text).lr or 0), seed),
                    steps=taught.steps, seed=seed,
                )
                for seed in range(seeds)
            )
            for name, text in taught.strategies(network).items()
        }
        for network in taught.networks
    }  # fmt: skip
    return StoredLesson(taught, runs, {network: looks(network) for network in taught.networks})


def looks(network: str) -> tuple[ProbeRow, ...]:
    """Gradients that shrink towards the first layer, unless there are shortcuts."""
    shrinks = 1.0 if "resnet" in network else 0.7
    layers = tuple(
        LayerRow(name=f"layer {n}", gradient=0.2 * shrinks ** (13 - n), update_ratio=1e-3) for n in range(14)
    )
    return tuple(ProbeRow(step=step, rate=0.01, loss=2.0, layers=layers) for step in (1, 50))


def as_usual(network: str, name: str, rate: float, seed: int) -> tuple[np.ndarray, float]:
    """Falls the faster the higher the rate, up to a limit that batch norm moves."""
    limit = 0.01 if "nonorm" in network else 0.1
    if rate >= 100 * limit:
        return np.array([2.3, 9.0, 4e4, 3e12, np.inf]), CHANCE
    if name.startswith("fixed") and rate > limit:
        return np.full(200, 2.0), 0.3
    decay = -np.expm1(-200 * 3 * (rate / limit if name.startswith("fixed") else 2.0) / 200)
    losses = 2.3 * (1 - decay * np.linspace(0, 1, 200)) + 0.02
    return losses, float(CHANCE + 0.85 * decay)
