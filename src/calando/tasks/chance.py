"""Chance: what a network scores that knows how frequent each class is, and nothing of the images.

    shares   p_k = n_k / n                         of the training labels
    target   t_k = (1 - s) p_k + s / K             with label smoothing s over K classes
    loss     H   = - sum_k t_k log t_k             log K where all classes are equally frequent, less elsewhere
    score    max_k p_k                             of naming the most frequent class always; 1 / K likewise

No constant answer has a lower mean loss than H. On a single batch its loss depends on which classes happen to be in it:

    batch    1/B sum_i c(y_i),   c(y) = - (1 - s) log t_y - s / K sum_k log t_k,   with mean H over the training part

Where classes are equally frequent every batch has H. At 1000 : 52 batches of 64 have anything from 0.05 to 0.5, so that
losses are compared with this rather than with their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["Chance", "chance_of"]


@dataclass(frozen=True, eq=False)
class Chance:
    """What is known of a network that knows class frequencies alone.

    Args:
        score: share of samples that it gets right, in (0, 1].
        costs: its cross-entropy on a sample of each class, float64[K].
        loss: the mean of that over the training part.
    """

    score: float
    costs: torch.Tensor
    loss: float

    @property
    def classes(self) -> int:
        """K."""
        return len(self.costs)

    def of_batch(self, targets: torch.Tensor) -> float:
        """Its loss on a batch with these targets, int64[B]."""
        return float(self.costs[targets].mean())


def chance_of(labels: torch.Tensor, *, classes: int, label_smoothing: float = 0.0) -> Chance:
    """From the labels that are trained on.

    >>> chance = chance_of(torch.tensor([0] * 3 + [1]), classes=2)
    >>> chance.score, round(chance.loss, 4)
    (0.75, 0.5623)
    >>> round(chance.of_batch(torch.tensor([0, 0])), 4)
    0.2877

    Args:
        labels: int64[n], at least one, each below `classes`.
        classes: K.
        label_smoothing: s, in [0, 1).
    """
    counts = torch.bincount(labels, minlength=classes).double()
    shares = counts / counts.sum()
    even = label_smoothing / classes
    target = (1 - label_smoothing) * shares + even
    # A class that is never trained on costs nothing: it is in no batch.
    surprise = torch.where(target > 0, -target.clamp(min=1e-300).log(), 0.0)
    costs = (1 - label_smoothing) * surprise + even * surprise.sum()
    return Chance(float(shares.max()), costs, float((shares * costs).sum()))
