"""Rows of probes at update 1 and at 5, 10 and 20 % of runs whose ends are known.

They are those of `tuning.truth`, at a rate held to the middle.

The losses of a probed run must be those stored of the run without probes, to the bit; else the run is not kept.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tuning.cases import Case, settled
from tuning.truth import measure_cell, traces
from tuning.truth import read as read_truth

from calando.records.probe import ProbeRow
from calando.training.probes.probe_run import probe_run

from .cases import FURTHER, MADE_ON

__all__ = ["AGES", "measure", "read"]

AGES = (0.05, 0.1, 0.2)
NEIGHBOURS = 3  # updates looked at, up to each age
SCHEDULE = "half"
FOLDER = Path(__file__).parent / "rows"


def read(case: Case) -> dict[str, dict[str, Any]]:
    """ "exponent seed" -> {"rows": {age: [rows]}, "chance", "batch", "stopped"}."""
    path = FOLDER / f"{case.name}.json"
    if not path.is_file():
        return {}
    found = json.loads(path.read_text())
    return found["runs"] if found["definition"] == case.definition else {}


def measure(data_dir: Path, *, only: str = "", untouched: bool = False, seeds: int = 3) -> None:
    """What is missing, the seeds outermost; of untouched tasks the whole runs as well."""
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for seed in range(seeds):
        for case in FURTHER if untouched else MADE_ON:
            if only in case.name:
                for exponent in case.rates:
                    if untouched:
                        measure_cell(case, SCHEDULE, exponent, seed, data_dir)
                    if f"{SCHEDULE} {exponent} {seed}" in read_truth(case):
                        _measure(case, exponent, seed, data_dir)


def _measure(case: Case, exponent: int, seed: int, data_dir: Path) -> None:
    runs, key = read(case), f"{exponent} {seed}"
    if key in runs:
        return
    began = time.monotonic()
    spec, workload = settled(case, case.strategy(2.0**exponent, SCHEDULE), seed=seed, data_dir=data_dir)
    ages = [max(NEIGHBOURS + 1, round(age * case.steps)) for age in AGES]
    at = [1] + [age - back for age in ages for back in range(NEIGHBOURS)]
    run = probe_run(spec, workload, at=at, until=max(at) + 1, sharp=[1, *ages])
    stored = traces(case)[f"{SCHEDULE} {exponent} {seed}"][: len(run.losses)]
    same = np.array_equal(stored, run.losses, equal_nan=True)
    runs[key] = {
        "rows": [_short(row) for row in run.rows],
        "chance": workload.chance_loss,
        "batch": spec.in_our_loop.batch_size,
        "stopped": run.stopped,
        "same": same,
        "updates": round(run.updates, 1),
    }
    document = {"definition": case.definition, "runs": runs}
    (FOLDER / f"{case.name}.json").write_text(json.dumps(document, indent=None, separators=(",", ":")))
    seconds = time.monotonic() - began
    print(
        time.strftime("%H:%M:%S"), case.name, key, f"{seconds:.1f} s", "same bits" if same else "OTHER BITS", flush=True
    )


def _short(row: ProbeRow) -> dict[str, Any]:
    """Four digits, layers as lists."""
    document = row.document()
    layers = document.pop("layers")
    names = ("weight", "update_ratio", "equilibrium", "gradient", "dead")
    short = {name: _digits(value) for name, value in document.items()}
    return {**short, "layers": {name: [_digits(layer[name]) for layer in layers] for name in names}}


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
