"""The loss of the best output that is the same for all samples: what a network reaches that ignores its inputs.

`ConstantOutputs`, of distances and of binary cross-entropy, averaged over the first BATCHES batches:
    squared and absolute errors     the lesser of: each target's mean over the batch, each one's median
    binary cross-entropy            the logit of each target's mean

`SharesSeen`, of cross-entropy, from the class shares of the targets so far:
    share   p_k = (n_k + 1) / (n + K)                         Laplace's rule: at 1,000 classes a sweep sees few of each
    target  t_k = w_k ((1 - s) p_k + s / K)                   class weights w, label smoothing s
    loss    - sum_k t_k log (t_k / sum t) / sum_k w_k p_k     log K for equal classes; divided by 1 instead if targets
                                                              are probabilities, as in torch's cross-entropy

Only of torch's own losses, which can be called without side effects; of others it is unknown. A regression whose
targets are far from zero learns their mean first: this says whether a network has learned more than that.
"""

from __future__ import annotations

import math
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import nn

from calando.tasks.workload import CrossEntropy

__all__ = ["ConstantOutputs", "SharesSeen"]

BATCHES = 5
DISTANCES = (
    nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss,
)  # fmt: skip
BINARY = (nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits)


@final
class ConstantOutputs:
    """The `loss` of a constant output on the batches that it was shown; None if unknown, as without a `loss_fn`.

    >>> constants = ConstantOutputs(F.mse_loss)
    >>> constants.add(torch.zeros(2, 1), torch.tensor([[9.0], [11.0]]))
    >>> constants.loss
    1.0
    """

    def __init__(self, loss_fn: Any) -> None:
        self._loss_fn = loss_fn
        self._seen: list[float] = []
        self._known = _is_one_of(loss_fn, DISTANCES) or _is_one_of(loss_fn, BINARY)

    @property
    def loss(self) -> float | None:
        return sum(self._seen) / len(self._seen) if self._seen else None

    def add(self, output: Any, target: Any) -> None:
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


@final
class SharesSeen:
    """Counts the targets of a mean cross-entropy; the chance of any other loss stays unknown.

    >>> seen = SharesSeen(F.cross_entropy)
    >>> seen.add(torch.zeros(100, 2), torch.tensor([0] * 95 + [1] * 5))
    >>> round(seen.chance, 3)
    0.224
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
        """Scores [N, K, …], with class numbers [N, …] or probabilities [N, K, …]; wrong ones are refused elsewhere."""
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
            # bincount makes room up to the largest, whatever it is.
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


def _is_one_of(loss_fn: Any, kinds: tuple[Any, ...]) -> bool:
    return any(type(loss_fn) is kind or loss_fn is kind for kind in kinds)
