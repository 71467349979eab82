"""What arms may be judged by, measured on short arms of every case: the ablation behind the race's choice.

train      mean training loss of the last window at a constant rate
average    loss on the validation part of the mean of the weights over the last window (batch statistics of the batch)
cooled     mean training loss of the last updates of a linear decay to zero, forked there, a quarter as long as the past
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch

from calando.strategy import read_strategy
from calando.tasks.workload import Workload
from calando.training.lane import holding_lane
from calando.training.loop import advance
from calando.training.state import Captured, TrainState, capture, resume, start

from .cases import CASES, Case, settled

__all__ = ["MARKS", "build", "read"]

FILE = Path(__file__).parent / "judges.json"
MARKS = (0.05, 0.08, 0.12)
COOLED = 0.25


def read() -> dict[str, dict[str, dict[str, float]]]:
    """Case -> "exponent seed" -> "judge mark" -> loss."""
    return json.loads(FILE.read_text()) if FILE.is_file() else {}


def build(data_dir: Path, *, seeds: int = 3, only: str = "") -> None:
    """Measure what is missing."""
    torch.set_num_threads(1)
    found = read()
    for seed in range(seeds):
        for case in CASES:
            if only not in case.name or case.untouched:
                continue
            for exponent in case.rates:
                rows = found.setdefault(case.name, {})
                if (key := f"{exponent} {seed}") in rows:
                    continue
                rows[key] = _measure(case, exponent, seed, data_dir)
                FILE.write_text(json.dumps(found, indent=0))
                print(time.strftime("%H:%M:%S"), case.name, key, rows[key], flush=True)


def _measure(case: Case, exponent: int, seed: int, data_dir: Path) -> dict[str, float]:
    text = case.method.format(lr=2.0**exponent)
    spec, task = settled(case, text, seed=seed, data_dir=data_dir)
    found: dict[str, float] = {}
    with holding_lane(spec.lane):
        state = start(spec, task)
        for mark in MARKS:
            until = round(mark * case.steps)
            window = max(16, round(0.025 * case.steps))
            advance(state, task, until=max(0, until - window))
            mean = {name: torch.zeros_like(p) for name, p in state.network.named_parameters()}
            while state.step < until and state.stopped is None:
                advance(state, task, until=state.step + 1)
                for name, p in state.network.named_parameters():
                    mean[name] += p.detach() / window
            if state.stopped is not None:
                break
            found[f"train {mark}"] = _finite(state.losses[max(0, until - window) : until].mean())
            found[f"average {mark}"] = _loss_of(state, task, mean)
            length = max(8, round(COOLED * until))
            cooled = f"{text} | constant(1, over='{until} steps') >> linear(1, 0, over='{length} steps') >> constant(0)"
            forked = start(spec.model_copy(update={"strategy": read_strategy(cooled)}), task)
            taken = capture(state)
            resume(forked, Captured(forked.session, taken.tensors, taken.document))
            advance(forked, task, until=until + length)
            if forked.stopped is None:
                last = max(8, length // 3)
                found[f"cooled {mark}"] = _finite(forked.losses[until + length - last : until + length].mean())
    return found


def _finite(value: float) -> float:
    return round(float(min(np.nan_to_num(value, nan=99.0), 99.0)), 5)


def _loss_of(state: TrainState, task: Workload, mean: dict[str, torch.Tensor]) -> float:
    """Of other weights, on the validation part in batches of 256; everything is put back."""
    kept = {name: value.clone() for name, value in state.network.state_dict().items()}
    parts, losses = task.validation, []
    with torch.no_grad():
        for name, p in state.network.named_parameters():
            p.copy_(mean[name])
        for first in range(0, len(parts) - 1, 256):
            rows = torch.arange(first, min(first + 256, len(parts)))
            samples = parts.read(rows)
            inputs = task.prepare(samples.inputs)
            outputs = state.network(inputs)
            losses.append(float(task.loss(outputs, samples.targets)) * len(rows))
        state.network.load_state_dict(kept)
    return _finite(sum(losses) / len(parts))
