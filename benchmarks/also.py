"""What `calando tune --also` rests on: which sampler needs the fewest runs, and how the rate follows other values.

    python benchmarks/also.py samplers      Optuna's samplers on simulated valleys, by runs
    python benchmarks/also.py rates         other momentum and weight decay, at the same rate and at one that follows
    python benchmarks/also.py product       `calando tune --budget 3, 5` with and without --also, on test

Rows are kept in benchmarks/also.json as they are made.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution

import calando

ROWS = Path(__file__).with_name("also.json")
TASKS: dict[str, dict[str, Any]] = {
    "fashion-mnist": {"model": "cnn", "batch_size": 64, "train_limit": 4000, "steps": 300},
    "cifar10": {"model": "resnet8", "batch_size": 64, "train_limit": 4000, "steps": 300},
}
SAMPLERS: dict[str, Callable[[int], Any]] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True),
    "tpe, best third": lambda seed: optuna.samplers.TPESampler(
        seed=seed, multivariate=True, n_startup_trials=2, gamma=lambda n: math.ceil(n / 3)
    ),
    "gaussian process": lambda seed: optuna.samplers.GPSampler(seed=seed, n_startup_trials=2),
}


def valley(make: Callable[[int], Any], *, dimensions: int, seed: int, runs: int) -> list[float]:
    """How far the best is from the valley's floor, after each run; the first run is in the middle."""
    drawn = np.random.default_rng(seed)
    floor, steep = np.clip(drawn.normal(0.5, 0.22, dimensions), 0, 1), drawn.uniform(0.5, 2, dimensions)
    names = {f"x{place}": FloatDistribution(0, 1) for place in range(dimensions)}
    tried, seen, far = [np.full(dimensions, 0.5)], [], []
    for number in range(runs + 1):
        depth = float((steep * (tried[-1] - floor) ** 2).sum())
        seen.append((-depth + 0.02 * drawn.normal(), depth))
        far.append(max(seen)[1])
        study = optuna.create_study(direction="maximize", sampler=make(100 * seed + number))
        for values, (merit, _) in zip(tried, seen, strict=True):
            params = dict(zip(names, map(float, values), strict=True))
            study.add_trial(optuna.trial.create_trial(params=params, distributions=names, value=merit))
        tried.append(np.array([*study.ask(names).params.values()]))
    return far


def samplers(seeds: int) -> None:
    for dimensions in (1, 2, 3):
        for name, make in SAMPLERS.items():
            far = np.mean([valley(make, dimensions=dimensions, seed=seed, runs=5) for seed in range(seeds)], 0)
            shown = "  ".join(f"{runs}: {far[runs]:.4f}" for runs in (0, 1, 2, 3, 5))
            print(f"{dimensions} dimensions, {name:<18} {shown}", flush=True)


def kept(key: str, make: Callable[[], Any]) -> Any:
    """A row, made where it is not there."""
    rows = json.loads(ROWS.read_text()) if ROWS.exists() else {}
    if key not in rows:
        rows[key] = make()
        ROWS.write_text(json.dumps(rows, indent=1) + "\n")
    return rows[key]


def trained(task: str, strategy: str, seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        run = calando.train(
            task, strategy, seed=seed, threads=1, folder=folder, listen=lambda status: None, **TASKS[task]
        )
        return {"test": run.test.score, "validation": run.record.score}


def tuned(task: str, seed: int, **given: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        answer = calando.tune(
            task, seed=seed, threads=1, folder=folder, listen=lambda status: None, **TASKS[task], **given
        )
        facts = answer.to_json()
        wanted = ("test", "validation", "rate", "runs", "strategy", "verdict")
        return {**{name: facts[name] for name in wanted}, "seconds": time.monotonic() - began}


def rates(seeds: int) -> None:
    half = "constant(1, over='50%') >> linear(1, 0)"
    for task in TASKS:
        found: dict[str, list[float]] = {}
        for seed in range(seeds):
            rate = kept(f"{task} {seed} 1.5", lambda task=task, seed=seed: tuned(task, seed))["rate"]
            text = "sgd(lr={lr:.6g}, momentum={m}, nesterov=true, weight_decay={wd}) | " + half
            asked = {"own": text.format(lr=rate, m=0.9, wd=0.0005)}
            for m in (0.6, 0.97):
                asked[f"momentum {m}, same rate"] = text.format(lr=rate, m=m, wd=0.0005)
                asked[f"momentum {m}, rate follows"] = text.format(lr=rate * (1 - m) / 0.1, m=m, wd=0.0005)
            for wd, factor in ((0.005, 1), (0.005, 10**-0.5), (0.00005, 1), (0.00005, 10**0.5)):
                asked[f"weight decay {wd}, rate x {factor:.2f}"] = text.format(lr=rate * factor, m=0.9, wd=wd)
            for name, strategy in asked.items():
                key = f"{task} {seed} {strategy}"
                row = kept(key, lambda task=task, strategy=strategy, seed=seed: trained(task, strategy, seed))
                found.setdefault(name, []).append(100 * row["test"])
        own = found.pop("own")
        print(f"{task}: own {statistics.mean(own):.2f} (n = {len(own)})")
        for name, scores in found.items():
            gaps = [one - other for one, other in zip(scores, own, strict=True)]
            print(f"  {name:<36} {statistics.mean(gaps):+.2f}  ({', '.join(f'{gap:+.2f}' for gap in gaps)})")


def product(seeds: int) -> None:
    for task in TASKS:
        for budget in (3, 5):
            for also in ("", "weight_decay", "weight_decay,momentum,warmup"):
                rows = [
                    kept(
                        f"{task} {seed} {budget} {also}",
                        lambda task=task, seed=seed, budget=budget, also=also: tuned(
                            task, seed, budget=budget, also=also
                        ),
                    )
                    for seed in range(seeds)
                ]
                scores = [100 * row["test"] for row in rows]
                spread = statistics.stdev(scores) if len(scores) > 1 else math.nan
                runs = max(row["runs"] for row in rows)
                name = f"{task}, budget {budget}, also {also or '-'}"
                print(f"{name:<60} {statistics.mean(scores):.2f} ± {spread:.2f} (n = {len(rows)}, {runs:.2f} runs)")


def main() -> None:
    """Measure, or show what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("samplers", "rates", "product"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="tasks whose name holds this")
    options = parser.parse_args()
    os.environ.setdefault("CALANDO_DATA", str(options.data))
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for task in [name for name in TASKS if options.only not in name]:
        del TASKS[task]
    {"samplers": samplers, "rates": rates, "product": product}[options.what](options.seeds)


if __name__ == "__main__":
    main()
