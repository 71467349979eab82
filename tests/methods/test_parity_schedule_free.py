"""Schedule-free methods against explicit sequences x, y and z."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tests.methods.parity import BASES, DECAYS, RATES, gradients, start, trained
from torch import Tensor


def schedule_free(lr: float, direction: Callable[..., Tensor], rectified: Callable[[int], float] = lambda t: 1.0):
    """The paper's x, y and z, x kept explicitly; yields (y, x) after each step."""
    z, x = start(), start()
    weights = [0.0] * len(z)  # sums of squares of the highest rate, by tensor
    highest = [0.0] * len(z)
    memories = [{} for _ in z]
    for step, slopes in enumerate(gradients()):
        for i, g in enumerate(slopes):
            rate = lr * BASES[i] * RATES[step] * rectified(step + 1)
            y = 0.1 * z[i] + 0.9 * x[i]
            z[i] = z[i] - rate * direction(step + 1, y, g, DECAYS[i], memories[i])
            highest[i] = max(highest[i], rate)
            weights[i] += highest[i] ** 2
            c = highest[i] ** 2 / weights[i] if weights[i] > 0 else 0.0
            x[i] = (1 - c) * x[i] + c * z[i]
        yield [0.1 * a + 0.9 * b for a, b in zip(z, x, strict=True)], list(x)


def adam_direction(t, y, g, wd, memory):
    memory["v"] = 0.95 * memory.get("v", 0) + 0.05 * g**2
    return g / ((memory["v"] / (1 - 0.95**t)).sqrt() + 1e-8) + wd * y


def rectification(t: int) -> float:
    limit = 2 / (1 - 0.95) - 1
    length = limit - 2 * t * 0.95**t / (1 - 0.95**t)
    if length <= 4:
        return 0.0
    return math.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))


@pytest.mark.parametrize(
    ("name", "given", "reference"),
    [
        ("schedule_free_sgd", {}, schedule_free(0.3, lambda t, y, g, wd, memory: g + wd * y)),
        ("schedule_free_adamw", {"beta2": 0.95}, schedule_free(0.3, adam_direction)),
        ("schedule_free_radam", {"beta2": 0.95}, schedule_free(0.3, adam_direction, rectification)),
    ],
)
def test_schedule_free(name, given, reference):
    for (y, optimizer), (their_y, their_x) in zip(trained(name, 0.3, **given), reference, strict=True):
        torch.testing.assert_close(y, their_y, rtol=1e-10, atol=1e-12)
        optimizer.eval()
        x = [p.detach() for group in optimizer.param_groups for p in group["params"]]
        torch.testing.assert_close(x, their_x, rtol=1e-9, atol=1e-11)
        optimizer.train()
