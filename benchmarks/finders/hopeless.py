"""Cases for which no rate is good: a finder should say that it does not know.

frozen-bias   labels shuffled, only the last bias is trained
frozen-head   labels shuffled again in every batch, only the last layer is trained
constant      the loss does not depend on the parameters; it differs from batch to batch
flat          the loss is log(classes), whatever happens
noise-S       no network: 2.3 + S * white noise;  noise-S-ar: the same, smoothed (each value 0.9 times the one before)
redrawn-NET   labels shuffled again in every batch, all of the network is trained: the loss may fall to log(classes)
              and no further. Beyond what was asked for, and reported apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import lfilter
from sklearn.datasets import load_digits
from torch import nn

import calando
from calando.records import RunSpec
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.tasks.nets.cnn import cnn

from .nets import shallow

__all__ = ["HOPELESS", "NOISE", "Hopeless", "noise_curves"]

SGD, ADAM = "sgd(lr=1.0, momentum=0.9)", "adam(lr=1.0)"


def frozen_bias() -> nn.Module:
    """Nothing but the last bias can change."""
    net = shallow(in_channels=1, classes=10, image_size=(8, 8))
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    net[-1].bias.requires_grad_(True)
    return net


def frozen_head() -> nn.Module:
    """Nothing but the last layer can change."""
    net = frozen_bias()
    net[-1].weight.requires_grad_(True)
    return net


def small_cnn() -> nn.Module:
    """With batch norm."""
    return cnn(in_channels=1, classes=10, image_size=(8, 8))


def small_shallow() -> nn.Module:
    """Without."""
    return shallow(in_channels=1, classes=10, image_size=(8, 8))


def redrawn(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy against labels shuffled within the batch; torch's generator is seeded at every step."""
    return F.cross_entropy(outputs, targets[torch.randperm(len(targets))])


def constant(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """A number that differs from batch to batch, with a gradient of zero."""
    return 2.3 + 0.05 * torch.randn(()) + 0 * outputs.sum()


def flat(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """log(10) with a gradient of zero."""
    return 2.302585 + 0 * outputs.sum()


@dataclass(frozen=True, kw_only=True)
class Hopeless:
    """A case without an answer; `extra`: beyond what was asked for."""

    name: str
    build: Callable[[], nn.Module]
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None
    method: str = SGD
    shuffled: bool = False
    extra: bool = False

    def prepare(self) -> tuple[RunSpec, calando.Workload]:
        """As `cases.prepare`."""
        images, labels = load_digits(return_X_y=True)
        if self.shuffled:
            labels = np.random.default_rng(0).permutation(labels)
        data = (images.reshape(-1, 8, 8).astype(np.float32), labels)
        workload = calando.workload(train=data, model=self.build, loss=self.loss, batch_size=64, name=self.name)
        return build_run(
            workload, f"{self.method} | linear(1, 0)", budget=Budget(steps=100), machine=Machine(device="cpu")
        )


HOPELESS = (
    Hopeless(name="frozen-bias", build=frozen_bias, loss=None, shuffled=True),
    Hopeless(name="frozen-bias-adam", build=frozen_bias, loss=None, shuffled=True, method=ADAM),
    Hopeless(name="frozen-head", build=frozen_head, loss=redrawn),
    Hopeless(name="constant", build=small_cnn, loss=constant),
    Hopeless(name="flat", build=small_shallow, loss=flat),
    Hopeless(name="redrawn-cnn", build=small_cnn, loss=redrawn, extra=True),
    Hopeless(name="redrawn-shallow-adam", build=small_shallow, loss=redrawn, method=ADAM, extra=True),
)

NOISE = {"noise-0.01": (0.01, 0.0), "noise-0.1": (0.1, 0.0), "noise-0.5": (0.5, 0.0), "noise-0.1-ar": (0.1, 0.9)}
"""Name -> (standard deviation, share of each value in the next)."""


def noise_curves(name: str, *, seeds: int, repeats: int, steps: int) -> np.ndarray:
    """float32[seeds, repeats, steps]."""
    sd, carried = NOISE[name]
    generator = np.random.default_rng(list(NOISE).index(name))
    white = generator.normal(0, sd * np.sqrt(1 - carried**2), (seeds, repeats, steps + 100))
    return (2.3 + lfilter([1], [1, -carried], white)[..., 100:]).astype(np.float32)
