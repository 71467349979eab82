"""Studies made up for tests: realistic records, and a summary worked out by the real analysis."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np

from calando.analysis.choose import planned_runs, settle_rate
from calando.records import RunSpec, StrategySpec, StudySpec, WorkloadSpec
from calando.records.record import Evaluation, RunRecord, TestScore

SCHEDULES = {
    "fixed": "",
    "step": "step(0.1, every='33%')",
    "multistep": "multistep(0.1, at=('50%', '75%'))",
    "exponential": "exponential(1, 0.01)",
    "polynomial": "polynomial(1, 0, power=2)",
    "linear": "linear(1, 0)",
    "cosine": "cosine(1, 0)",
    "one-cycle": "linear(0.04, 1, over='30%') >> cosine(1, 0)",
    "warmup-stable-decay": "linear(0, 1, over='5%') >> constant(1, over='75%') >> linear(1, 0)",
    "adagrad": "",
    "rmsprop": "",
    "adam": "",
    "adamw": "",
    "adamw-cosine": "cosine(1, 0)",
    "adam-cosine": "cosine(1, 0)",
    "sgd-nesterov": "linear(1, 0.1)",
}
NAMES = tuple(SCHEDULES)
ADAPTIVE = ("adagrad", "rmsprop", "adam", "adamw", "adamw-cosine", "adam-cosine")
CHANCE = 0.1
TEST_N = 360


def make_study(
    names: Sequence[str] = NAMES[:13], *, seeds: int = 3, steps: int = 600, target: float | None = None
) -> StudySpec:
    """Strategies of those names, each with five trial rates."""
    strategies = tuple(
        StrategySpec(
            name=name,
            method=name.split("-")[0] if name in ADAPTIVE else "sgd",
            options={} if name in ADAPTIVE else {"momentum": 0.9},
            schedules={"lr": SCHEDULES[name]} if SCHEDULES.get(name) else {},
        )
        for name in names
    )
    grids = {
        name: tuple(float(rate) for rate in np.geomspace(*((1e-4, 1e-2) if name in ADAPTIVE else (0.01, 1.0)), 5))
        for name in names
    }
    return StudySpec(
        workload=WorkloadSpec(data="digits"),
        strategies=strategies,
        rate_grids=grids,
        seeds=seeds,
        steps=steps,
        steps_per_epoch=max(1, steps // 60),
        evaluate_every=max(1, steps // 30),
        target=target,
    )


def shape_of(name: str, progress: np.ndarray) -> np.ndarray:
    """The multiplier of a strategy of that name."""
    if "cosine" in name:
        return 0.5 * (1 + np.cos(np.pi * progress))
    if name == "step":
        return 0.1 ** np.floor(progress * 3)
    if name == "multistep":
        return np.where(progress < 0.5, 1.0, np.where(progress < 0.75, 0.1, 0.01))
    if name == "exponential":
        return np.exp(-5 * progress)
    if name == "polynomial":
        return (1 - progress) ** 2
    if name in ("linear", "sgd-nesterov"):
        return 1 - progress
    if name == "one-cycle":
        up = np.minimum(progress / 0.3, 1)
        down = np.clip((progress - 0.3) / 0.7, 0, 1)
        return (0.04 + 0.96 * up) * 0.5 * (1 + np.cos(np.pi * down)) + 1e-5
    if name == "warmup-stable-decay":
        return np.minimum(np.minimum(progress / 0.05 + 0.01, 1), np.maximum((1 - progress) / 0.2, 1e-3))
    return np.ones_like(progress)


def make_record(spec: RunSpec, *, diverge_at: int | None = None) -> RunRecord:
    """A run that looks like one: it falls, with noise; best at the middle of its grid, diverging where told to."""
    name = spec.strategy.name
    rng = np.random.default_rng(zlib.crc32(f"{name} {spec.lr:.6g} {spec.seed}".encode()))
    done = spec.steps if diverge_at is None else diverge_at
    step = np.arange(done)
    progress = step / spec.steps
    shape = shape_of(name, progress)
    middle = 1e-3 if name in ADAPTIVE else 0.1
    off = math.log10(spec.lr / middle)
    speed = 7.0 * math.exp(-1.2 * off**2)
    quality = 0.012 + 0.02 * off**2 + 0.001 * (zlib.crc32(name.encode()) % 17)
    fall = np.exp(-speed * np.minimum(progress * 3, 1.5))
    losses = 2.3 * fall + quality * 3 * (0.25 + shape) + 0.03 * np.abs(rng.standard_normal(done)) * (0.2 + fall)
    if diverge_at is not None:
        losses[-max(1, done // 10) :] *= np.geomspace(1, 1e4, max(1, done // 10))
        losses[-1] = np.inf
    looks = list(range(spec.evaluate_every, done + 1, spec.evaluate_every))
    if diverge_at is None and (not looks or looks[-1] != done):
        looks.append(done)
    luck = 0.003 * rng.standard_normal()
    evaluations = []
    for at in looks:
        error = quality * (0.5 + shape[at - 1]) + 0.88 * fall[at - 1] + luck + 0.002 * rng.standard_normal()
        score = round((1 - float(np.clip(error, 0.003, 0.9))) * 144) / 144
        evaluations.append(Evaluation(step=at, loss=float(losses[at - 1] * 1.1), score=score))
    return RunRecord(
        spec=spec,
        outcome="finished" if diverge_at is None else "diverged",
        steps_done=done,
        losses=losses.astype(np.float32),
        rates=spec.lr * shape,
        evaluations=tuple(evaluations),
        chance=CHANCE,
        seconds=done * 0.004,
        host={"machine": "x86_64, 2 cores", "torch": "2.13.0"},
    )


def fabricate(
    study: StudySpec, *, diverging: Sequence[tuple[str, float]] = (), until: int | None = None
) -> tuple[dict[str, RunRecord], dict[str, TestScore]]:
    """Records of the whole study (or of the first `until` runs), and test scores where it is whole.

    Args:
        study: what to run.
        diverging: (strategy, least rate): runs of that strategy at that rate or above diverge.
        until: stop after so many runs.
    """
    runs: dict[str, RunRecord] = {}
    tests: dict[str, TestScore] = {}

    def do(spec: RunSpec) -> RunRecord:
        limits = [least for name, least in diverging if name == spec.strategy.name]
        bad = bool(limits) and spec.lr >= limits[0]
        return runs.setdefault(spec.digest(), make_record(spec, diverge_at=spec.steps // 6 if bad else None))

    finals = []
    for strategy in study.strategies:
        while pending := settle_rate(study, strategy, runs).pending:
            for spec in pending:
                do(spec)
                if until is not None and len(runs) >= until:
                    return runs, tests
    for strategy in study.strategies:
        for spec in planned_runs(study, strategy, runs).final_runs:
            do(spec)
            finals.append(spec)
            if until is not None and len(runs) >= until:
                return runs, tests
    for spec in finals:
        record = runs[spec.digest()]
        rng = np.random.default_rng(zlib.crc32(spec.digest().encode()))
        score = round((record.score + 0.004 * rng.standard_normal()) * TEST_N) / TEST_N
        failed = record.outcome == "diverged"
        tests[spec.digest()] = TestScore(
            score=CHANCE if failed else min(score, 1.0), loss=math.inf if failed else record.loss, n=TEST_N
        )
    return runs, tests
