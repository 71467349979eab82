"""Three tasks of calando's own loop that are no image classification; none was looked at while the rules were chosen.

table     a regression: scikit-learn's Friedman #1, 2,000 rows, an MLP without normalisation; R², SGD with momentum
pixels    three levels of brightness of the digits' pixels under noise, a fully convolutional net; mean IoU, Adam
labels    which of the ten digits are among two that stand side by side, a small CNN with batch norm; F1, AdamW
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits, make_friedman1
from torch import nn

import calando

__all__ = ["labels", "pixels", "table"]


def table() -> calando.Workload:
    x, y = make_friedman1(2000, n_features=10, noise=1.0, random_state=0)
    y = (y - y.mean()) / y.std()
    return calando.workload(train=(x, y), model=_mlp, metric="r2", batch_size=32, name="table")


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))


def pixels() -> calando.Workload:
    clean = torch.from_numpy(load_digits().images).float()
    generator = torch.Generator().manual_seed(0)
    noisy = (clean + 3 * torch.randn(clean.shape, generator=generator))[:, None]
    levels = (clean > 4).long() + (clean > 10).long()
    return calando.workload(train=(noisy, levels), model=_convolutions, metric="mean iou", batch_size=64, name="pixels")


def _convolutions() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((1, 16), (16, 16), (16, 16)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(16, 3, 1))


def labels() -> calando.Workload:
    found = load_digits()
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randint(0, len(found.target), (2, 2000), generator=generator)
    images, names = torch.from_numpy(found.images).float(), torch.from_numpy(found.target)
    both = torch.cat([images[left], images[right]], dim=2)[:, None]
    present = torch.zeros(2000, 10, dtype=torch.bool)
    present[torch.arange(2000), names[left]] = True
    present[torch.arange(2000), names[right]] = True
    return calando.workload(train=(both, present), model=_cnn, batch_size=64, name="labels")


def _cnn() -> nn.Module:
    first = [nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(32 * 2 * 4, 10))
