"""A method trained through the registry, beside a formula written anew, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from tests.methods.method_cases import build
from torch import Tensor, nn

from calando.methods import METHODS

STEPS = 9
RATES = [0.5, 1.0, 1.0, 0.8, 0.6, 0.9, 0.4, 0.2, 0.1]  # of the base rate, step by step
SHAPES = [(4, 3), (5, 2, 3, 3), (6,), (3, 5)]
DECAYS = [0.1, 0.1, 0.0, 0.0]  # the first two are in one group, the others in another
BASES = [1.0, 1.0, 0.5, 0.5]


def start() -> list[Tensor]:
    torch.manual_seed(11)
    return [torch.randn(shape, dtype=torch.float64) for shape in SHAPES]


def gradients() -> list[list[Tensor]]:
    torch.manual_seed(12)
    return [[0.7 * torch.randn(shape, dtype=torch.float64) + 0.8 for shape in SHAPES] for _ in range(STEPS)]


def trained(name: str, lr: float, *, ratios: bool = True, losses: list[float] | None = None, **given) -> Iterator:
    """The method's weights after each step, and its optimizer."""
    parameters = [nn.Parameter(value.clone()) for value in start()]
    groups = [
        {"name": "decay", "params": parameters[:2], "weight_decay": DECAYS[0]},
        {"name": "no_decay", "params": parameters[2:], "weight_decay": 0.0},
    ]
    method = METHODS[name]
    optimizer = build(method, groups, lr=lr, weight_decay=DECAYS[0], **given)
    for step, slopes in enumerate(gradients()):
        for group, base in zip(optimizer.param_groups, (1.0, 0.5 if ratios else 1.0), strict=True):
            group["lr"] = lr * base * RATES[step]
        for p, g in zip(parameters, slopes, strict=True):
            p.grad = g.clone()
        loss = 1.0 if losses is None else losses[step]
        optimizer.step(*([lambda loss=loss: torch.tensor(loss)] if method.closure == "loss" else []))
        yield [p.detach().clone() for p in parameters], optimizer


def each_alone(lr: float, formula: Callable[..., Tensor]) -> Iterator[list[Tensor]]:
    """Weights after each step where every tensor moves by itself: formula(t, w, g, lr, wd, memory) -> new w."""
    weights, memories = start(), [{} for _ in SHAPES]
    for step, slopes in enumerate(gradients()):
        rows = zip(weights, slopes, BASES, DECAYS, memories, strict=True)
        weights = [formula(step + 1, w, g, lr * base * RATES[step], wd, m) for w, g, base, wd, m in rows]
        yield weights


def assert_same(left, right, *, rtol: float = 1e-11) -> None:
    count = 0
    for (ours, _), theirs in zip(left, right, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=1e-13)
        count += 1
    assert count == STEPS
