"""The loss of an output that is the same for all samples: what a network reaches that knows nothing of its inputs.

    squared and absolute errors     the lesser of: each target's mean over the batch, each one's median
    binary cross-entropy            the logit of each target's mean

averaged over the first BATCHES batches. Of torch's own losses, which do nothing but answer when they are asked; of any
other it is not known, nor of a network that is spread over ranks, whose batches differ.

A regression whose targets are far from zero learns their mean first. Its curve is judged as it is; this only says
whether a network has learned more than that.
"""

from __future__ import annotations

import math
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["ConstantOutputs"]

BATCHES = 5
DISTANCES = (
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    F.mse_loss,
    F.l1_loss,
    F.smooth_l1_loss,
    F.huber_loss,
)
BINARY = (nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits)


@final
class ConstantOutputs:
    """Shown the outputs and targets of batches, it has their `loss`, or None.

    >>> constants = ConstantOutputs(F.mse_loss)
    >>> constants.add(torch.zeros(2, 1), torch.tensor([[9.0], [11.0]]))
    >>> constants.loss
    1.0

    Args:
        loss_fn: (outputs, targets) -> loss; None: nothing is to be known.
    """

    def __init__(self, loss_fn: Any) -> None:
        self._loss_fn = loss_fn
        self._seen: list[float] = []
        self._known = _is_one_of(loss_fn, DISTANCES) or _is_one_of(loss_fn, BINARY)

    @property
    def loss(self) -> float | None:
        """Mean over the batches so far."""
        return sum(self._seen) / len(self._seen) if self._seen else None

    def add(self, output: Any, target: Any) -> None:
        """Take notice of one batch."""
        if not self._known or len(self._seen) == BATCHES:
            return
        found = self._least(output, target)
        if found is None:
            self._known, self._seen = False, []
        else:
            self._seen.append(found)

    def _least(self, output: Any, target: Any) -> float | None:
        if not isinstance(target, torch.Tensor) or not isinstance(output, torch.Tensor):
            return None
        if not target.is_floating_point() or target.shape != output.shape or target.ndim < 1 or len(target) < 2:
            return None
        with torch.no_grad(), torch.autocast(target.device.type, enabled=False):
            wanted = target.detach().float()
            mean = wanted.mean(dim=0, keepdim=True)
            constants = [torch.logit(mean, eps=1e-6)]
            if _is_one_of(self._loss_fn, DISTANCES):
                constants = [mean, wanted.median(dim=0, keepdim=True).values]
            losses = [self._loss_fn(one.expand_as(wanted).contiguous(), wanted) for one in constants]
        if any(loss.numel() != 1 or not math.isfinite(float(loss)) for loss in losses):
            return None
        return min(map(float, losses))


def _is_one_of(loss_fn: Any, kinds: tuple[Any, ...]) -> bool:
    return any(type(loss_fn) is kind or loss_fn is kind for kind in kinds)
