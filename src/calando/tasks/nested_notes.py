"""What is reported of a task of nested samples before it is trained: what was chosen, and what may have been meant."""

from __future__ import annotations

import torch

from calando.language import message
from calando.tasks.metrics import Metric
from calando.tasks.nested_dataset import Nested, NestedDataset
from calando.tasks.objective import Forward, Loss, NamedLoss

__all__ = ["chosen_parts", "collated", "far_from_zero", "maybe_labels"]

_LOOKED_AT = 256
_FAR = 100.0


def chosen_parts(
    *, made_of: tuple[Loss | None, Loss | None], forward: Forward | None, metric: Metric, classes: int
) -> list[str]:
    """What was chosen, in a sentence."""
    asked, loss = made_of
    score = message(
        "score: {name}, higher is better" if metric.measure.goal == "max" else "score: {name}, lower is better",
        name=metric.name,
    )
    if forward is not None:
        return [message("loss: what forward returns; {score}", score=score)]
    if classes:
        return [message("loss: cross-entropy over {classes} classes; {score}", classes=classes, score=score)]
    if isinstance(loss, NamedLoss):
        return [
            message(
                "loss: {name}, by the targets' type; {score}" if asked is None else "loss: {name}; {score}",
                name=loss.name,
                score=score,
            )
        ]
    return [
        message(
            "loss: the network works it out; {score}" if loss is None else "loss: your function; {score}", score=score
        )
    ]


def collated(train: Nested, batch_size: int) -> list[str]:
    """A sentence where a person's `collate` makes more or fewer samples of a batch."""
    if not isinstance(train, NestedDataset) or train.collate is None:
        return []
    made = train.read(torch.arange(batch_size)).count
    if made == batch_size:
        return []
    return [
        message(
            "{origin}: collate makes {made} samples of the first {count}",
            origin=train.origin,
            made=made,
            count=batch_size,
        )
    ]


def maybe_labels(train: Nested, *, asked: Loss | None, loss: Loss | None) -> list[str]:
    """torch's own loss of labels takes them as floats, which are numbers by their type."""
    if asked is not None or loss != NamedLoss("mse"):
        return []
    targets = train.read(torch.arange(min(len(train), _LOOKED_AT))).targets
    if not bool(((targets == 0) | (targets == 1)).all()):
        return []
    return [message('all targets looked at are 0 or 1: if they are labels and no numbers, give loss="bce"')]


def far_from_zero(train: Nested, *, loss: Loss | None) -> list[str]:
    """Outputs of a new network are about 0 and 1 apart: numbers far from there take most of a run to be reached."""
    if not isinstance(loss, NamedLoss) or loss.name not in ("mse", "mae", "huber"):
        return []
    targets = train.read(torch.arange(min(len(train), _LOOKED_AT))).targets
    if not isinstance(targets, torch.Tensor):
        return []  # the loss refuses them by itself
    mean, spread = float(targets.double().mean()), float(targets.double().std(correction=0))
    if abs(mean) + spread <= _FAR:
        return []
    return [
        message(
            "targets have mean {mean:.6g} and standard deviation {spread:.3g}, and a new network answers about 0: "
            "train on (y - mean) / deviation, or a run ends on its way there",
            mean=mean,
            spread=spread,
        )
    ]
