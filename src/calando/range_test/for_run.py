"""The range test of a run of ours: network, optimizer and batches exactly as `loop.execute` has them.

The first sweep starts from the weights of the run's seed and trains on the batches of its first updates; the next
goes on with the batches that follow. Only the rate is swept: the strategy's schedules and controllers are left out.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from calando.range_test.find import Asked, Progress, find_ranges
from calando.range_test.found import Found
from calando.range_test.loss import LentLoss
from calando.range_test.update import LentUpdate
from calando.records import RunSpec
from calando.tasks.workload import Workload
from calando.training.lane import holding_lane, run_network, seed_step
from calando.training.restore import restoring
from calando.training.state import start

__all__ = ["find_for_run"]


def find_for_run(
    spec: RunSpec, workload: Workload, *, asked: Asked | None = None, progress: Progress | None = None
) -> Found:
    """Find a rate for a run; its own rate and length do not matter.

    Args:
        spec: workload, method with its options, seed and lane.
        workload: what the spec's `workload` stands for, loaded.
        asked: what to measure; None: as `find_lr` does by default.
        progress: called with (updates made, updates expected).

    Raises:
        UsageError, UnknownName: as `find_lr`.
    """
    workload = workload.fresh()
    lane, parts = spec.lane, spec.workload.accumulate

    def forward(network: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return workload.loss(run_network(network, batch[0], lane).float(), batch[1])

    with holding_lane(lane):
        state = start(spec, workload)
        update = LentUpdate(
            loss=LentLoss(model=state.network, forward=forward, chance=workload.chance_loss),
            optimizer=state.optimizer,
            device=torch.device(lane.device),
            accumulate=parts,
            clip_norm=spec.workload.clip_norm,
            closure=state.session.closure,
        )
        with restoring(state.network, state.optimizer) as start_again, closing(_batches(spec, workload)) as batches:
            found = find_ranges(update, batches, start_again, asked=asked or Asked(), progress=progress)
    return replace(found, run=spec)


def _batches(spec: RunSpec, workload: Workload) -> Generator[tuple[Any, Any], None, None]:
    """Micro-batches of updates 0, 1, …; each update's generators are seeded as in the run."""
    micro = spec.workload.batch_size // spec.workload.accumulate
    step = 0
    while True:
        seed_step(spec.seed, step)
        images, labels = workload.batch(step, seed=spec.seed)
        yield from zip(images.split(micro), labels.split(micro), strict=True)
        step += 1
