"""What a metric has seen of a part of the data, batch by batch, and the targets that it compares with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch

from calando.errors import UsageError
from calando.language import message
from calando.tasks import tree
from calando.tasks.objective import Samples

__all__ = ["Tally", "kept", "labels_of", "wanted_of"]


class Tally(ABC):
    """What a metric has seen of a part."""

    @abstractmethod
    def add(self, outputs: Any, samples: Samples, loss: float) -> None:
        """Take a batch in: its outputs, float32 on any device, its samples, and its mean loss."""

    @abstractmethod
    def score(self) -> float:
        """Of all that was taken in."""


def labels_of(scores: torch.Tensor, targets: torch.Tensor, *, metric: str) -> tuple[torch.Tensor, torch.Tensor] | None:
    """(answers, targets) as true and false, where each output has a target of 0 or 1 of its own; None: classes.

    Raises:
        UsageError: targets that are numbers.
    """
    if scores.ndim == targets.ndim + 1 and scores.shape[-1] == 1:
        scores = scores.squeeze(-1)
    if scores.shape != targets.shape:
        return None
    if not bool(((targets == 0) | (targets == 1)).all()):
        raise UsageError(
            message(
                "metric {metric!r} needs classes, or labels of 0 and 1, and the targets are numbers such "
                "as {value:g}: take rmse or r2",
                metric=metric,
                value=float(targets.reshape(-1)[0]),
            )
        )
    return scores > 0, targets > 0.5


def wanted_of(samples: Samples, *, metric: str) -> torch.Tensor:
    """The one tensor of targets that a named metric compares with; UsageError where there is none."""
    if not isinstance(samples.targets, torch.Tensor):
        raise UsageError(
            message(
                "metric {metric!r} needs targets in one tensor, and these data have none; give metric= "
                "as a function of (outputs, targets)",
                metric=metric,
            )
        )
    return samples.targets


def kept(value: Any) -> Any:
    """The same, detached and on the CPU."""
    return tree.mapped(value, lambda tensor: tensor.detach().cpu())
