"""The gradient noise scale, from gradients of two halves of a batch.

    g1, g2      mean gradients of two batches of b samples each
    signal      <g1, g2>,            whose mean is |g|², g the gradient over all samples
    noise       b |g1 - g2|² / 2,    whose mean is tr Σ, Σ the covariance of one sample's gradient
    scale       noise / signal

It is McCandlish et al.'s estimate from batches of b and 2 b samples, written without their difference of large numbers.
Of one pair it is noisy: pool noise and signal over several rows before dividing.

Source: McCandlish, Kaplan, Amodei & OpenAI Dota Team 2018, *An Empirical Model of Large-Batch Training*, appendix A.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from calando.training.probes.entries import entries

__all__ = ["noise_and_signal"]


def noise_and_signal(
    halves: Sequence[Callable[[], torch.Tensor]], parameters: Sequence[torch.Tensor], *, samples: int
) -> tuple[float, float]:
    """(noise, signal) of two halves.

    Args:
        halves: two losses, each a mean over its half, with their graphs.
        parameters: the trained weights.
        samples: in each half.

    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> noise_and_signal([lambda: 3 * w[0] + w[1], lambda: 3 * w[0] - w[1]], [w], samples=4)
    (8.0, 8.0)
    """
    assert len(halves) == 2
    first, second = (_gradient(half, parameters) for half in halves)
    signal = distance = 0.0
    for a, b in zip(first, second, strict=True):
        if a is not None and b is not None:
            one, other = entries(a).double(), entries(b).double()
            signal += float((one * other).sum())
            distance += float((one - other).square().sum())
    return samples * distance / 2, signal


def _gradient(loss: Callable[[], torch.Tensor], parameters: Sequence[torch.Tensor]) -> tuple[torch.Tensor | None, ...]:
    with torch.enable_grad():
        return torch.autograd.grad(loss(), list(parameters), allow_unused=True)
