"""The whole state of a run between two updates: everything `loop.advance` reads and writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from calando.controllers import Controller, Divergence
from calando.controllers.base import State as ControllerState
from calando.methods import Method, find_method
from calando.methods.driver import Driver
from calando.records import Evaluation, Event, RunSpec
from calando.schedules.span import Horizon
from calando.strategy.strategies import bind_average, bind_strategy
from calando.tasks.workload import Workload
from calando.training.average import RunningAverage
from calando.training.lane import seed_step

if TYPE_CHECKING:
    from calando.training.capture import Capture

__all__ = ["TrainState", "start"]


@dataclass
class TrainState:
    """A run in progress.

    Args:
        step: updates made so far; the next update is number `step`.
        losses, rates: [spec.steps], filled up to `step`.
        controller_states, multipliers: one for each controller.
        average: of the weights, evaluated instead of them; None: there is none.
        skips: (update, batches): from that update on, so many batches of the seed's order are left out.
        undone: updates that a rewind took back.
        second_passes: updates that took one, those taken back included.
        kept: the last states worth coming back to, oldest first.
        evaluated: the network's state as last evaluated, where that is not what is trained.
        stopped: why the run ended before its horizon, or None.
        seconds: time spent so far, over all sessions.
        inherited, inherited_seconds: updates as they are charged, and time, that another run spent and this one
            started from.
    """

    spec: RunSpec
    method: Method
    network: nn.Module
    optimizer: Optimizer
    driver: Driver
    controllers: tuple[Controller, ...]
    controller_states: list[ControllerState]
    multipliers: list[float]
    losses: np.ndarray
    rates: np.ndarray
    step: int = 0
    evaluations: list[Evaluation] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    average: RunningAverage | None = None
    skips: list[tuple[int, int]] = field(default_factory=list)
    undone: int = 0
    second_passes: int = 0
    kept: list[Capture] = field(default_factory=list)
    evaluated: dict[str, torch.Tensor] | None = None
    stopped: str | None = None
    seconds: float = 0.0
    inherited: int = 0
    inherited_seconds: float = 0.0

    @property
    def charged(self) -> int:
        """Updates so far as `RunRecord.updates` counts them."""
        return self.step + self.undone + self.second_passes

    @property
    def seen(self) -> int:
        """Losses computed so far: one that is not finite was seen, though no update followed and the run ended."""
        ended_by_loss = self.stopped is not None and not np.isfinite(self.losses[self.step : self.step + 1]).all()
        return self.step + ended_by_loss


def start(spec: RunSpec, workload: Workload) -> TrainState:
    """The state before the first update: initial weights are a function of the seed alone.

    Call it under `holding_lane`, which puts the global generators back.
    """
    seed_step(spec.seed, -1)
    network = workload.build()
    network = network.to(device=spec.lane.device)
    if spec.lane.channels_last:
        for parameter in network.parameters():
            if parameter.ndim == 4:
                # Not `contiguous`: filters of one channel are that in either layout and would stay as they are, and
                # with them what they put out.
                parameter.data = parameter.data.to(memory_format=torch.channels_last)
    network.train()
    method = find_method(spec.strategy.method)
    options: dict[str, Any] = method.settle(spec.strategy.options)
    optimizer = method.build(method.groups.split(network, options), spec.lr, options)
    average = bind_average(spec.strategy, steps=spec.steps, steps_per_epoch=spec.steps_per_epoch)
    schedules, asked_for = bind_strategy(spec.strategy, steps=spec.steps, steps_per_epoch=spec.steps_per_epoch)
    controllers = (Divergence(), *asked_for)
    return TrainState(
        spec=spec,
        method=method,
        network=network,
        optimizer=optimizer,
        driver=Driver(optimizer, schedules=schedules, horizon=Horizon(spec.steps, spec.steps_per_epoch)),
        controllers=controllers,
        controller_states=[controller.initial() for controller in controllers],
        multipliers=[float(controller.initial().get("multiplier", 1.0)) for controller in controllers],
        losses=np.zeros(spec.steps, np.float32),
        rates=np.zeros(spec.steps, np.float64),
        average=None if average is None else RunningAverage(network, average),
        skips=list(spec.skips),
    )
