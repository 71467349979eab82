"""Optimizers to schedule, and a training loop that tells what each update was made with."""

import torch
from torch.optim import lr_scheduler

TOTAL = 20
TEXT = "linear(0.1, 1, over='25%') >> cosine(1, 0)"


def groups(*rates: float) -> list[dict]:
    return [{"params": [torch.nn.Parameter(torch.ones(2))], "lr": rate} for rate in rates]


def numbers(group: dict) -> dict[str, float]:
    values = {key: group[key] for key in ("lr", "momentum", "weight_decay") if key in group}
    values |= {f"beta{place}": value for place, value in enumerate(group.get("betas", ()), start=1)}
    return {key: float(value) for key, value in values.items()}


def sgd(*rates: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups(*rates or (0.1,)), lr=1.0, momentum=0.9)


def train(optimizer: torch.optim.Optimizer, scheduler: lr_scheduler.LRScheduler, *, steps: int) -> list[list[float]]:
    """Make updates; the rates of each."""
    return [[group["lr"] for group in update] for update in updates(optimizer, scheduler, steps=steps)]


def updates(
    optimizer: torch.optim.Optimizer, scheduler: lr_scheduler.LRScheduler, *, steps: int
) -> list[list[dict[str, float]]]:
    """Make updates; for each, the hyper-parameters of each group."""
    seen = []
    for _ in range(steps):
        seen.append([numbers(group) for group in optimizer.param_groups])
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        scheduler.step()
    return seen


def named(edited: float) -> torch.optim.Optimizer:
    body, head = groups(0.1 * edited, 0.01 * edited)
    return torch.optim.SGD([{**body, "name": "body"}, {**head, "name": "head"}], momentum=0.9 / edited)
