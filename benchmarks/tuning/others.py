"""Two others that need runs of their own: a range test's rate with a cosine, and schedule-free at its usual rate.

sweep          `calando find`'s suggestion, reliable or not (the method's usual rate where there is none); scored as the
               nearest cell of the table of truth with a cosine; its updates and one run are charged
schedule-free  schedule_free_sgd or schedule_free_adamw as their presets are, at the usual rate; one run
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calando.range_test import find_for_run

from .cases import CASES, Case, settled
from .replay import BEGIN
from .truth import run

__all__ = ["build", "read"]

FILE = Path(__file__).parent / "others.json"


def read() -> dict[str, dict[str, Any]]:
    """ "kind case seed" -> what came of it."""
    return json.loads(FILE.read_text()) if FILE.is_file() else {}


def build(data_dir: Path, *, only: str = "", seeds: int = 3) -> None:
    """Measure what is missing."""
    torch.set_num_threads(1)
    for seed in range(seeds):
        for case in CASES:
            for kind, measure in (("sweep", _sweep), ("schedule-free", _schedule_free)):
                rows, key = read(), f"{kind} {case.name} {seed}"
                if only in case.name and key not in rows:
                    rows[key] = measure(case, seed, data_dir)
                    FILE.write_text(json.dumps(rows, indent=0))
                    print(time.strftime("%H:%M:%S"), key, rows[key], flush=True)


def _sweep(case: Case, seed: int, data_dir: Path) -> dict[str, Any]:
    spec, task = settled(case, case.method.format(lr=0.1), seed=seed, data_dir=data_dir)
    found = find_for_run(spec, task)
    rate = found.suggestion.decayed.rate
    exponent = BEGIN[case.method.partition("(")[0]] if rate is None else round(float(np.log2(rate)))
    low, high = case.exponents
    return {
        "exponent": min(max(exponent, low), high),
        "rate": rate,
        "reliable": found.suggestion.reliable,
        "runs": round(1 + found.updates / case.steps, 2),
    }


def _schedule_free(case: Case, seed: int, data_dir: Path) -> dict[str, Any]:
    text = "schedule_free_adamw(lr=0.0025, weight_decay=0.01)" if "adam" in case.method else (
        "schedule_free_sgd(lr=1.0, momentum=0.9, weight_decay=0.0005)"
    )  # fmt: skip
    row, _ = run(case, f"{text} | linear(0.01, 1, over='5%')", seed=seed, data_dir=data_dir)
    return {"test": row["test"], "runs": 1.0}
