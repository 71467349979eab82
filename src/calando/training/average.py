"""A running average of the weights, which is evaluated instead of them.

    ema   a <- d_n a + (1 - d_n) w after each update from `start` on,   d_n = min(decay, (1 + n) / (10 + n))
    swa   a <- a + (w - a) / (n + 1) after update `start` and every `every` updates from there on

n counts the weights averaged before; the first is taken as it is. d_n lets the first averages forget the beginning
sooner, as in TensorFlow's and timm's averages. Averages are float32 or better. Statistics of batch normalisation are
not averaged: they are gathered again for the averaged weights (`calando.training.evaluate`).

Sources: Polyak & Juditsky 1992; Izmailov et al. 2018 (SWA).
"""

from __future__ import annotations

import torch
from torch import nn

from calando.strategy.averaging import Average

__all__ = ["RunningAverage"]


class RunningAverage:
    """The average of a network's trained weights.

    Args:
        network: whose parameters are averaged; they are not changed.
        plan: which average.
    """

    def __init__(self, network: nn.Module, plan: Average) -> None:
        self.plan = plan
        self.count = 0
        self._weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        self.tensors = {
            name: weight.detach().to(torch.promote_types(weight.dtype, torch.float32), copy=True)
            for name, weight in self._weights.items()
        }

    def update(self, step: int) -> None:
        """Take in the weights after update `step`, where the plan says so."""
        due = step >= self.plan.start and (step - self.plan.start) % self.plan.every == 0
        if not due:
            return
        n, self.count = self.count, self.count + 1
        share = 1 / (n + 1) if self.plan.kind == "swa" else 1 - min(self.plan.decay, (1 + n) / (10 + n))
        for name, weight in self._weights.items():
            if n == 0:
                self.tensors[name].copy_(weight.detach())
            else:
                self.tensors[name].lerp_(weight.detach().to(self.tensors[name].dtype), share)

    @torch.no_grad()
    def put_in(self) -> None:
        """Write the average into the network; the caller has kept the weights."""
        for name, weight in self._weights.items():
            weight.copy_(self.tensors[name])
