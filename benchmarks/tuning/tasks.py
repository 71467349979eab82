"""Pictures of CIFAR-10 and Fashion-MNIST at half their size: real data at an eighth of the cost of an update.

`cifar_deep`, `cifar_cnn` (batches of 128), `cifar_resnet8`, `fashion_resnet8`, `fashion_grouped`: 6,000 training
pictures, 10 % of them validation, 5,000 test pictures. `grouped` is conv 3x3 - group norm - ReLU, twice at each of the
widths 16, 32, 64, stride 2 between; mean; linear: no batch statistics, and what explodes does not die.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from finders.nets import deep
from torch import nn

import calando
from calando.tasks.catalog import resolve
from calando.tasks.load_task import load
from calando.tasks.source import Source

__all__ = ["cifar_cnn", "cifar_deep", "cifar_resnet8", "fashion_grouped", "fashion_resnet8", "grouped", "smaller"]

TRAIN, TEST = 6000, 5000


def grouped(*, in_channels: int, classes: int) -> nn.Module:
    """Six convolutions, four groups of channels each."""
    layers: list[nn.Module] = []
    before = in_channels
    for width in (16, 32, 64):
        for stride in (1 if width == 16 else 2, 1):
            layers += [nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False), nn.GroupNorm(4, width)]
            layers += [nn.ReLU(inplace=True)]
            before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def _half(part: Source, many: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first pictures, each pixel the mean of four."""
    rows = torch.arange(many)
    smaller = torch.nn.functional.avg_pool2d(part.fetch(rows).float(), 2)
    return smaller.round().to(torch.uint8), part.targets(rows)


def smaller(data: str, model: str | Callable[..., nn.Module], name: str, batch: int = 32) -> calando.Workload:
    folder = Path(os.environ.get("CALANDO_DATA", "../shared/data"))
    whole = load(resolve(data, validation_fraction=0.1), data_dir=folder)
    train, test = _half(whole.train, TRAIN), _half(whole.test, TEST)
    return calando.workload(train=train, test=test, model=model, batch_size=batch, name=name)


cifar_deep = partial(smaller, "cifar10", deep, "cifar-deep")
cifar_cnn = partial(smaller, "cifar10", "cnn", "cifar-cnn", 128)
cifar_resnet8 = partial(smaller, "cifar10", "resnet8", "cifar-resnet8")
fashion_resnet8 = partial(smaller, "fashion-mnist", "resnet8", "fashion-resnet8")
fashion_grouped = partial(smaller, "fashion-mnist", grouped, "fashion-grouped")
