"""The table of truth: final validation score over rates 2^k, from real runs with linear decay to zero, or constant.

For each case the walk begins at its usual rate and goes outward, both ways in turn, until two rates on that side score
FALLEN below the best so far (or the bounds are met). A run that diverged scores chance. Rates within TOP of the best
get twice the seeds.
The file is rewritten after every run: stop it when you like, it goes on from there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from calando.records.files import write_atomically
from calando.training.loop import execute

from . import elsewhere
from .cases import CASES, CONSTANT_CASES, OWN_TASKS, Case, settled
from .elsewhere import ELSEWHERE, Elsewhere

__all__ = ["TRUTH", "build", "read", "table"]

TRUTH = Path(__file__).parent.parent / "finders_truth.json"
FALLEN, TOP = 0.12, 0.03
BOUNDS = (-20, 5)
Plan = Callable[[Case | Elsewhere, dict[str, list[float]]], Iterator[tuple[int, int]]]


def read() -> dict[str, dict]:
    """Case name -> {"definition", "chance", "seconds", "scores": {"exponent of two": [score of seed 0, 1, …]}}."""
    return json.loads(TRUTH.read_text()) if TRUTH.is_file() else {}


def table(entry: dict) -> tuple[np.ndarray, np.ndarray]:
    """(rates, mean scores) of a case, ascending."""
    rows = sorted((int(k), float(np.mean(scores))) for k, scores in entry["scores"].items())
    return 2.0 ** np.array([k for k, _ in rows]), np.array([score for _, score in rows])


def build(data_dir: Path, *, only: str = "") -> None:
    """Measure what is missing; prints a line a run. First the walks, then more seeds near the top."""
    torch.set_num_threads(1)
    whole = read()
    for plan in (_walk, _top):
        for case in (*CASES, *CONSTANT_CASES, *OWN_TASKS, *ELSEWHERE):
            if only in case.name:
                _measure(case, data_dir, whole, plan)


def _measure(case: Case | Elsewhere, data_dir: Path, whole: dict[str, dict], plan: Plan) -> None:
    entry = whole.get(case.name)
    if entry is None or entry["definition"] != case.definition:
        entry = {"definition": case.definition, "chance": None, "seconds": 0.0, "scores": {}}
    whole[case.name] = entry
    for exponent, seeds in plan(case, entry["scores"]):
        scores = entry["scores"].setdefault(str(exponent), [])
        while len(scores) < seeds:
            began = time.process_time()
            score, entry["chance"] = _score(case, data_dir, rate=2.0**exponent, seed=len(scores))
            seconds = time.process_time() - began
            scores.append(round(score, 5))
            entry["seconds"] = round(entry["seconds"] + seconds, 2)
            write_atomically(TRUTH, (json.dumps(whole).replace('}}, "', '}},\n "') + "\n").encode())
            print(
                f"{time.strftime('%H:%M:%S')} {case.name:28} 2^{exponent:<4d} seed {len(scores) - 1} "
                f"{score:.4f} {seconds:.1f} s",
                flush=True,
            )


def _score(case: Case | Elsewhere, data_dir: Path, *, rate: float, seed: int) -> tuple[float, float]:
    """Of one run, and that of a network that knows nothing."""
    if isinstance(case, Elsewhere):
        return elsewhere.score(case, data_dir, rate=rate, seed=seed), case.trivial
    run, workload = settled(case, data_dir, rate=rate, seed=seed)
    record = execute(run, workload)
    score = record.chance if record.outcome == "diverged" else record.evaluations[-1].score
    # Below nothing nothing is lost: R² has no lower end.
    return max(score, 0.0), max(record.chance, 0.0)


def _walk(case: Case | Elsewhere, scores: dict[str, list[float]]) -> Iterator[tuple[int, int]]:
    """(exponent, seeds) to measure, outward from the centre; sees the scores as they come."""
    yield case.centre, case.seeds
    sides = {-1: case.centre, 1: case.centre}
    fallen = {-1: 0, 1: 0}
    while any(count < 2 for count in fallen.values()):
        for side in (-1, 1):
            if fallen[side] >= 2:
                continue
            sides[side] += side
            exponent = sides[side]
            if not BOUNDS[0] <= exponent <= BOUNDS[1]:
                fallen[side] = 2
                continue
            yield exponent, case.seeds
            best = max(float(np.mean(found)) for found in scores.values())
            fallen[side] = fallen[side] + 1 if float(np.mean(scores[str(exponent)])) < best - FALLEN else 0


def _top(case: Case | Elsewhere, scores: dict[str, list[float]]) -> Iterator[tuple[int, int]]:
    """Rates that may belong to the good band: twice the seeds, since a band of one point asks for more than two."""
    best = max(float(np.mean(found[: case.seeds])) for found in scores.values())
    for exponent in sorted(int(k) for k, found in scores.items() if np.mean(found[: case.seeds]) > best - TOP):
        yield exponent, 2 * case.seeds
