"""Each layer's gradient and dead channels, seen in the training's own passes.

    gradient   |∂L/∂h| over the layer's whole output h
    dead       share of its channels whose ∂L/∂h is zero for every sample: no weight of theirs moves

Hooks on the outputs read gradients on their way and change nothing. Where the passes are compiled torch ignores hooks
that come later, and nothing is seen; what was not seen is None, not 0.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, final

import torch
from torch import nn

from calando.training.probes.entries import entries

__all__ = ["LayerGradients", "weighted_layers"]


def weighted_layers(network: nn.Module) -> dict[str, nn.Module]:
    """The layers that have a weight of two dimensions or more: convolutions, linear ones and their like.

    >>> list(weighted_layers(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Linear(2, 1))))
    ['0', '2']
    """
    found = {}
    for name, module in network.named_modules():
        weight = dict(module.named_parameters(recurse=False)).get("weight")  # of a scripted module too
        if isinstance(weight, torch.Tensor) and weight.ndim >= 2 and not isinstance(module, nn.Embedding):
            found[name or "network"] = module
    return found


@final
class LayerGradients:
    """What reached each layer's output since `watching` began; several passes are one batch."""

    def __init__(self, network: nn.Module) -> None:
        self.layers = weighted_layers(network)
        self.order: list[str] = []
        self.seconds = 0.0  # that looking took within the training's own passes
        self._squares: dict[str, torch.Tensor] = {}
        self._alive: dict[str, torch.Tensor] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        handles = self.attach()
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def attach(self) -> list[Any]:
        """Hook every layer but scripted ones, which take no hooks; the caller removes the handles."""
        return [
            module.register_forward_hook(_LayerHook(self, name))
            for name, module in self.layers.items()
            if not isinstance(module, torch.jit.ScriptModule)
        ]

    def gradient(self, name: str) -> float | None:
        squares = self._squares.get(name)
        return None if squares is None else math.sqrt(float(squares))

    def dead(self, name: str) -> float | None:
        alive = self._alive.get(name)
        return None if alive is None else 1.0 - float(alive.float().mean())

    def _passed(self, name: str, module: nn.Module, output: Any) -> None:
        if not isinstance(output, torch.Tensor) or not output.requires_grad:
            return
        if name not in self.order:
            self.order.append(name)
        # A convolution's channels are the dimension after the batch, those of other layers the last.
        channels = 1 if isinstance(module, nn.modules.conv._ConvNd) and output.ndim > 2 else output.ndim - 1
        output.register_hook(lambda gradient: self._see(name, gradient, channels))

    def _see(self, name: str, gradient: torch.Tensor, channels: int) -> None:
        began = time.perf_counter()
        found = entries(gradient)
        squares = found.double().square().sum() if found.dtype == torch.float64 else found.float().square().sum()
        others = [dimension for dimension in range(found.ndim) if dimension != channels]
        alive = (found != 0).any(dim=others) if others else found != 0
        if name in self._squares:
            squares, alive = squares + self._squares[name], alive | self._alive[name]
        self._squares[name], self._alive[name] = squares, alive
        self.seconds += time.perf_counter() - began


@final
class _LayerHook:
    """What a layer calls after its forward pass; in a copy or a pickle of the layer it does nothing.

    A network may be copied or saved between two updates, while it is looked at. The copy is not; what is saved must
    load where calando is not installed.
    """

    def __init__(self, gradients: LayerGradients, name: str) -> None:
        self._gradients, self._name = gradients, name

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._gradients._passed(self._name, module, output)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")  # takes any three arguments, and returns None
