"""The first updates of a run, made to be looked at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calando.analysis.looked import Looked, Looks
from calando.records import RunSpec
from calando.records.probe import ProbeRow
from calando.tasks.workload import Workload
from calando.training.probes.probe_run import probe_run
from calando.training.state import TrainState

__all__ = ["look_at"]


def look_at(
    spec: RunSpec, task: Workload, looks: Looks, *, listen: Callable[[TrainState, ProbeRow | None], object] | None
) -> Looked:
    """Make the first updates of a run and look at it."""
    found = probe_run(spec, task, at=looks.at, until=looks.until, sharp=looks.sharp, listen=listen)
    return Looked(
        spec=spec,
        rows=found.rows,
        losses=found.losses.astype(np.float64),
        rates=found.rates,
        total_steps=spec.steps,
        step=min(looks.until, len(found.losses)),
        chance=task.chance_loss,
        batch=spec.in_our_loop.batch_size,
        stopped=found.stopped,
    )
