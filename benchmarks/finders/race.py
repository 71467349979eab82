"""`find --race` on the cases of the finders: where sweeps abstain it races, at 0.6 runs or less."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch

from calando.methods import find_method
from calando.range_test.raced import race_for_run

from . import truth
from .cases import CASES, OWN_TASKS, settled
from .score import landscape

__all__ = ["build", "show"]

FILE = Path(__file__).parent.parent / "finders_race.json"


def build(data_dir: Path, *, only: str = "", seeds: int = 4) -> None:
    """Race what is missing; resumable."""
    torch.set_num_threads(1)
    rows = json.loads(FILE.read_text()) if FILE.is_file() else {}
    known = truth.read()
    for seed in range(seeds):
        for case in (*CASES, *OWN_TASKS):
            key = f"{case.name} {seed}"
            if only not in case.name or key in rows or case.name not in known:
                continue
            usual, began = find_method(case.method.partition("(")[0]).usual_rate, time.monotonic()
            run, task = settled(case, data_dir, rate=usual, seed=seed)
            raced, place = race_for_run(run, task, rate=usual), landscape(known[case.name])
            rate = raced.rate
            rows[key] = {
                "rate": rate,
                "reliable": raced.reliable,
                "near": rate is not None and place.near(rate),
                "regret": None if rate is None else round(place.regret(rate), 2),
                "runs": round(raced.updates / run.steps, 3),
                "seconds": round(time.monotonic() - began, 1),
            }
            FILE.write_text(json.dumps(rows, indent=0))
            print(time.strftime("%H:%M:%S"), key, rows[key], flush=True)
    show()


def show() -> None:
    """A line a case, and all of them."""
    rows = json.loads(FILE.read_text())
    names = dict.fromkeys(key.rpartition(" ")[0] for key in rows)
    for name in (*names, ""):
        some = [row for key, row in rows.items() if key.startswith(name)]
        regrets = [row["regret"] for row in some if row["regret"] is not None] or [float("nan")]
        print(
            f"{name or 'all':28} n={len(some):3d}  near {np.mean([row['near'] for row in some]):.0%}  "
            f"sure {np.mean([row['reliable'] for row in some]):.0%}  regret median {np.median(regrets):.2f} "
            f"worst {max(regrets):.2f}  runs {np.mean([row['runs'] for row in some]):.2f} "
            f"most {max(row['runs'] for row in some):.2f}"
        )
