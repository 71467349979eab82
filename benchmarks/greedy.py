"""Greedy and polling rules against a constant rate and a cosine: do they pay for their trust in the next few updates?

    python benchmarks/greedy.py run [--data ../shared/data]      some 90 minutes of one core; needs transformers
    python benchmarks/greedy.py show

Every way is tried at five or six base rates with seed 0, then gets all five seeds at its best; validation score.

greedy          Transformers' GreedyLR as it comes: the rate is divided by 0.95 after more than 10 losses in a row that
                are each a new best, and multiplied by it after more than 10 that are not; seen is the training loss of
                every update, the rate stays within 0.01 to 10 times the base rate
greedy, smooth  the same on the mean of the last 50 losses
polling         a run is cut into 20 parts; each part is trained at half, at once and at twice the rate before it, and
                the one whose validation loss is least goes on. Three updates are made for each that counts, and not
                charged here, nor are the evaluations: it is as good as polling can be

Source: Subramanian et al. 2025, *GreedyLR*, arXiv:2512.14527; polling after Jin et al. 2021, *AutoLRS*,
arXiv:2105.10762, which models the losses of such trials. `run` goes on where it was stopped; runs are in greedy.json.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from runs import Kept, Task, percent, run_or_show

from calando.controllers import Action, Controller, Observation, Wants
from calando.tasks.workload import Workload
from calando.training.evaluate import evaluate
from calando.training.lane import holding_lane
from calando.training.loop import advance
from calando.training.state import TrainState, capture, put_back, start

KEPT = Kept(Path(__file__).with_suffix(".json"))
SEEDS = range(5)
FASHION = Task(data="fashion-mnist", model="sensitivity:small", batch=64, steps=400, limit=10_000)
CIFAR = Task(data="cifar10", model="resnet8", batch=128, steps=400)
SGD = "sgd(lr={}, momentum=0.9, nesterov=true, weight_decay=0.0005)"
TASKS = {
    "fashion, sgd": (FASHION, SGD, (0.03, 0.08, 0.2, 0.5, 1.2, 3.0)),
    "fashion, adamw": (FASHION, "adamw(lr={}, weight_decay=0.05)", (0.002, 0.005, 0.012, 0.03, 0.08)),
    "cifar10, sgd": (CIFAR, SGD, (0.016, 0.04, 0.1, 0.25, 0.6, 1.5)),
}
SCHEDULES = {"cosine": "cosine(1, 0)", "constant": "constant(1)"}
WAYS = (*SCHEDULES, "greedy", "greedy, smooth", "polling")
PARTS = 20
POLLED = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Greedy:
    """Transformers' scheduler on a rate of 1; it keeps its state to itself, so such a run cannot be resumed."""

    scheduler: Any

    def initial(self) -> dict[str, float]:
        return {}

    def wants(self, step: int) -> Wants:
        return Wants()

    def respond(self, state: dict[str, float], observation: Observation) -> tuple[dict[str, float], Action]:
        self.scheduler.step(observation.loss)
        return state, Action(multiplier=self.scheduler.get_last_lr()[0])


@dataclass
class Held:
    """A multiplier that is set by hand."""

    multiplier: float = field(default=1.0)

    def initial(self) -> dict[str, float]:
        return {}

    def wants(self, step: int) -> Wants:
        return Wants()

    def respond(self, state: dict[str, float], observation: Observation) -> tuple[dict[str, float], Action]:
        return state, Action(multiplier=self.multiplier)


def greedy(*, smooth: bool) -> Greedy:
    from transformers.optimization import GreedyLR

    rate = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    return Greedy(GreedyLR(rate, min_lr=0.01, max_lr=10.0, smooth=smooth))


def add(state: TrainState, controller: Controller) -> None:
    session = state.session
    session.controllers = (*session.controllers, controller)
    session.controller_states.append(controller.initial())
    session.multipliers.append(1.0)


def poll(state: TrainState, workload: Workload, held: Held) -> None:
    """The whole run."""
    steps = state.spec.steps
    for until in (steps * (part + 1) // PARTS for part in range(PARTS)):
        before, rate = capture(state), held.multiplier
        tried = []
        for factor in POLLED:
            put_back(state, before)
            held.multiplier = state.session.multipliers[-1] = rate * factor
            advance(state, workload, until=until)
            loss = math.inf
            if state.stopped is None:
                loss, _ = evaluate(state.network, workload, workload.validation, lane=state.spec.lane)
            tried.append((loss if math.isfinite(loss) else math.inf, factor, capture(state)))
        least, factor, after = min(tried, key=lambda one: one[0])
        put_back(state, after)
        held.multiplier = state.session.multipliers[-1] = rate * factor
        if least == math.inf:
            return


def train(task: Task, way: str, strategy: str, *, seed: int, data_dir: Path) -> dict[str, Any]:
    schedule = SCHEDULES.get(way, "constant(1)")
    spec, workload = task.settled(f"{strategy} | {schedule}", seed=seed, data_dir=data_dir)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        if way == "polling":
            held = Held()
            add(state, held)
            poll(state, workload, held)
        else:
            if way not in SCHEDULES:
                add(state, greedy(smooth=way.endswith("smooth")))
            advance(state, workload, until=spec.steps)
    relative = state.rates[: state.step] / state.rates[0]
    path = [round(float(relative[state.step * part // 10]), 3) for part in range(10)]
    if state.step < spec.steps:
        return {"outcome": "diverged", "score": percent(1 / workload.classes), "path": path}
    return {"outcome": "finished", "score": percent(state.evaluations[-1].score), "path": path}


def key(name: str, way: str, rate: float, seed: int) -> dict[str, Any]:
    task, strategy, _ = TASKS[name]
    return {"task": str(task), "way": way, "strategy": strategy.format(rate), "seed": seed}


def best_rate(name: str, way: str) -> float | None:
    """By seed 0, once all rates were tried."""
    rates = TASKS[name][2]
    found = {rate: KEPT.find(**key(name, way, rate, SEEDS[0])) for rate in rates}
    return max(rates, key=lambda rate: found[rate][0]["score"]) if all(found.values()) else None


def run(data_dir: Path) -> None:
    def measure(name: str, way: str, rate: float, seed: int) -> None:
        asked = key(name, way, rate, seed)
        KEPT.measured(asked, lambda: train(TASKS[name][0], way, asked["strategy"], seed=seed, data_dir=data_dir))

    for name, (_, _, rates) in TASKS.items():
        for way in WAYS:
            for rate in rates:
                measure(name, way, rate, SEEDS[0])
            best = best_rate(name, way)
            assert best is not None, "all rates were just tried"
            for seed in SEEDS:
                measure(name, way, best, seed)


def show() -> None:
    print(
        f"validation score in percent, mean [lowest, highest] of {len(SEEDS)} seeds at each way's best rate; difference"
    )
    print("to cosine seed by seed, mean ± standard error; rate over base rate at the start of each tenth, first seed")
    for name, (task, strategy, rates) in TASKS.items():
        print(f"\n{name}: {task}\n{'':16}{strategy.format('…')}")
        scores: dict[str, list[float]] = {}
        for way in WAYS:
            best = best_rate(name, way)
            rows = [row for seed in SEEDS for row in KEPT.find(**key(name, way, best, seed))] if best else []
            if len(rows) == len(SEEDS) and (way == "cosine" or "cosine" in scores):
                scores[way] = [row["score"] for row in rows]
                edge = " (edge)" if best in (rates[0], rates[-1]) else ""
                path = " ".join(f"{value:g}" for value in rows[0]["path"])
                gained = against(scores["cosine"], scores[way])
                print(f"{way:16}{best:8g}{edge:7} {shown(scores[way])} {gained}  {path}")


def shown(scores: list[float]) -> str:
    return f"{statistics.fmean(scores):6.2f} [{min(scores):.2f}, {max(scores):.2f}]"


def against(cosine: list[float], scores: list[float]) -> str:
    gained = [mine - theirs for mine, theirs in zip(scores, cosine, strict=True)]
    return f"{statistics.fmean(gained):+6.2f} ± {statistics.stdev(gained) / math.sqrt(len(gained)):.2f}"


if __name__ == "__main__":
    run_or_show(__doc__, run, show)
