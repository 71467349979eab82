"""What `calando.watch` costs: processor time of a training with it over that without, in pairs."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from tuning.cases import CASES, settled

import calando
from calando.tasks.objective import Samples
from calando.tasks.workload import Workload
from calando.training.lane import holding_lane, seed_step

__all__ = ["print_cost"]

UPDATES = 400
WARM = 20


def print_cost(data_dir: Path, *, pairs: int) -> None:
    """For two networks, looks alone and with the batch."""
    torch.set_num_threads(1)
    for name in ("digits-cnn-sgd", "cifar-resnet8-sgd"):
        case = next(case for case in CASES if case.name == name)
        spec, task = settled(case, case.strategy(0.05, "half"), seed=0, data_dir=data_dir)
        with holding_lane(spec.lane):
            for words, again in (("looks alone", False), ("with the batch's loss again", True)):
                ratios, looks = [], 0
                for pair in range(pairs):
                    order = (False, True) if pair % 2 else (True, False)
                    taken = {}
                    for watched in order:
                        taken[watched], found = _seconds(task, watched=watched, again=again)
                        looks = max(looks, found)
                    ratios.append(taken[True] / taken[False])
                low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
                print(
                    f"{name}, {words}: {looks} looks in {UPDATES} updates, processor time with / without {middle:.3f} "
                    f"(quartiles {low:.3f} to {high:.3f}, n = {pairs})"
                )


def _seconds(task: Workload, *, watched: bool, again: bool) -> tuple[float, int]:
    own = task.fresh()
    seed_step(0, -1)
    network = own.build().train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    watch = calando.watch(network, optimizer, total_steps=10 * UPDATES) if watched else None
    began = 0.0
    for step in range(WARM + UPDATES):
        if step == WARM:
            began = time.process_time()
        batch = own.batch(step, seed=0)

        def loss(batch: Samples = batch) -> torch.Tensor:
            return own.judged(network, batch, precision=_fully)[0]

        found = loss()
        found.backward()
        if watch is not None:
            watch.batch(found, loss if again else None)
        optimizer.step()
        optimizer.zero_grad()
    spent = time.process_time() - began
    if watch is not None:
        watch.close()
    return spent, 0 if watch is None else len(watch.rows)


def _fully() -> torch.autocast:
    return torch.autocast("cpu", enabled=False)
