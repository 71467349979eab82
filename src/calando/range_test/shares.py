"""The class shares of the targets seen so far, and the loss of a network that knows these alone.

    share   p_k = (n_k + 1) / (n + K)                         Laplace's rule: at 1,000 classes a sweep sees few of each
    target  t_k = w_k ((1 - s) p_k + s / K)                   class weights w, label smoothing s
    loss    - sum_k t_k log (t_k / sum t) / sum_k w_k p_k     of the best constant answer; log K for equal classes

Divided by 1 instead where targets are probabilities, as torch's cross-entropy does.
"""

from __future__ import annotations

from typing import Any, final

import torch
import torch.nn.functional as F
from torch import nn

from calando.tasks.workload import CrossEntropy

__all__ = ["SharesSeen"]


@final
class SharesSeen:
    """Counts the targets of a mean cross-entropy; of any other loss nothing, and its chance stays unknown.

    >>> seen = SharesSeen(F.cross_entropy)
    >>> seen.add(torch.zeros(100, 2), torch.tensor([0] * 95 + [1] * 5))
    >>> round(seen.chance, 3)
    0.224

    Args:
        loss_fn: the user's.
    """

    def __init__(self, loss_fn: Any) -> None:
        module = loss_fn if isinstance(loss_fn, nn.CrossEntropyLoss) else None
        self._known = (
            loss_fn is F.cross_entropy
            or isinstance(loss_fn, CrossEntropy)
            or (module is not None and module.reduction == "mean")
        )
        self._smoothing = float(getattr(loss_fn, "label_smoothing", 0.0))
        self._weight = None if module is None or module.weight is None else module.weight.detach().double().cpu()
        self._ignored = -100 if module is None else module.ignore_index
        self._counts: torch.Tensor | None = None
        self._probabilities = False

    def add(self, output: Any, target: Any) -> None:
        """The targets of a batch; what a cross-entropy would refuse is left to it to refuse.

        Args:
            output: scores [N, K, …].
            target: class numbers [N, …] or probabilities [N, K, …].
        """
        if not self._known or not isinstance(output, torch.Tensor) or not isinstance(target, torch.Tensor):
            return
        if output.ndim < 2 or output.shape[1] < 2:
            return
        found = target.detach().cpu()
        if found.is_floating_point() and found.shape == output.shape:
            self._probabilities = True
            counts = found.double().transpose(0, 1).flatten(1).sum(1)
        else:
            named = found.flatten()
            named = named[named != self._ignored].long()
            # Counting makes room up to the largest, whatever it is.
            if len(named) and not 0 <= int(named.min()) <= int(named.max()) < output.shape[1]:
                return
            counts = torch.bincount(named, minlength=output.shape[1]).double()
        self._counts = counts if self._counts is None else self._counts + counts

    @property
    def chance(self) -> float | None:
        """The loss of the best constant answer; None where it is unknown."""
        if self._counts is None:
            return None
        classes = len(self._counts)
        shares = (self._counts + 1) / (self._counts.sum() + classes)
        weight = torch.ones(classes, dtype=torch.float64) if self._weight is None else self._weight
        target = weight * ((1 - self._smoothing) * shares + self._smoothing / classes)
        unit = 1.0 if self._probabilities else float((weight * shares).sum())
        return float(-torch.xlogy(target, target / target.sum()).sum()) / unit
