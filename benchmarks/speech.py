"""Strategies on spoken digits of a speaker who was never heard, and the residual network against its plain twin.

    python benchmarks/speech.py run [--data ../shared/data]      some 45 minutes of one core
    python benchmarks/speech.py show

folds       each of the six speakers of the Free Spoken Digit Dataset is left out once and tested on (500 recordings);
            five strategies, each at the rate of its highest validation score with seed 0 where jackson is left out,
            then 3 seeds a fold; res8-narrow and its plain twin, 2 epochs of 140 updates of 16 clips
depth       res8-narrow and res26-narrow against their plain twins across rates, SGD with momentum at a constant rate,
            jackson left out, validation score after DEEP_STEPS updates, 2 seeds
gradients   of each convolution before the first update: norm over the norm of the weights, mean over 4 batches, for
            depths 8, 15 and 26, as they are and with their batch norms taken out

A mean of a strategy is over the 18 runs of six folds and 3 seeds; a difference is fold by fold and seed by seed. Fp32,
one thread. `run` goes on where it was stopped; rows are in speech.json.
"""

from __future__ import annotations

import math
import statistics
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import torch
from runs import Kept, percent, run_or_show
from torch import nn

from calando.records import RunSpec
from calando.strategy import read_strategy
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.tasks.catalog import resolve
from calando.tasks.data.spoken_digits import SPEAKERS
from calando.tasks.workload import Workload
from calando.training.evaluate import evaluate
from calando.training.lane import holding_lane, seed_step
from calando.training.loop import advance
from calando.training.state import start

KEPT = Kept(Path(__file__).with_suffix(".json"))
SEEDS = range(3)
BATCH, EPOCHS, PER_EPOCH = 16, 2, 140
SGD = "sgd(lr={}, momentum=0.9, nesterov=true, weight_decay=0.0005)"
STRATEGIES = {
    "fixed": (SGD, (0.003, 0.01, 0.03, 0.1, 0.3)),
    "step": (f"{SGD} | step(every='34%', factor=0.1)", (0.003, 0.01, 0.03, 0.1, 0.3)),
    "exponential": (f"{SGD} | exponential(1, 0.01)", (0.003, 0.01, 0.03, 0.1, 0.3)),
    "cosine": (f"{SGD} | cosine(1, 0)", (0.003, 0.01, 0.03, 0.1, 0.3)),
    "adam": ("adam(lr={})", (0.0003, 0.001, 0.003, 0.01)),
}
NETWORKS = ("res8-narrow", "plain-res8-narrow")
CHOSEN_ON = "jackson"
DEEP = ("res8-narrow", "plain-res8-narrow", "res26-narrow", "plain-res26-narrow")
DEEP_RATES, DEEP_STEPS, DEEP_SEEDS = (0.001, 0.01, 0.1), 140, range(2)
MEASURED = ("res8-narrow", "res15-narrow", "res26-narrow")
BATCHES = 4


@cache
def loaded(speaker: str, model: str, data_dir: Path) -> tuple[RunSpec, Workload]:
    task = resolve(f"fsdd-test-{speaker}", model=model, batch_size=BATCH)
    machine = Machine(device="cpu", precision="fp32", threads=1)
    return build_run(task, "sgd(lr=1.0)", budget=Budget(steps=1), machine=machine, data_dir=data_dir)


def train(speaker: str, model: str, strategy: str, *, steps: int, seed: int, data_dir: Path) -> dict[str, Any]:
    spec, workload = loaded(speaker, model, data_dir)
    changed = {"strategy": read_strategy(strategy), "seed": seed, "steps": steps, "evaluate_every": steps}
    spec = spec.model_copy(update=changed)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        advance(state, workload, until=steps)
        if state.step < steps:
            return {"outcome": "diverged", "validation": percent(0.1), "test": percent(0.1)}
        test = evaluate(state.network, workload, workload.test, lane=spec.lane)[1]
    return {"outcome": "finished", "validation": percent(state.evaluations[-1].score), "test": percent(test)}


def fold(model: str, name: str, speaker: str, rate: float, seed: int, *, part: str = "folds") -> dict[str, Any]:
    return {"part": part, "model": model, "strategy": name, "speaker": speaker, "rate": rate, "seed": seed}


def best_rate(model: str, name: str) -> float | None:
    """By validation score, seed 0, one fold, once all rates were tried."""
    found = {rate: KEPT.find(**fold(model, name, CHOSEN_ON, rate, 0)) for rate in STRATEGIES[name][1]}
    return max(found, key=lambda rate: found[rate][0]["validation"]) if all(found.values()) else None


def layers(model: str, data_dir: Path, *, norms: bool) -> list[float]:
    """Norm of each convolution's gradient over that of its weights, from the first to the last."""
    spec, workload = loaded(CHOSEN_ON, model, data_dir)
    with holding_lane(spec.lane):
        seed_step(0, -1)
        network = workload.build()
        if not norms:
            network.norms = nn.ModuleList(nn.Identity() for _ in network.norms)
        convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        for step in range(BATCHES):
            loss, _ = workload.judged(network, workload.batch(step, seed=0), precision=nullcontext)
            (loss / BATCHES).backward()
    return [float(f"{(one.weight.grad.norm() / one.weight.norm()).item():.3g}") for one in convolutions]


def run(data_dir: Path) -> None:
    def folds(model: str, name: str, speaker: str, rate: float, seed: int) -> None:
        text = STRATEGIES[name][0].format(rate)
        KEPT.measured(
            fold(model, name, speaker, rate, seed),
            lambda: train(speaker, model, text, steps=EPOCHS * PER_EPOCH, seed=seed, data_dir=data_dir),
        )

    for shape in MEASURED:
        for model in (shape, f"plain-{shape}"):
            for norms in (True, False):
                KEPT.measured(
                    fold(model, "norms" if norms else "no norms", CHOSEN_ON, 0.0, 0, part="gradients"),
                    lambda model=model, norms=norms: {"layers": layers(model, data_dir, norms=norms)},
                )
    for model in NETWORKS:
        for name, (_, rates) in STRATEGIES.items():
            for rate in rates:
                folds(model, name, CHOSEN_ON, rate, 0)
    for seed in SEEDS:
        for speaker in SPEAKERS:
            for model in NETWORKS:
                for name in STRATEGIES:
                    best = best_rate(model, name)
                    assert best is not None, "all rates were just tried"
                    folds(model, name, speaker, best, seed)
        if seed == 0:
            deep(data_dir)


def deep(data_dir: Path) -> None:
    for seed in DEEP_SEEDS:
        for rate in DEEP_RATES:
            for model in DEEP:
                KEPT.measured(
                    fold(model, "fixed", CHOSEN_ON, rate, seed, part="depth"),
                    lambda model=model, rate=rate, seed=seed: train(
                        CHOSEN_ON, model, SGD.format(rate), steps=DEEP_STEPS, seed=seed, data_dir=data_dir
                    ),
                )


def show() -> None:
    seeds = [
        seed for seed in SEEDS if all(len(scores(model, name, seed)) == 6 for model in NETWORKS for name in STRATEGIES)
    ]
    if seeds:
        print(
            f"test score in percent of the speaker left out: mean ± sd over {len(SPEAKERS)} folds x {len(seeds)} seeds;"
        )
        print("difference to fixed, fold by fold and seed by seed: mean ± standard error; validation: known speakers\n")
        for model in NETWORKS:
            fixed = [row["test"] for seed in seeds for row in scores(model, "fixed", seed)]
            for name in STRATEGIES:
                rows = [row for seed in seeds for row in scores(model, name, seed)]
                test = [row["test"] for row in rows]
                known = statistics.fmean(row["validation"] for row in rows)
                edge = " (edge)" if rows[0]["rate"] in (STRATEGIES[name][1][0], STRATEGIES[name][1][-1]) else ""
                print(
                    f"{model:18} {name:12} {rows[0]['rate']:6g}{edge:7} {statistics.fmean(test):6.2f} ± "
                    f"{statistics.stdev(test):5.2f}   {against(fixed, test)}   validation {known:6.2f}"
                )
        print("\nby speaker, mean over strategies and seeds")
        for model in NETWORKS:
            by = {
                speaker: statistics.fmean(
                    row["test"] for name in STRATEGIES for seed in seeds for row in scores(model, name, seed)
                    if row["speaker"] == speaker
                )
                for speaker in SPEAKERS
            }  # fmt: skip
            print(f"{model:18} " + ", ".join(f"{speaker} {score:.1f}" for speaker, score in by.items()))
    if KEPT.find(part="depth"):
        print(f"\nvalidation score after {DEEP_STEPS} updates, by rate; every seed")
        for model in DEEP:
            shown = [f"{rate:g}: " + " ".join(map(str, deep_scores(model, rate))) for rate in DEEP_RATES]
            print(f"{model:20} " + "   ".join(shown))
    print("\ngradient norm over weight norm before the first update, first to last convolution")
    for row in KEPT.find(part="gradients"):
        found = row["layers"]
        print(
            f"{row['model']:20} {row['strategy']:9} last over first {found[-1] / found[0]:8.3g}   "
            + " ".join(f"{one:.2g}" for one in found)
        )


def deep_scores(model: str, rate: float) -> list[float]:
    return [row["validation"] for row in KEPT.find(part="depth", model=model, rate=rate)]


def scores(model: str, name: str, seed: int) -> list[dict[str, Any]]:
    """A strategy's rows at its best rate, one a fold."""
    best = best_rate(model, name)
    if best is None:
        return []
    return [row for speaker in SPEAKERS for row in KEPT.find(**fold(model, name, speaker, best, seed))]


def against(fixed: list[float], test: list[float]) -> str:
    gained = [mine - theirs for mine, theirs in zip(test, fixed, strict=True)]
    error = statistics.stdev(gained) / math.sqrt(len(gained))
    return f"{statistics.fmean(gained):+6.2f} ± {error:.2f}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_or_show(__doc__, run, show)
