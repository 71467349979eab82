"""Edge, the automatic warmup: final scores at rates from usual to far too high, without it, with it, with a warmup.

    python benchmarks/edge.py run [--data ../shared/data]      some ten minutes of one core
    python benchmarks/edge.py show

Digits, a network with batch norm and one without any normalisation; SGD with momentum under a cosine to zero; 3 seeds.
`run` goes on where it was stopped; runs are kept in edge.json.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from runs import Kept, Task, percent, run_or_show

KEPT = Kept(Path(__file__).with_suffix(".json"))
SEEDS = range(3)
TASKS = {
    "batch norm": Task(data="digits", model="cnn", batch=32, steps=300, validation=0.4),
    "no normalisation": Task(data="digits", model="finders.nets:deep", batch=32, steps=300, validation=0.4),
}
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
SGD = "sgd(lr={}, momentum=0.9, weight_decay=0.0005)"
WAYS = {
    "cosine": f"{SGD} | cosine(1, 0)",
    "warmup of 10 %": f"{SGD} | linear(0.01, 1, over='10%') >> cosine(1, 0)",
    "edge": f"{SGD} | cosine(1, 0) | edge()",
    "edge for 30 %": f"{SGD} | cosine(1, 0) | edge(until='30%')",
    "edge throughout": f"{SGD} | cosine(1, 0) | edge(until='100%')",
}


def key(task: Task, way: str, rate: float, seed: int) -> dict[str, Any]:
    return {"task": str(task), "strategy": WAYS[way].format(rate), "seed": seed}


def run(data_dir: Path) -> None:
    for task in TASKS.values():
        for way in WAYS:
            for rate in RATES:
                for seed in SEEDS:
                    asked = key(task, way, rate, seed)
                    KEPT.measured(asked, lambda asked=asked, task=task: train(task, asked, data_dir))


def train(task: Task, asked: dict[str, Any], data_dir: Path) -> dict[str, Any]:
    record = task.run(asked["strategy"], seed=asked["seed"], data_dir=data_dir)
    return {"outcome": record.outcome, "score": percent(record.score)}


def show() -> None:
    print(f"validation score in percent, mean of {len(SEEDS)} seeds (runs that diverged or died)")
    for name, task in TASKS.items():
        print(f"\n{name}: {task}\n{'rate':20}" + "".join(f"{rate:>14g}" for rate in RATES))
        for way in WAYS:
            cells = []
            for rate in RATES:
                rows = [row for seed in SEEDS for row in KEPT.find(**key(task, way, rate, seed))]
                lost = sum(row["outcome"] != "finished" for row in rows)
                mean = statistics.fmean(row["score"] for row in rows) if rows else float("nan")
                cells.append(f"{mean:.1f}{f' ({lost})' if lost else ''}")
            print(f"{way:20}" + "".join(f"{cell:>14}" for cell in cells))


if __name__ == "__main__":
    run_or_show(__doc__, run, show)
