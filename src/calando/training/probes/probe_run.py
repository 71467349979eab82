"""A run of our own loop with probes: the same run, to the bit, and a row for each update that was asked for.

The batch of a run's update is a function of its number, so the loop itself knows nothing of probes: they open when the
update before has ended, and read the batch again afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np
import torch

from calando.errors import UsageError
from calando.records import RunSpec
from calando.records.probe import ProbeRow
from calando.tasks.objective import Samples
from calando.tasks.workload import Workload
from calando.training.lane import in_precision, placed, seed_step
from calando.training.loop import Interrupted, execute
from calando.training.probes.probe import BatchLoss, Halves, Probe
from calando.training.state import TrainState

__all__ = ["ProbedRun", "probe_run"]

LEAST_HALF = 2
SHARP_SAMPLES = 64  # of a larger batch the first so many: the cost of sharpness does not grow with it


@final
@dataclass(frozen=True)
class ProbedRun:
    """What was seen of a run.

    Args:
        rows: in order of their updates.
        losses, rates: of every update that was made.
        stopped: why the run ended early, or None.
    """

    rows: tuple[ProbeRow, ...]
    losses: np.ndarray
    rates: np.ndarray
    stopped: str | None = None

    @property
    def updates(self) -> float:
        """What the probes cost, in updates."""
        return sum(row.updates for row in self.rows)


def probe_run(
    spec: RunSpec,
    workload: Workload,
    *,
    at: Collection[int],
    until: int,
    sharp: Collection[int] = (),
    noise: bool = True,
    listen: Callable[[TrainState, ProbeRow | None], object] | None = None,
) -> ProbedRun:
    """Make the first `until` updates of a run and look at some of them.

    Args:
        at: updates, from 1.
        sharp: those at which sharpness is measured as well.
        noise: measure the noise scale at each.
        listen: called after every update, with its row if it was looked at.
    """
    rows: list[ProbeRow] = []
    probe: Probe | None = None
    last: TrainState | None = None
    undone = 0.0  # what looks cost at updates that a controller took back

    def watch(state: TrainState) -> bool:
        nonlocal probe, last, undone
        last, step, row = state, state.step - 1, None
        while rows and rows[-1].step >= step:  # the run went back: what was seen of the updates since is of no run
            undone += rows.pop().updates
        if probe is None:
            probe = Probe(state.network, state.optimizer)
        if probe.opened:
            if probe.stepped and step in at:
                row = _look(probe, state, workload, step, sharp=step in sharp, noise=noise)
            probe.drop()
        if row is not None:
            rows.append(replace(row, updates=row.updates + undone))
            undone = 0.0
        if step + 1 in at and step + 1 < until:
            probe.open()
        if listen is not None:
            listen(state, row)
        return state.step >= until

    try:
        record = execute(spec, workload, watch=watch)
        return ProbedRun(tuple(rows), record.losses, record.rates, last.stopped if last else None)
    except Interrupted:
        assert last is not None
        seen = last.seen
        return ProbedRun(tuple(rows), last.losses[:seen].copy(), last.rates[:seen].copy())
    finally:
        if probe is not None:
            probe.drop()


def _look(
    probe: Probe, state: TrainState, workload: Workload, step: int, *, sharp: bool, noise: bool
) -> ProbeRow | None:
    loop, lane, seed = state.spec.in_our_loop, state.spec.lane, state.spec.seed
    index = state.batch_index(step)
    in_lane = partial(in_precision, lane)
    parts = workload.batch(index, seed=seed).split(loop.batch_size // loop.accumulate)

    def loss_of(chosen: list[Samples], *, precise: bool = False) -> BatchLoss:
        def loss() -> torch.Tensor:
            seed_step(seed, index)
            total = torch.zeros((), device=lane.device)
            for part in chosen:
                here = part.mapped(lambda tensor: placed(tensor, lane))
                found, _ = workload.judged(state.network, here, precision=nullcontext if precise else in_lane)
                total = total + found / len(chosen)
            return total

        return loss

    halves, half, few = None, parts[0].count // 2, parts[:1]
    try:
        few = parts[0].split(SHARP_SAMPLES)[:1]
        if noise and half >= LEAST_HALF:
            first, second = parts[0].split(half)[:2]
            halves = Halves((loss_of([first]), loss_of([second])), half)
    except UsageError:  # what `collate` made cannot be cut
        pass
    precise = loss_of(few, precise=True) if sharp else None
    return probe.close(step, batch=loss_of(parts), sharp=precise, halves=halves)
