"""How a kit trains with a method: a small network and pictures, an update and a stored state as the loop has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import safetensors.torch
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from calando.methods import Driver, Method
from calando.schedules import Horizon, parse

__all__ = ["Loss", "MethodCase", "Trial", "build", "drive", "loss_of", "network", "pictures", "stored", "update"]

BATCH = 32

Loss = Callable[[], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class MethodCase:
    """Where a method differs from what all methods must do, and why; without a case it differs nowhere.

    Args:
        moves_at_rate_0: why its weights move at rate 0, after it has trained.
        one_rate: why its groups cannot have different rates.
        float_rates: why a rate must be a number and not a tensor.
        gradient_alone_decays: why weight decay does not shrink weights if all gradients are zero.
        kept: options with which it keeps as much state as `Method.memory` says.
    """

    moves_at_rate_0: str = ""
    one_rate: str = ""
    float_rates: str = ""
    gradient_alone_decays: str = ""
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """A method under test."""

    method: Method
    case: MethodCase
    device: str
    dtype: torch.dtype

    def network(self, **sizes: int) -> nn.Module:
        return network(**sizes).to(self.device, self.dtype)


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
            second = loss()
            if second.requires_grad:
                second.backward()
        return second.detach()

    match method.closure:
        case "none":
            optimizer.step()
        case "loss":
            optimizer.step(lambda: value.detach())  # type: ignore[arg-type, return-value]
        case "again":
            optimizer.step(again)  # type: ignore[arg-type]
    optimizer.zero_grad(set_to_none=True)
    return float(value.item())


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
def pictures(count: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of ten classes, 8 x 8, shape (count, 1, 8, 8), and their labels: a pattern a class, and noise."""
    generator = torch.Generator().manual_seed(5)
    patterns = torch.randn(10, 1, 8, 8, generator=generator)
    labels = torch.randint(0, 10, (count,), generator=generator)
    noisy = patterns[labels] + 0.3 * torch.randn(count, 1, 8, 8, generator=generator)
    return noisy.clamp(-1, 1), labels


def loss_of(net: nn.Module, step: int) -> Loss:
    """The loss of a batch of `pictures`, the next one at each step."""
    first = next(net.parameters())
    x, y = pictures()
    at = step * BATCH % (len(x) - BATCH)
    x, y = x[at : at + BATCH].to(first), y[at : at + BATCH].to(first.device)
    return lambda: cross_entropy(net(x).float(), y)


def drive(optimizer: Optimizer, method: Method, *, total: int = 12) -> Driver:
    """Rates that change in every step but those at the top, from 0 up."""
    text = "linear(0, 1, over=3)" if method.schedules == "warmup" else "linear(0, 1, over=3) >> cosine(1, 0)"
    return Driver(optimizer, schedules={"lr": parse(text)}, horizon=Horizon(total))
