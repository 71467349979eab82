"""A network's running statistics of batch normalisation, and whether its numbers are finite.

Running statistics belong to the weights that they were gathered with. A second pass of one batch must not change them;
weights that were not trained themselves, such as an average, need others.

Whether weights and statistics are finite is looked at where a network is evaluated, never in between. Other buffers and
frozen parameters are not looked at: a mask may hold -inf on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from calando.language import message

__all__ = ["all_finite", "gathering_statistics", "holding_statistics", "network_broken", "statistics_of"]


def statistics_of(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The layers that keep running statistics of batches.

    >>> len(statistics_of(nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2, track_running_stats=False))))
    1
    """
    layers = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    return [layer for layer in layers if layer.track_running_stats]


@contextmanager
def gathering_statistics(network: nn.Module, layers: Collection[nn.modules.batchnorm._BatchNorm]) -> Iterator[None]:
    """Have forward passes give `layers` (not the frozen ones) the mean of their batches' statistics; dropout is off.

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
    """Layers still normalise by their batch's statistics, and leave the running ones as they are."""
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


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether every number is finite: one pass over them, and one number from the device.

    By the largest magnitude, not by the sum of squares, which overflows at finite weights of 1e20.

    >>> all_finite([torch.tensor([1e38])]), all_finite([torch.ones(2), torch.tensor([math.nan, 1.0])])
    (True, False)
    """
    found = [
        tensor.detach() for tensor in tensors if tensor.numel() and (tensor.is_floating_point() or tensor.is_complex())
    ]
    if not found:
        return True
    largest = nn.utils.get_total_norm(found, norm_type=math.inf)
    whole = getattr(largest, "full_tensor", None)  # where weights are sharded
    return math.isfinite(float(largest if whole is None else whole()))


def network_broken(network: nn.Module) -> str:
    """What of a network is not finite, in words, or "".

    >>> layer = nn.Linear(2, 1)
    >>> _ = layer.weight.data[0].fill_(math.inf)
    >>> network_broken(layer)
    'weights are not finite'
    """
    if not all_finite(weight for weight in network.parameters() if weight.requires_grad):
        return message("weights are not finite")
    kept = (value for layer in statistics_of(network) for value in (layer.running_mean, layer.running_var))
    if not all_finite(value for value in kept if value is not None):
        return message("running statistics of batch normalisation are not finite")
    return ""
