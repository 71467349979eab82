"""Batch norm under schedule-free methods: their scores against cosine decay, and what recalibration gives.

    python benchmarks/batch_norm.py run [--data ../shared/data]      some 70 minutes of one core
    python benchmarks/batch_norm.py show

CIFAR-10 (JPEG), ResNet-8, 600 updates of 128 images out of all that are not held out, a warmup of 5 % for everyone.
Each method is tried with seed 0 at rates up to one that is too high, then gets all 3 seeds at its best; validation
score. A schedule-free training is evaluated several times from the same weights: with the statistics that training
left, which are of other weights ("off"), and with those worked out again on BATCHES batches of training images. The
other way, "kept at x": the statistics are gathered while training, by a second forward pass of every batch through the
weights that are evaluated, and by that alone, as running means (momentum 0.1); a third more work an update.

Goal: with recalibration, schedule-free SGD and AdamW end at least level with SGD and AdamW under cosine decay, minus
0.5 points. `run` goes on where it was stopped; runs are kept in batch_norm.json.
"""

from __future__ import annotations

import itertools
import math
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import torch
from runs import Kept, Task, percent, run_or_show

from calando.methods import find_method
from calando.strategy import read_strategy
from calando.training.evaluate import BATCHES as OURS
from calando.training.evaluate import evaluate, recalibrate
from calando.training.lane import holding_lane
from calando.training.loop import advance
from calando.training.network_statistics import statistics_of
from calando.training.state import start

KEPT = Kept(Path(__file__).with_suffix(".json"))
SEEDS = range(3)
TASK = Task(data="cifar10", model="resnet8", batch=128, steps=600)
BATCHES = (0, 5, OURS, 100)
DECAYED = "linear(0.05, 1, over='5%') >> cosine(1, 0)"
FLAT = "linear(0.05, 1, over='5%') >> constant(1)"
STRATEGIES = {
    "sgd, cosine": (
        f"sgd(lr={{}}, momentum=0.9, nesterov=true, weight_decay=0.0005) | {DECAYED}",
        (0.04, 0.1, 0.25, 0.6, 1.5),
    ),
    "schedule-free sgd": (f"schedule_free_sgd(lr={{}}, weight_decay=0.0005) | {FLAT}", (0.4, 1, 2.5, 6, 15)),
    "adamw, cosine": (f"adamw(lr={{}}, weight_decay=0.05) | {DECAYED}", (0.001, 0.0025, 0.006, 0.015, 0.04, 0.1)),
    "schedule-free adamw": (
        f"schedule_free_adamw(lr={{}}, weight_decay=0.05) | {FLAT}",
        (0.001, 0.0025, 0.006, 0.015, 0.04, 0.1, 0.25, 0.6),
    ),
}
AGAINST = {"schedule-free sgd": "sgd, cosine", "schedule-free adamw": "adamw, cosine"}
GOAL = -0.5
AT_X = "; statistics kept at x"


def key(name: str, rate: float, seed: int) -> dict[str, Any]:
    return {"task": str(TASK), "strategy": STRATEGIES[name][0].format(rate), "seed": seed}


def train(strategy: str, *, seed: int, data_dir: Path) -> dict[str, Any]:
    """One training; "score" as the loop gives it, "recalibrated" by number of batches, "training": of the weights y."""
    spec, workload = TASK.settled(strategy, seed=seed, data_dir=data_dir)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        advance(state, workload, until=spec.steps)
        if state.stopped is not None:
            return {"outcome": "diverged", "score": percent(1 / workload.classes)}

        def score() -> float:
            return percent(evaluate(state.network, workload, workload.validation, lane=spec.lane)[1])

        row = {"outcome": "finished", "score": percent(state.evaluations[-1].score)}
        if state.session.eval_mode:
            row["training"] = score()
            row["recalibrated"] = {}
            for batches in BATCHES:
                with state.session.evaluated(partial(recalibrate, state, workload, batches=batches)):
                    row["recalibrated"][str(batches)] = score()
    return row


def train_at_x(strategy: str, *, seed: int, data_dir: Path) -> dict[str, Any]:
    """The same training, its statistics kept at the weights that are evaluated; "score" with those, as they are."""
    spec, workload = TASK.settled(strategy, seed=seed, data_dir=data_dir)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        network, layers = state.network, statistics_of(state.network)
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.momentum = 0.0  # at y nothing is gathered
        for step in range(spec.steps):
            advance(state, workload, until=step + 1)
            if state.stopped is not None:
                return {"outcome": "diverged", "score": percent(1 / workload.classes)}
            state.optimizer.eval()
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
            images, _ = workload.batch(step, seed=spec.seed)
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=spec.lane.precision == "bf16"):
                network.train()(images.contiguous(memory_format=torch.channels_last))
            for layer in layers:
                layer.momentum = 0.0
            if step + 1 < spec.steps:
                state.optimizer.train()
        return {
            "outcome": "finished",
            "score": percent(evaluate(network, workload, workload.validation, lane=spec.lane)[1]),
        }


def best_rate(name: str) -> float | None:
    """By seed 0, once all rates were tried."""
    rates = STRATEGIES[name][1]
    found = {rate: KEPT.find(**key(name, rate, SEEDS[0])) for rate in rates}
    return max(rates, key=lambda rate: found[rate][0]["score"]) if all(found.values()) else None


def run(data_dir: Path) -> None:
    def measure(name: str, rate: float, seed: int) -> None:
        asked = key(name, rate, seed)
        KEPT.measured(asked, lambda: train(asked["strategy"], seed=seed, data_dir=data_dir))

    for name, (_, rates) in STRATEGIES.items():
        for rate in rates:
            measure(name, rate, SEEDS[0])
    for name in STRATEGIES:
        best = best_rate(name)
        assert best is not None, "all rates were just tried"
        for seed in SEEDS:
            measure(name, best, seed)
    for name, seed in itertools.product(AGAINST, SEEDS):
        asked = key(name, best_rate(name), seed)
        strategy = asked["strategy"]
        KEPT.measured(
            asked | {"strategy": strategy + AT_X},
            lambda strategy=strategy, seed=seed: train_at_x(strategy, seed=seed, data_dir=data_dir),
        )


def show() -> None:
    print(f"{TASK}; validation score in percent, mean [lowest, highest]; {BATCHES} batches of recalibration")
    means: dict[str, float] = {}
    for name, (_, rates) in STRATEGIES.items():
        trials = [
            found[0]["score"] if (found := KEPT.find(**key(name, rate, SEEDS[0]))) else math.nan for rate in rates
        ]
        tried = ", ".join(f"{rate:g}: {score:.2f}" for rate, score in zip(rates, trials, strict=True))
        print(f"{name:20} trials at seed 0   {tried}")
        best = best_rate(name)
        rows = [row for seed in SEEDS for row in KEPT.find(**key(name, best, seed))] if best is not None else []
        if len(rows) < len(SEEDS):
            continue
        edge = ", at the grid's edge" if best in (rates[0], rates[-1]) else ""
        scores = [row["score"] for row in rows]
        means[name] = statistics.fmean(scores)
        print(f"{'':20} {'rate ' + format(best, 'g'):18} {shown(scores)} (n={len(rows)}){edge}")
        if find_method(read_strategy(STRATEGIES[name][0].format(best)).method).eval_mode:
            print(f"{'':20} {'weights y':18} {shown([row['training'] for row in rows])}")
            for batches in map(str, BATCHES):
                told = "off" if batches == "0" else f"{batches} batches"
                print(f"{'':20} {told:18} {shown([row['recalibrated'][batches] for row in rows])}")
            wanted = [key(name, best, seed) for seed in SEEDS]
            at_x = [row["score"] for one in wanted for row in KEPT.find(**one | {"strategy": one["strategy"] + AT_X})]
            if at_x:
                print(f"{'':20} {'kept at x':18} {shown(at_x)} (n={len(at_x)})")
    for name, other in AGAINST.items():
        if name in means and other in means:
            gained = means[name] - means[other]
            verdict = "reached" if gained >= GOAL else "MISSED"
            print(f"{name} - {other}: {gained:+.2f} points (asked: at least {GOAL:g}): {verdict}")


def shown(scores: list[float]) -> str:
    return f"{statistics.fmean(scores):6.2f} [{min(scores):.2f}, {max(scores):.2f}]"


if __name__ == "__main__":
    run_or_show(__doc__, run, show)
