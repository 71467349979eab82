"""Evaluation: mean cross-entropy and share of right answers on a part of the data, gradients off.

loss  = 1/n * sum of -log p(label)      without label smoothing
score = 1/n * sum of [argmax == label]  in [0, 1]; chance where the loss is not finite

The argmax of nan is the first class, whose share would look like a score. An output that is not finite makes the loss
so too, but for -inf at other classes than the label: a mask of classes, which hides nothing.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from calando.records import Lane
from calando.tasks.data.source import Source
from calando.tasks.workload import Workload

__all__ = ["evaluate"]

CHUNK = 500


def evaluate(network: nn.Module, workload: Workload, part: Source, *, lane: Lane) -> tuple[float, float]:
    """(loss, score) of the network on a part; the network's train/eval mode comes back as it was."""
    training = network.training
    network.eval()
    layout = torch.channels_last if lane.channels_last else torch.contiguous_format
    total_loss, right = 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(part), CHUNK):
            indices = torch.arange(start, min(start + CHUNK, len(part)))
            images = workload.normalise(part.fetch(indices)).to(lane.device).contiguous(memory_format=layout)
            labels = part.labels[indices].to(lane.device)
            with torch.autocast(lane.device.split(":")[0], torch.bfloat16, enabled=lane.precision == "bf16"):
                outputs = network(images)
            total_loss += float(F.cross_entropy(outputs.float(), labels, reduction="sum"))
            right += int((outputs.argmax(1) == labels).sum())
    network.train(training)
    loss = total_loss / len(part)
    return loss, right / len(part) if math.isfinite(loss) else workload.chance.score
