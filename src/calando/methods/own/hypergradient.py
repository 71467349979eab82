"""Hypergradient descent: the rate follows its own gradient, as a factor on the scheduled rate.

    u_t            the method's direction: x_t = x_t-1 - rate_t u_t,   rate_t = lr_t factor_t
    dloss/dfactor  = -lr_t-1 <g_t, u_t-1>
    factor_t       = max(0, factor_t-1 + hypergrad_lr lr_t-1 / base² <g_t, u_t-1>),   factor_0 = 1

    SGD-HD     u = g,  or v <- momentum v + g and u = v,  or with Nesterov u = g + momentum v
    Adam-HD    u = m̂ / (sqrt(v̂) + eps)

base is the rate given at the start. Where lr stays there, this is the paper's rate_t = rate_t-1 + hypergrad_lr <g, u>
to the letter, except that a rate never falls below zero. Under a schedule it is the same descent, by the chain rule.
The factor is one for all parameters of all groups, as in the paper; <g, u> is over those that have a gradient.
Weight decay is part of g. The authors' Adam adds eps before the bias is corrected, and raises the rate tensor by tensor
within an update; here both are as in the paper.

Source: Baydin, Cornish, Martínez Rubio, Schmidt & Wood 2018, *Online Learning Rate Adaptation with Hypergradient
Descent*, Algorithms 4 and 5; github.com/gbaydin/hypergradient-descent.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from calando.errors import UsageError
from calando.methods.own.memory import Remembering, common, dot, loss_from, numbers, remembered, wide

__all__ = ["SGDHD", "AdamHD"]


class _Hypergradient(Remembering, ABC):
    """The step, but for the direction."""

    def __init__(self, params: ParamsT, *, lr: float, options: dict[str, Any]) -> None:
        if not float(lr) > 0:
            raise UsageError(
                f"{type(self).__name__}: lr must be above 0, got {lr}; the factor is learned relative to it"
            )
        super().__init__(params, {"lr": lr, **options, "base": float(lr), "factor": 1.0, "last_lr": 0.0})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of the factor, then of the parameters."""
        loss = None if closure is None else loss_from(closure)
        self._step()
        return loss

    @torch.no_grad()
    def _step(self) -> None:
        met: list[tuple[dict[str, Any], Tensor, Tensor]] = []  # group, parameter, gradient with weight decay
        groups: list[dict[str, Any]] = []
        products: list[Tensor] = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                decay = group["weight_decay"]
                gradient = parameter.grad.add(parameter, alpha=decay) if decay else parameter.grad
                met.append((group, parameter, gradient))
                last = self._last(group, parameter)
                if last is not None:
                    groups.append(group)
                    products.append(dot(gradient, last))
        gains = [group["last_lr"] * product for group, product in zip(groups, numbers(products), strict=True)]
        gain = common(self, "hypergrad_lr") * math.fsum(gains) / common(self, "base") ** 2
        factor = max(0.0, self.param_groups[0]["factor"] + gain)
        for group, parameter, gradient in met:
            parameter.add_(self._next(group, parameter, gradient), alpha=-float(group["lr"]) * factor)
        for group in self.param_groups:
            group["factor"], group["last_lr"] = factor, float(group["lr"])

    @abstractmethod
    def _last(self, group: dict[str, Any], parameter: Tensor) -> Tensor | None:
        """The direction of its last update; None before the first."""

    @abstractmethod
    def _next(self, group: dict[str, Any], parameter: Tensor, gradient: Tensor) -> Tensor:
        """The direction of this update."""


@final
class SGDHD(_Hypergradient):
    """SGD-HD.

    Args:
        params: as torch's optimizers take them.
        lr: where the rate starts, above 0.
        momentum: in [0, 1).
        nesterov: look ahead along the momentum.
        weight_decay: of a group, added to its gradients.
        hypergrad_lr: the rate's rate; the paper's for convolutional networks is 0.001.

    Raises:
        UsageError: lr is not above 0.

    The same gradient twice: the rate grows by its squared length times hypergrad_lr.

    >>> x = torch.nn.Parameter(torch.tensor([3.0]))
    >>> optimizer = SGDHD([x], lr=0.1, hypergrad_lr=0.01)
    >>> for _ in range(2):
    ...     x.grad = torch.tensor([2.0])
    ...     optimizer.step()
    >>> round(x.item(), 6), round(optimizer.param_groups[0]["factor"], 6)  # 3 - 0.1 * 2 - (0.1 + 0.01 * 4) * 2
    (2.52, 1.4)
    """

    def __init__(
        self,
        params: ParamsT,
        *,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        hypergrad_lr: float = 1e-3,
    ) -> None:
        options = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(params, lr=lr, options={**options, "hypergrad_lr": hypergrad_lr})

    def _last(self, group: dict[str, Any], parameter: Tensor) -> Tensor | None:
        return self.state[parameter].get("direction") if parameter in self.state else None

    def _next(self, group: dict[str, Any], parameter: Tensor, gradient: Tensor) -> Tensor:
        state, direction = self.state[parameter], gradient
        if group["momentum"]:
            if "momentum" in state:
                state["momentum"].mul_(group["momentum"]).add_(gradient)
            else:
                state["momentum"] = remembered(parameter, gradient)
            direction = state["momentum"]
            if group["nesterov"]:
                direction = direction.mul(group["momentum"]).add_(gradient)
        if "direction" not in state:
            state["direction"] = remembered(parameter, direction)
        kept: Tensor = state["direction"]
        return kept.copy_(direction)


@final
class AdamHD(_Hypergradient):
    """Adam-HD.

    Args:
        params: as torch's optimizers take them.
        lr: where the rate starts, above 0.
        betas: of the averages of the gradient and of its square; each in [0, 1).
        eps: added to the root of the mean square.
        weight_decay: of a group, added to its gradients.
        hypergrad_lr: the rate's rate; the paper's for convolutional networks is 1e-8.

    Raises:
        UsageError: lr is not above 0.

    >>> x = torch.nn.Parameter(torch.tensor([3.0]))
    >>> optimizer = AdamHD([x], lr=0.1, hypergrad_lr=0.01)
    >>> for _ in range(2):
    ...     x.grad = torch.tensor([2.0])
    ...     optimizer.step()
    >>> round(x.item(), 6), round(optimizer.param_groups[0]["factor"], 6)  # 3 - 0.1 - (0.1 + 0.01 * 2)
    (2.78, 1.2)
    """

    def __init__(
        self,
        params: ParamsT,
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        hypergrad_lr: float = 1e-8,
    ) -> None:
        options = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "hypergrad_lr": hypergrad_lr}
        super().__init__(params, lr=lr, options=options)

    def _last(self, group: dict[str, Any], parameter: Tensor) -> Tensor | None:
        # Computed again from the averages: the same as then, unless betas or eps are scheduled.
        return self._direction(group, parameter) if parameter in self.state else None

    def _next(self, group: dict[str, Any], parameter: Tensor, gradient: Tensor) -> Tensor:
        state, (beta1, beta2) = self.state[parameter], group["betas"]
        if not state:
            zero = torch.zeros_like(wide(parameter))
            state.update(updates=0, gradient_average=zero, square_average=zero.clone())
        state["updates"] += 1
        state["gradient_average"].mul_(beta1).add_(gradient, alpha=1 - beta1)
        state["square_average"].mul_(beta2).addcmul_(wide(gradient), wide(gradient), value=1 - beta2)
        return self._direction(group, parameter)

    def _direction(self, group: dict[str, Any], parameter: Tensor) -> Tensor:
        state, (beta1, beta2) = self.state[parameter], group["betas"]
        mean = state["gradient_average"] / (1 - beta1 ** state["updates"])
        square = state["square_average"] / (1 - beta2 ** state["updates"])
        direction: Tensor = mean.div_(square.sqrt_().add_(group["eps"]))
        return direction
