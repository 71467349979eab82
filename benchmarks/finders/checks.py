"""Does a network live at what the curves suggest? A short training there, from where the sweeps began.

For every case and seed: STEPS updates at the suggestion, as the range test itself makes them, and of the cases
elsewhere STEPS with the rate falling linearly from it to zero too, on the batches after those of the sweeps. Stored
with the rate they were made at; where the suggestion has changed since, they are made again.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import torch

from calando.records.files import write_atomically
from calando.training.lane import holding_lane, in_precision, placed, seed_step
from calando.training.state import start

from . import curves, elsewhere
from .cases import CASES, OWN_TASKS, Case, prepare
from .elsewhere import ELSEWHERE, Elsewhere
from .score import judged_case

__all__ = ["CHECKS", "build", "read"]

CHECKS = Path(__file__).parent.parent / "finders_checks.json"
STEPS = curves.STEPS


def read() -> dict[str, list[dict]]:
    """Case name -> a seed each: {"rate", "decayed": losses, "constant": losses}, ended where they are not finite."""
    return json.loads(CHECKS.read_text()) if CHECKS.is_file() else {}


def build(data_dir: Path, *, only: str = "", seeds: int = 4) -> None:
    """Measure what is missing, seed by seed; prints a line a seed."""
    torch.set_num_threads(1)
    whole, measured = read(), curves.read()
    for seed in range(seeds):
        for case in (*ELSEWHERE, *OWN_TASKS, *CASES):
            if only not in case.name or len(measured.get(case.name, ())) <= seed:
                continue
            found, _ = judged_case(case, measured[case.name][seed])
            rate, rows = found.decayed.rate, whole.setdefault(case.name, [])
            if len(rows) > seed and rows[seed]["rate"] == rate:
                continue
            entry: dict = {"rate": rate, "decayed": [], "constant": []}
            if rate is not None:
                if isinstance(case, Elsewhere):
                    entry["decayed"] = _train(case, data_dir, seed=seed, rate=rate, decays=True)
                entry["constant"] = _train(case, data_dir, seed=seed, rate=rate, decays=False)
            rows[seed : seed + 1] = [entry]
            write_atomically(CHECKS, (json.dumps(whole).replace('}], "', '}],\n "') + "\n").encode())
            ends = [f"{np.median(entry[kind][-25:] or [math.nan]):.3g}" for kind in ("decayed", "constant")]
            print(f"{time.strftime('%H:%M:%S')} {case.name:28} seed {seed} {rate} {found.doubts} {ends}", flush=True)


def _train(case: Case | Elsewhere, data_dir: Path, *, seed: int, rate: float, decays: bool) -> list[float]:
    first = curves.REPEATS * STEPS
    rates = [rate * (1 - done / STEPS if decays else 1) for done in range(STEPS)]
    if isinstance(case, Elsewhere):
        network, optimizer = elsewhere.start(case, rate=rate, seed=curves.FIRST_SEED + seed)
        drawn = elsewhere.batches(case, data_dir, seed=curves.FIRST_SEED + seed, first=first)
        return _losses(
            rates, optimizer, lambda _, batch=drawn: elsewhere.loss_of(case, network, next(batch)), case.clip, network
        )
    spec, workload = prepare(case, data_dir)
    spec = spec.model_copy(update={"seed": curves.FIRST_SEED + seed})

    def loss(index: int) -> torch.Tensor:
        seed_step(spec.seed, first + index)
        here = workload.batch(first + index, seed=spec.seed).mapped(lambda tensor: placed(tensor, spec.lane))
        return workload.judged(state.network, here, precision=lambda: in_precision(spec.lane))[0]

    with holding_lane(spec.lane):
        state = start(spec, workload)
        return _losses(rates, state.optimizer, loss, None, state.network)


def _losses(rates: list[float], optimizer, loss_of, clip: float | None, network) -> list[float]:
    losses: list[float] = []
    for index, rate in enumerate(rates):
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(index)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if not math.isfinite(loss.item()):
            break
        losses.append(round(loss.item(), 5))
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
    return losses
