"""How sharp a loss an optimizer bears at its rate, and how far a layer turns under weight decay.

On the loss h w² / 2 an optimizer of rate η converges while h, divided by what it divides gradients by, is below

    SGD                        2 (1 + β) / η
    SGD, dampening τ           2 (1 + β) / ((1 - τ) η)
    SGD, Nesterov              2 (1 + β) / ((1 + 2 β) η)
    Adam, AdamW, NAdam, RAdam  2 (1 + β1) / ((1 - β1) η),  gradients divided by √v + eps
    RMSprop                    2 (1 + β) / η,              by √v + eps

Sharpness near its limit is the usual state of full-batch training, not a fault in itself.

A layer whose output does not depend on the size of its weight (batch normalisation follows) grows by its gradients and
shrinks by weight decay λ until each update turns it by the same angle, its equilibrium:

    SGD     √(2 η λ / (1 + β))           at dampening 0
    AdamW   √(2 η λ (1 - β1) / (1 + β1))

Sources: Cohen, Kaur, Li, Kolter & Talwalkar 2021, *Gradient Descent on Neural Networks Typically Occurs at the Edge of
Stability*; Cohen et al. 2022, *Adaptive Gradient Methods at the Edge of Stability*; Kosson, Messmer & Jaggi 2024,
*Rotational Equilibrium*.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.optim import NAdam, Optimizer, RAdam, RMSprop

__all__ = ["equilibrium", "preconditioner", "sharpness_limit"]

ADAMS = (torch.optim.Adam, NAdam, RAdam)  # AdamW is an Adam


def sharpness_limit(optimizer: Optimizer, group: Mapping[str, Any]) -> float | None:
    """Of one of its groups at its present rate; inf at rate 0, None where it is unknown for this optimizer.

    >>> sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    >>> round(sharpness_limit(sgd, sgd.param_groups[0]), 9)
    38.0
    """
    rate = float(group["lr"])
    if isinstance(optimizer, torch.optim.SGD):
        beta, dampening = float(group["momentum"]), float(group["dampening"])
        bears = 2 * (1 + beta) / (1 + 2 * beta if group["nesterov"] else 1 - dampening)
    elif isinstance(optimizer, ADAMS):
        beta = float(group["betas"][0])
        bears = 2 * (1 + beta) / (1 - beta)
    elif isinstance(optimizer, RMSprop) and not group["centered"]:
        bears = 2 * (1 + float(group["momentum"]))
    else:
        return None
    return bears / rate if rate > 0 else math.inf


def preconditioner(optimizer: Optimizer) -> Callable[[torch.Tensor], torch.Tensor | float] | None:
    """What an optimizer divides each gradient by in its next update, by parameter; None where it is unknown."""
    if isinstance(optimizer, torch.optim.SGD):
        return lambda parameter: 1.0
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    if isinstance(optimizer, ADAMS):

        def of_adam(parameter: torch.Tensor) -> torch.Tensor | float:
            group, state = groups[id(parameter)], optimizer.state.get(parameter)
            if not state or "exp_avg_sq" not in state:
                return 1.0
            squares = state["max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq"]
            corrected = squares / (1 - float(group["betas"][1]) ** float(state["step"]))
            root: torch.Tensor = corrected.sqrt() + float(group["eps"])
            return root

        return of_adam
    if isinstance(optimizer, RMSprop):

        def of_rmsprop(parameter: torch.Tensor) -> torch.Tensor | float:
            state = optimizer.state.get(parameter)
            if not state:
                return 1.0
            root: torch.Tensor = state["square_avg"].sqrt() + float(groups[id(parameter)]["eps"])
            return root

        return of_rmsprop
    return None


def equilibrium(optimizer: Optimizer, group: Mapping[str, Any]) -> float | None:
    """The angle, in radians, by which an update turns a layer that normalisation follows; None: unknown, or no decay.

    >>> sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, weight_decay=0.05)
    >>> round(equilibrium(sgd, sgd.param_groups[0]), 9)
    0.1
    """
    turned = 2 * float(group["lr"]) * float(group.get("weight_decay") or 0.0)
    if turned <= 0:
        return None
    if isinstance(optimizer, torch.optim.AdamW) or (
        isinstance(optimizer, torch.optim.Adam) and group.get("decoupled_weight_decay")
    ):
        beta = float(group["betas"][0])
        return math.sqrt(turned * (1 - beta) / (1 + beta))
    if isinstance(optimizer, torch.optim.SGD) and not group["dampening"] and not group["nesterov"]:
        return math.sqrt(turned / (1 + float(group["momentum"])))
    return None
