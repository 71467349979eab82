"""The weights that are evaluated, where they are not the weights that are trained.

    an average of the weights           `calando.training.average`
    a method with an evaluation mode    `optimizer.eval()`: schedule-free methods, DoG

Statistics of batch normalisation belong to the weights they were gathered with. Those gathered in training are of
other weights, so they are worked out anew for these: the mean over BATCHES training batches, the first of the seed's
order, dropout off. What is trained comes back to the bit: `optimizer.train()` alone would round.

Source: Defazio et al. 2024, *The Road Less Scheduled*, section 4 and their repository's notes on batch norm.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from calando.tasks.workload import Workload
from calando.training.batch_norm import gathering_statistics, statistics_of
from calando.training.lane import seed_step
from calando.training.state import TrainState

__all__ = ["BATCHES", "evaluated_weights", "others_evaluated", "recalibrate"]

BATCHES = 20


@contextmanager
def evaluated_weights(state: TrainState, workload: Workload) -> Iterator[bool]:
    """Meanwhile the network holds what is to be evaluated; afterwards what is trained, to the bit.

    Yields whether these are others than those trained.
    """
    if not others_evaluated(state):
        yield False
        return
    kept = [(value, value.detach().clone()) for value in (*state.network.parameters(), *state.network.buffers())]
    switching: Any = state.optimizer  # has eval() and train() where its method says so
    try:
        if state.method.eval_mode:
            switching.eval()
        if state.average is not None and state.average.count:
            state.average.put_in()
        recalibrate(state, workload, batches=BATCHES)
        yield True
    finally:
        if state.method.eval_mode:
            switching.train()
        with torch.no_grad():
            for value, before in kept:
                value.copy_(before)


def others_evaluated(state: TrainState) -> bool:
    """Whether the weights to evaluate are others than those trained."""
    return state.method.eval_mode or (state.average is not None and state.average.count > 0)


def recalibrate(state: TrainState, workload: Workload, *, batches: int) -> None:
    """Work the statistics of batch normalisation out anew, for the weights as they are.

    The generators are left as a later update will set them anyway. Without such layers nothing is done.
    """
    layers = [layer for layer in statistics_of(state.network) if layer.training]
    if not layers or not batches:
        return
    spec, lane = state.spec, state.spec.lane
    layout = torch.channels_last if lane.channels_last else torch.contiguous_format
    device = torch.device(lane.device)
    micro = spec.workload.batch_size // spec.workload.accumulate
    with gathering_statistics(state.network, layers):
        for index in range(batches):
            seed_step(spec.seed, index)
            images, _ = workload.batch(index, seed=spec.seed)
            for part in images.split(micro):
                with torch.autocast(device.type, torch.bfloat16) if lane.precision == "bf16" else nullcontext():
                    state.network(part.to(device).contiguous(memory_format=layout))
