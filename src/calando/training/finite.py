"""Whether a network's numbers are finite: looked at where it is evaluated, never in between.

    weights       the parameters that are trained
    statistics    running mean and variance of batch normalisation

Other buffers and frozen parameters are their owner's: a mask may hold -inf on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from calando.training.batch_norm import statistics_of

__all__ = ["all_finite", "network_broken"]


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether every number is finite: one pass over them, and one number from the device.

    The largest magnitude, not the sum of squares, which overflows at finite weights of 1e20.

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
        return "weights are not finite"
    kept = (value for layer in statistics_of(network) for value in (layer.running_mean, layer.running_var))
    if not all_finite(value for value in kept if value is not None):
        return "running statistics of batch normalisation are not finite"
    return ""
