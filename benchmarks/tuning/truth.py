"""The table of truth: scores on the test part over rates and schedules, and the losses of every run.

Rates 2^k times three schedules. Seeds 0 to 2 choose the best cell; further seeds of the schedule that holds its rate
for half of the run are races already run: their losses, at a constant rate to the middle, are what rules of racing are
tried on without training anything (`rules.py`).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calando.training.evaluate import evaluate
from calando.training.loop import execute
from calando.training.state import TrainState

from .cases import CASES, SCHEDULES, Case, settled

__all__ = ["CHOOSE", "FRESH", "best_cell", "build", "measure_cell", "read", "score_best", "traces"]

CHOOSE, FRESH = range(3), range(3, 8)
FOLDER = Path(__file__).parent / "truth"


def read(case: Case) -> dict[str, dict[str, Any]]:
    """ "schedule exponent seed" -> {"test", "validation", "outcome", "seconds"}."""
    path = FOLDER / f"{case.name}.json"
    if not path.is_file():
        return {}
    found = json.loads(path.read_text())
    return found["rows"] if found["definition"] == case.definition else {}


def traces(case: Case) -> dict[str, np.ndarray]:
    """The same keys -> float32 losses of every update, nan from where a run diverged."""
    path = FOLDER / f"{case.name}.npz"
    if not path.is_file():
        return {}
    with np.load(path) as file:
        return {key: file[key].astype(np.float32) for key in file.files}


def build(data_dir: Path, *, only: str = "", untouched: bool = False, seeds: int = 3, races: int = 8) -> None:
    """Measure what is missing, the seeds outermost, so that there is something to look at early."""
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    chosen = [case for case in CASES if only in case.name and case.untouched == untouched]
    early = [(schedule, seed) for schedule in SCHEDULES for seed in range(seeds)]
    for schedule, seed in early + [("half", seed) for seed in range(seeds, races)]:
        for case in chosen:
            for exponent in case.rates:
                measure_cell(case, schedule, exponent, seed, data_dir)


def best_cell(case: Case) -> tuple[str, int] | None:
    """The schedule and the exponent that seeds 0 to 2 choose; None before there are cells with all three."""
    rows = read(case)
    means = {}
    for schedule in SCHEDULES:
        for exponent in case.rates:
            keys = [f"{schedule} {exponent} {seed}" for seed in CHOOSE]
            if all(key in rows for key in keys):
                means[schedule, exponent] = float(np.mean([rows[key]["test"] for key in keys]))
    return max(means, key=lambda cell: means[cell]) if means else None


def score_best(data_dir: Path, *, only: str = "") -> None:
    """Run the best cell of each case at the fresh seeds, whatever its schedule."""
    torch.set_num_threads(1)
    for case in CASES:
        if only in case.name and (cell := best_cell(case)) is not None:
            for seed in FRESH:
                measure_cell(case, *cell, seed, data_dir)


def measure_cell(case: Case, schedule: str, exponent: int, seed: int, data_dir: Path) -> None:
    """One run, if it is missing."""
    rows, key = read(case), f"{schedule} {exponent} {seed}"
    if key in rows:
        return
    began = time.monotonic()
    row, losses = run(case, case.strategy(2.0**exponent, schedule), seed=seed, data_dir=data_dir)
    rows[key] = row | {"seconds": round(time.monotonic() - began, 1)}
    kept = traces(case) | {key: losses}
    np.savez_compressed(FOLDER / f"{case.name}.npz", **kept)
    (FOLDER / f"{case.name}.json").write_text(json.dumps({"definition": case.definition, "rows": rows}, indent=0))
    print(time.strftime("%H:%M:%S"), case.name, key, rows[key], flush=True)


def run(case: Case, strategy: str, *, seed: int, data_dir: Path) -> tuple[dict[str, Any], np.ndarray]:
    """A whole run: its scores, and its losses."""
    spec, workload = settled(case, strategy, seed=seed, data_dir=data_dir)
    network: list[torch.nn.Module] = []

    def watch(state: TrainState) -> bool:
        network[:] = [state.network]
        return False

    record = execute(spec, workload, watch=watch)
    losses = np.full(spec.steps, np.nan, np.float32)
    losses[: len(record.losses)] = record.losses
    test = record.chance
    if record.outcome != "diverged":
        _, test = evaluate(network[0], workload, workload.test, lane=spec.lane)
    row = {"test": round(float(test), 5), "validation": round(float(record.score), 5), "outcome": record.outcome}
    return row, losses
