"""The first updates of a run, made to be looked at; and fewer of its plain twin, where the network has shortcuts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from calando.analysis.looked import Looked, Looks
from calando.records import RunSpec
from calando.records.probe import ProbeRow
from calando.tasks.network_factory import network_factory
from calando.tasks.workload import Workload
from calando.training.probes.probe_run import probe_run
from calando.training.state import TrainState

__all__ = ["look_at"]


TWIN = re.compile(r"resnet(\d+(?:-nonorm)?)")


def look_at(
    spec: RunSpec,
    task: Workload,
    looks: Looks,
    *,
    listen: Callable[[TrainState, ProbeRow | None], object] | None,
) -> Looked:
    """Make the first updates of a run and look at it."""
    found = probe_run(spec, task, at=looks.at, until=looks.until, sharp=looks.sharp, listen=listen)
    return Looked(
        spec=spec,
        rows=found.rows,
        twin=_look_at_twin(spec, task, looks),
        losses=found.losses.astype(np.float64),
        rates=found.rates,
        total_steps=spec.steps,
        step=min(looks.until, len(found.losses)),
        chance=task.chance_loss,
        batch=spec.in_our_loop.batch_size,
        stopped=found.stopped,
    )


def _look_at_twin(spec: RunSpec, task: Workload, looks: Looks) -> tuple[ProbeRow, ...]:
    """The plain twin's gradients at update 1 and after 5 % of the run; none of a network that has no twin."""
    named = TWIN.fullmatch(spec.in_our_loop.model)
    if named is None:
        return ()
    model, own = f"plain{named[1]}", task.build
    last = next((step for step in looks.sharp if step > 1), 1)
    until = min(last + 1, looks.until)
    twin = spec.model_copy(update={"workload": spec.in_our_loop.model_copy(update={"model": model})})
    factory = network_factory(
        model, in_channels=own.in_channels, classes=own.classes, image_size=own.image_size, inputs=own.inputs
    )
    return probe_run(twin, replace(task, build=factory), at={1, last}, until=until, noise=False).rows
