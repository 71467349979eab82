"""What tests know of a registered method beside its entry, and how they train with it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import nn
from torch.optim import Optimizer

from calando.methods import METHODS, Method
from calando.tasks.data.digits import FILE

__all__ = ["CASES", "Case", "build", "case_of", "digits", "network", "stored", "update"]

Loss = Callable[[], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Where a method differs from what all must do; a method without a case differs nowhere.

    Args:
        moves_at_rate_0: why its weights move though the rate is 0, after it has trained.
        one_rate: why its groups cannot have different rates.
        float_rates: why a rate must be a number and not a tensor.
        gradient_alone_decays: why weights do not shrink by decay where all gradients are zero.
        kept: options with which it keeps what `memory` says.
    """

    moves_at_rate_0: str = ""
    one_rate: str = ""
    float_rates: str = ""
    gradient_alone_decays: str = ""
    kept: dict[str, Any] = field(default_factory=dict)


_AVERAGED = Case(
    moves_at_rate_0="y goes on towards z, by the average's weight",
    float_rates="the highest rate so far is kept in the group, and would be a tensor that a checkpoint rounds",
)
_ESTIMATED = "without a gradient there is no estimate, and no step"

CASES = {
    "alig": Case(moves_at_rate_0="momentum is of steps, not of gradients"),
    "dadapt_adam": Case(gradient_alone_decays=_ESTIMATED),
    "dadapt_sgd": Case(gradient_alone_decays=_ESTIMATED),
    "prodigy": Case(one_rate="the package refuses", gradient_alone_decays=_ESTIMATED),
    "schedule_free_adamw": _AVERAGED,
    "schedule_free_radam": _AVERAGED,
    "schedule_free_sgd": _AVERAGED,
    "sgd": Case(kept={"momentum": 0.9}),
    "sgd_hd": Case(kept={"momentum": 0.9}),
}


def case_of(method: Method) -> Case:
    """The method's case."""
    return CASES.get(method.name, Case())


def build(
    method: Method, groups: nn.Module | Iterable[dict[str, Any]], *, lr: float | None = None, **given: Any
) -> Optimizer:
    """Its optimizer, for a network divided as the method does or for groups as they are."""
    options = method.settle(given)
    made = method.groups.split(groups, options) if isinstance(groups, nn.Module) else list(groups)
    return method.build(made, method.usual_rate if lr is None else lr, options)


def update(method: Method, optimizer: Optimizer, loss: Loss) -> float:
    """One update as the training loop makes it; the loss before it."""
    value = loss()
    if value.requires_grad:
        value.backward()

    def again() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            anew = loss()
            if anew.requires_grad:
                anew.backward()
        return anew.detach()

    match method.closure:
        case "none":
            optimizer.step()
        case "loss":
            optimizer.step(lambda: value.detach())
        case "again":
            optimizer.step(again)
    optimizer.zero_grad(set_to_none=True)
    return value.item()


def stored(optimizer: Optimizer) -> dict[str, Any]:
    """Its state as a checkpoint gives it back: tensors through safetensors, the rest through JSON."""
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{key}": value.detach().cpu().contiguous().clone()
        for index, entries in state["state"].items()
        for key, value in entries.items()
        if isinstance(value, torch.Tensor)
    }
    plain = {
        str(index): {key: value for key, value in entries.items() if not isinstance(value, torch.Tensor)}
        for index, entries in state["state"].items()
    }
    back: dict[int, dict[str, Any]] = {int(k): v for k, v in json.loads(json.dumps(plain)).items()}
    for name, value in safetensors.torch.load(safetensors.torch.save(tensors)).items():
        index, key = name.split(".", 1)
        back[int(index)][key] = value
    groups = json.loads(json.dumps(state["param_groups"]))
    for group in groups:
        group.update({"betas": tuple(group["betas"])} if "betas" in group else {})
    return {"state": back, "param_groups": groups}


def network(*, width: int = 8, hidden: int = 1) -> nn.Module:
    """A small convolutional net with batch norm, of the same weights each time."""
    torch.manual_seed(7)
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    for _ in range(hidden):
        layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10))


@cache
def digits(count: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """Handwritten digits, 8 x 8."""
    with gzip.open(FILE) as file:
        table = np.load(file)
    images, labels = table[:, :-1], table[:, -1]
    x = torch.tensor(images[:count], dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    return x, torch.tensor(labels[:count], dtype=torch.int64)


assert set(CASES) <= set(METHODS), "a case is of a registered method"
