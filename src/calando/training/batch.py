"""The batch of one update of a run: its samples, the gradient of its loss, and that gradient once more.

Samples, augmentation and dropout are functions of (seed, index), so a second pass sees what the first one saw.
"""

from __future__ import annotations

from typing import final

from torch import nn

from calando.tasks.source import TensorSource
from calando.tasks.workload import Workload
from calando.training.foreign import Quiet
from calando.training.lane import run_network, seed_step
from calando.training.state import TrainState

__all__ = ["Batch"]


@final
class Batch:
    """Of a run at its present step.

    Args:
        quiet: notices draws that are not the run's.
        index: of the batch in the seed's order. What is random in a forward pass depends on it too.

    `labels` are its targets, int64[batch_size], on the CPU.
    """

    def __init__(self, state: TrainState, workload: Workload, quiet: Quiet, index: int) -> None:
        self._state, self._workload, self._quiet, self._index = state, workload, quiet, index
        quiet.end("between")
        seed_step(state.spec.seed, index)
        in_memory = isinstance(workload.train, TensorSource)
        if in_memory:
            quiet.begin()
        self._images, self.labels = workload.batch(index, seed=state.spec.seed)
        if in_memory:
            quiet.end("batch")

    def gradient(self) -> float:
        """Add the gradient to the parameters' `grad`; the training loss, a mean over the micro-batches."""
        spec = self._state.spec
        micro = spec.workload.batch_size // spec.workload.accumulate
        total = 0.0
        for x, y in zip(self._images.split(micro), self.labels.split(micro), strict=True):
            outputs = run_network(self._state.network, x, spec.lane)
            loss = self._workload.loss(outputs.float(), y.to(outputs.device)) / spec.workload.accumulate
            self._quiet.begin()
            loss.backward()
            self._quiet.end("backward")
            total += loss.item()
        return total

    def again(self) -> float:
        """The same, with the same dropout, at the weights as they are now."""
        seed_step(self._state.spec.seed, self._index)
        return self.gradient()

    def clip(self) -> None:
        """Limit the gradient to the workload's `clip_norm`."""
        norm = self._state.spec.workload.clip_norm
        if norm is not None:
            nn.utils.clip_grad_norm_([p for g in self._state.optimizer.param_groups for p in g["params"]], norm)
