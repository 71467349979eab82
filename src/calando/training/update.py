"""One update of a run: the gradient of its batch, and the method's step with what it wants beside the gradient."""

from __future__ import annotations

from contextlib import nullcontext
from typing import final

import torch
from torch import nn
from torch.optim import Optimizer

from calando.tasks.data.source import TensorSource
from calando.tasks.workload import Workload
from calando.training.batch_norm import holding_statistics
from calando.training.foreign import Quiet
from calando.training.lane import seed_step
from calando.training.state import TrainState

__all__ = ["Update", "dead_share"]


@final
class Update:
    """Of a run at its present step; `gradient` first, then `apply` if the loss is finite.

    Args:
        quiet: notices draws that are not the run's.
        index: of the batch in the seed's order. What is random in a forward pass depends on it too.
        labels: its targets, int64[batch_size], on the CPU.
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
        self._loss = 0.0

    def gradient(self) -> float:
        """Add the gradient to the parameters' `grad`; the training loss, a mean over the micro-batches."""
        state, spec, lane = self._state, self._state.spec, self._state.spec.lane
        layout = torch.channels_last if lane.channels_last else torch.contiguous_format
        device = torch.device(lane.device)
        micro = spec.workload.batch_size // spec.workload.accumulate
        total = 0.0
        for part in range(0, spec.workload.batch_size, micro):
            x = self._images[part : part + micro].to(device).contiguous(memory_format=layout)
            y = self.labels[part : part + micro].to(device)
            with torch.autocast(device.type, torch.bfloat16) if lane.precision == "bf16" else nullcontext():
                outputs = state.network(x)
            loss = self._workload.loss(outputs.float(), y) / spec.workload.accumulate
            self._quiet.begin()
            loss.backward()
            self._quiet.end("backward")
            total += loss.item()
        self._loss = total
        return total

    def dead(self) -> float:
        """Share of the trained tensors whose gradient is exactly zero."""
        return dead_share(self._state.optimizer)

    def apply_measured(self) -> tuple[float, float]:
        """Make the step, and one more pass over its batch: (slope, curvature) along it, as in `Observation`.

        They are of the loss itself: its gradients are not clipped here, though the step's are.
        """
        parameters = [p for group in self._state.optimizer.param_groups for p in group["params"] if p.grad is not None]
        before = [(p.detach().clone(), p.grad.detach().clone()) for p in parameters if p.grad is not None]
        self.apply()
        self._again()
        slope = curvature = 0.0
        for parameter, (weight, gradient) in zip(parameters, before, strict=True):
            assert parameter.grad is not None
            moved = (parameter.detach() - weight).double()
            slope -= float((gradient.double() * moved).sum())
            curvature += float(((parameter.grad - gradient).double() * moved).sum())
        self._state.optimizer.zero_grad(set_to_none=True)
        return slope, curvature

    def apply(self) -> None:
        """Make the step along the gradient, clipped to `clip_norm`, and leave no gradient."""
        optimizer = self._state.optimizer
        self._clip()
        match self._state.method.closure:
            case "none":
                optimizer.step()
            case "loss":
                optimizer.step(lambda: self._loss)
            case "again":
                optimizer.step(self._again_clipped)
        optimizer.zero_grad(set_to_none=True)

    def _again_clipped(self) -> float:
        loss = self._again()
        self._clip()
        return loss

    def _clip(self) -> None:
        norm = self._state.spec.workload.clip_norm
        if norm is not None:
            parameters = [p for group in self._state.optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, norm)

    def _again(self) -> float:
        """Loss and gradient anew, at the weights as they are; statistics of batches are those of the first pass."""
        self._state.second_passes += 1
        self._state.optimizer.zero_grad(set_to_none=True)
        seed_step(self._state.spec.seed, self._index)
        with torch.enable_grad(), holding_statistics(self._state.network):
            return self.gradient()


def dead_share(optimizer: Optimizer) -> float:
    """Share of the tensors that an optimizer trains whose gradient is exactly zero."""
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    return sum(p.grad is None or not bool(p.grad.any()) for p in parameters) / len(parameters)
