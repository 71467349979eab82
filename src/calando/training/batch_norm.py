"""Running statistics of batch normalisation: whose they are, held still, or worked out anew.

They belong to the weights they were gathered with. A second pass of one batch must leave them; weights that were not
trained themselves, an average, need others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["gathering_statistics", "holding_statistics", "statistics_of"]


def statistics_of(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The layers that keep running statistics of batches.

    >>> len(statistics_of(nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2, track_running_stats=False))))
    1
    """
    layers = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    return [layer for layer in layers if layer.track_running_stats]


@contextmanager
def gathering_statistics(network: nn.Module, layers: Collection[nn.modules.batchnorm._BatchNorm]) -> Iterator[None]:
    """Forward passes meanwhile give `layers` the mean of their batches' statistics; dropout is off.

    Args:
        layers: of `statistics_of(network)`, those that are not frozen: the others keep what they have.

    >>> layer = nn.BatchNorm1d(1, momentum=0.1)
    >>> with gathering_statistics(layer, [layer]):
    ...     _ = layer(torch.tensor([[1.0], [3.0]])), layer(torch.tensor([[5.0], [7.0]]))
    >>> layer.running_mean.item(), layer.momentum
    (4.0, 0.1)
    """
    modes = [(module, module.training) for module in network.modules()]
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
        layer.train()
    try:
        with torch.no_grad():
            yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, training in modes:
            module.training = training


@contextmanager
def holding_statistics(network: nn.Module) -> Iterator[None]:
    """What is normalised by the batch's statistics is so still, and the running ones stay; so do frozen layers."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._NormBase)]
    layers = [layer for layer in norms if layer.track_running_stats and layer.training]
    for layer in layers:
        layer.track_running_stats = False
    kept = [(layer.running_mean, layer.running_var, layer.num_batches_tracked) for layer in layers]
    for layer in layers:
        layer.running_mean = layer.running_var = layer.num_batches_tracked = None
    try:
        yield
    finally:
        for layer, (mean, variance, count) in zip(layers, kept, strict=True):
            layer.running_mean, layer.running_var, layer.num_batches_tracked = mean, variance, count
            layer.track_running_stats = True
