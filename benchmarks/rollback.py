"""Rollback: does it rescue runs whose rate is too large, on networks that explode and on networks that die?

    python benchmarks/rollback.py run [--data ../shared/data] [--only NAME]      some 50 minutes of one core
    python benchmarks/rollback.py show

Digits and 10,000 images of Fashion-MNIST and of CIFAR-10, each with a network with batch norm (`cnn`, `resnet8`) and
one of six convolutions without any normalisation (`finders.nets:deep`); SGD with momentum 0.9, cosine decay, 300
updates, validation score. CIFAR-10 is held out: the rules were made on the other two, and never looked at it.
The best rate is found on GRID: every rate with seed 0, the two best of them with all 3 seeds. Then FACTORS times that
rate, 3 seeds each: as it is, with `| rollback()`, and with `| edge(until='100%')` as well, which sees a rate that is
too high without anything going wrong.

Goals: with rollback no run ends diverged or died, and the mean score at 3 times the best rate is within 1 point of the
best rate's. `run` goes on where it was stopped; runs are kept in rollback.json. `run --again` forgets those with
rollback first, for when the controller has changed.
"""

from __future__ import annotations

import argparse
import statistics
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import torch
from runs import Kept, Task, percent

KEPT = Kept(Path(__file__).with_suffix(".json"))
SEEDS = range(3)
GRID = (0.002, 0.005, 0.012, 0.03, 0.08, 0.2, 0.5)
FACTORS = (1, 3, 10, 30)
WAYS = {"-": "", "rollback": " | rollback()", "and edge": " | rollback() | edge(until='100%')"}
GOAL = 1.0


def _task(data: str, model: str) -> Task:
    small = data == "digits"
    return Task(
        data=data,
        model=model,
        batch=32 if small else 64,
        steps=300,
        limit=None if small else 10_000,
        validation=0.4 if small else 0.1,
    )


DEEP = "finders.nets:deep"
TASKS = {
    "digits-cnn": _task("digits", "cnn"),
    "digits-deep": _task("digits", DEEP),
    "fashion-cnn": _task("fashion-mnist", "cnn"),
    "fashion-deep": _task("fashion-mnist", DEEP),
    "cifar10-resnet8": _task("cifar10", "resnet8"),
    "cifar10-deep": _task("cifar10", DEEP),
}


def strategy(rate: float, *, way: str = "-") -> str:
    return f"sgd(lr={rate:g}, momentum=0.9, weight_decay=0.0005) | cosine(1, 0){WAYS[way]}"


def measure(task: Task, rate: float, seed: int, *, data_dir: Path, way: str = "-") -> dict[str, Any]:
    """The row of one run."""
    text = strategy(rate, way=way)

    def train() -> dict[str, Any]:
        record = task.run(text, seed=seed, data_dir=data_dir)
        return {
            "score": percent(record.score),
            "outcome": record.outcome,
            "steps": record.steps_done,
            "rewinds": sum(event.kind == "rewind" for event in record.events),
            "undone": record.undone,
            "why": [event.text for event in record.events if event.kind in ("controller", "diverged")],
        }

    return KEPT.measured({"task": str(task), "strategy": text, "seed": seed}, train)


def mean_score(task: Task, rate: float) -> float | None:
    """Over the seeds, in percent; None where one is missing."""
    rows = rows_of(task, rate)
    return statistics.fmean(row["score"] for row in rows) if len(rows) == len(SEEDS) else None


def rows_of(task: Task, rate: float, *, way: str = "-") -> list[dict[str, Any]]:
    return KEPT.find(task=str(task), strategy=strategy(rate, way=way))


def two_best(task: Task) -> list[float]:
    """Of the grid, by the first seed; none before all of it was measured."""
    found = {rate: [row for row in rows_of(task, rate) if row["seed"] == SEEDS[0]] for rate in GRID}
    return sorted(GRID, key=lambda rate: found[rate][0]["score"])[-2:] if all(found.values()) else []


def best_rate(task: Task) -> float | None:
    """Of the two best, by all seeds."""
    scores = {rate: mean_score(task, rate) for rate in two_best(task)}
    known = {rate: score for rate, score in scores.items() if score is not None}
    return max(known, key=known.__getitem__) if len(known) == 2 else None


def run(data_dir: Path, *, only: str) -> None:
    chosen = [task for name, task in TASKS.items() if only in name]
    for task in chosen:
        for rate in GRID:
            measure(task, rate, SEEDS[0], data_dir=data_dir)
        for rate in two_best(task):
            for seed in SEEDS:
                measure(task, rate, seed, data_dir=data_dir)
    for way in WAYS:
        for task in chosen:
            best = best_rate(task)
            assert best is not None, "the grid was just measured"
            for factor in FACTORS:
                for seed in SEEDS:
                    measure(task, factor * best, seed, way=way, data_dir=data_dir)


def show() -> None:
    lost, failed = defaultdict(dict), Counter()
    for name, task in TASKS.items():
        best = best_rate(task)
        if best is None:
            print(f"{name}: not measured yet")
            continue
        top = mean_score(task, best)
        edge = ", at the grid's edge" if best in (GRID[0], GRID[-1]) else ""
        print(f"{name}: {task}; best rate {best:g}{edge}, score {top:.2f} (n={len(SEEDS)})")
        heads = ("way", "score", "spread", "- best", "rewinds", "undone")
        print(f"  {'rate':>12}" + "".join(f"{head:>9}" for head in heads[:-1]) + f" {heads[-1]:>12}  outcome")
        for factor in FACTORS:
            for way in WAYS:
                rows = rows_of(task, factor * best, way=way)
                if len(rows) < len(SEEDS):
                    continue
                scores = [row["score"] for row in rows]
                mean = statistics.fmean(scores)
                outcomes = Counter(row["outcome"] for row in rows)
                told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
                rewinds, undone = ("/".join(str(row[key]) for row in rows) for key in ("rewinds", "undone"))
                print(
                    f"  {factor:>4} x {factor * best:<5.3g} {way:>9}{mean:9.2f}"
                    f"{max(scores) - min(scores):9.2f}{mean - top:+9.2f}{rewinds:>9} {undone:>12}  {told}"
                )
                failed[way] += len(rows) - outcomes["finished"]
                if way != "-" and factor == 3:
                    lost[way][name] = top - mean
    print("runs that ended diverged or died (asked: 0):", ", ".join(f"{way}: {failed[way]}" for way in WAYS))
    for way, names in lost.items():
        for name, points in names.items():
            verdict = "reached" if points <= GOAL else "MISSED"
            told = f"{way}: {name} lost {points:+.2f} points at 3 x the best rate"
            print(f"{told} (asked: at most {GOAL:g}): {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "show"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="", help="tasks whose name holds this")
    parser.add_argument("--again", action="store_true", help="measure the runs with rollback again")
    options = parser.parse_args()
    if options.what == "run":
        torch.set_num_threads(1)
        if options.again:
            KEPT.forget(lambda row: "rollback" in row["strategy"])
        run(options.data, only=options.only)
    show()


if __name__ == "__main__":
    main()
