"""Range-test curves, raw: the loss before each update of a geometric sweep of rates, ended by nothing but inf and nan.

For every case and each of ten seeds (initial weights and batches; none of them a seed of the table of truth), REPEATS
sweeps of STEPS updates from the same state over different batches. The rules of all finders are applied to the same
curves; a rule that would have stopped earlier is given the part of the curve that it would have seen.
The file is rewritten after every sweep: stop it when you like, it goes on from there.
"""

from __future__ import annotations

import json
import math
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from calando.records import RunSpec
from calando.records.files import write_atomically
from calando.tasks.workload import Workload
from calando.training.lane import holding_lane, in_precision, placed, seed_step
from calando.training.state import start

from . import elsewhere
from .cases import CASES, OWN_TASKS, Case, prepare
from .elsewhere import ELSEWHERE, Elsewhere
from .hopeless import HOPELESS, Hopeless

__all__ = ["CURVES", "RATES", "REPEATS", "STEPS", "build", "read", "sweep"]

CURVES = Path(__file__).parent.parent / "finders_curves.npz"
STEPS, REPEATS, FIRST_SEED = 100, 3, 100
RATES = np.geomspace(1e-6, 10, STEPS)
"""float64[STEPS]: of every sweep; what `find_lr` does where nothing else is asked for."""


def read() -> dict[str, np.ndarray]:
    """Case name -> float32[seeds, REPEATS, STEPS]; nan after the loss was not finite."""
    found = _load()
    found.pop("definitions", None)
    return found


def _load() -> dict[str, np.ndarray]:
    if not CURVES.is_file():
        return {}
    with np.load(CURVES) as stored:
        return {name: stored[name] for name in stored.files}


def sweep(spec: RunSpec, workload: Workload, *, repeat: int) -> np.ndarray:
    """One sweep: float32[STEPS]. Repeat r trains on batches r * STEPS, …, from the same initial weights."""
    losses = np.full(STEPS, np.nan, np.float32)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        for index, rate in enumerate(RATES):
            step = repeat * STEPS + index
            seed_step(spec.seed, step)
            for group in state.optimizer.param_groups:
                group["lr"] = float(rate)
            here = workload.batch(step, seed=spec.seed).mapped(lambda tensor: placed(tensor, spec.lane))
            loss, _ = workload.judged(state.network, here, precision=lambda: in_precision(spec.lane))
            loss.backward()
            if not math.isfinite(loss.item()):
                break
            losses[index] = loss.item()
            state.optimizer.step()
            state.optimizer.zero_grad(set_to_none=True)
    return losses


def sweep_elsewhere(case: Elsewhere, data_dir: Path, *, seed: int, repeat: int) -> np.ndarray:
    """One sweep of plain PyTorch: float32[STEPS]."""
    losses = np.full(STEPS, np.nan, np.float32)
    network, optimizer = elsewhere.start(case, rate=1.0, seed=seed)
    drawn = elsewhere.batches(case, data_dir, seed=seed, first=repeat * STEPS)
    for index, rate in enumerate(RATES):
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        inputs, targets = next(drawn)
        loss = case.loss(network(inputs), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if not math.isfinite(loss.item()):
            break
        losses[index] = loss.item()
        if case.clip is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), case.clip)
        optimizer.step()
    return losses


def build(data_dir: Path, *, only: str = "", seeds: int = 10) -> None:
    """Measure what is missing, seed by seed; prints a line a sweep."""
    torch.set_num_threads(1)
    found = _load()
    definitions = json.loads(str(found.pop("definitions", "{}")))
    for seed in range(seeds):
        for case in (*HOPELESS, *CASES, *OWN_TASKS, *ELSEWHERE):
            if only not in case.name:
                continue
            definition = f"{getattr(case, 'definition', case.name)} {RATES[0]:g} {RATES[-1]:g} {STEPS}"
            if definitions.get(case.name) != definition:
                found.pop(case.name, None)
            definitions[case.name] = definition
            curves = found.get(case.name, np.zeros((0, REPEATS, STEPS), np.float32))
            if len(curves) > seed:
                continue
            began = time.process_time()
            rows = np.stack(
                [_sweep(case, data_dir, seed=FIRST_SEED + seed, repeat=repeat) for repeat in range(REPEATS)]
            )
            found[case.name] = np.concatenate([curves, rows[None]])
            _write(found, definitions)
            spent = time.process_time() - began
            finite = rows[0][np.isfinite(rows[0])]
            print(
                f"{time.strftime('%H:%M:%S')} {case.name:28} seed {seed}: first {finite[0]:.3f}, "
                f"lowest {finite.min():.3f}, last of {len(finite)} {finite[-1]:.3g}, {spent:.1f} s",
                flush=True,
            )


def _sweep(case: Case | Hopeless | Elsewhere, data_dir: Path, *, seed: int, repeat: int) -> np.ndarray:
    if isinstance(case, Elsewhere):
        return sweep_elsewhere(case, data_dir, seed=seed, repeat=repeat)
    spec, workload = prepare(case, data_dir) if isinstance(case, Case) else case.prepare()
    return sweep(spec.model_copy(update={"seed": seed}), workload, repeat=repeat)


def _write(found: dict[str, np.ndarray], definitions: dict[str, str]) -> None:
    buffer = BytesIO()
    np.savez_compressed(buffer, definitions=np.array(json.dumps(definitions)), **found)
    write_atomically(CURVES, buffer.getvalue())
