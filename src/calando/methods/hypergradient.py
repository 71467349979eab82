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
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, final

from calando.errors import UsageError
from calando.language import message
from calando.methods.method import ADAM_BETAS, EPS, WEIGHT_DECAY, Flag, Method, Number, register
from calando.methods.rule import Rule, common, dot, numbers, remembered, wide

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SGDHD", "AdamHD"]


class _Hypergradient(Rule):
    """The update, but for the direction."""

    @classmethod
    def first(cls, lr: float, options: dict[str, Any]) -> dict[str, Any]:
        if not float(lr) > 0:
            raise UsageError(
                message(
                    "{cls}: lr must be above 0, got {lr}; the factor is learned relative to it", cls=cls.__name__, lr=lr
                )
            )
        return {"lr": lr, **options, "base": float(lr), "factor": 1.0, "last_lr": 0.0}

    def update(self, loss: float | None) -> None:
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

    The same gradient twice: the rate grows by its squared length times hypergrad_lr.

    >>> import torch
    >>> from calando.methods import find_method
    >>> x = torch.nn.Parameter(torch.tensor([3.0]))
    >>> optimizer = SGDHD.build([{"params": [x]}], 0.1, find_method("sgd_hd").settle({"hypergrad_lr": 0.01}))
    >>> for _ in range(2):
    ...     x.grad = torch.tensor([2.0])
    ...     optimizer.step()
    >>> round(x.item(), 6), round(optimizer.param_groups[0]["factor"], 6)  # 3 - 0.1 * 2 - (0.1 + 0.01 * 4) * 2
    (2.52, 1.4)
    """

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

    >>> import torch
    >>> from calando.methods import find_method
    >>> x = torch.nn.Parameter(torch.tensor([3.0]))
    >>> optimizer = AdamHD.build([{"params": [x]}], 0.1, find_method("adam_hd").settle({"hypergrad_lr": 0.01}))
    >>> for _ in range(2):
    ...     x.grad = torch.tensor([2.0])
    ...     optimizer.step()
    >>> round(x.item(), 6), round(optimizer.param_groups[0]["factor"], 6)  # 3 - 0.1 - (0.1 + 0.01 * 2)
    (2.78, 1.2)
    """

    def _last(self, group: dict[str, Any], parameter: Tensor) -> Tensor | None:
        # Computed again from the averages: the same as then, unless betas or eps are scheduled.
        return self._direction(group, parameter) if parameter in self.state else None

    def _next(self, group: dict[str, Any], parameter: Tensor, gradient: Tensor) -> Tensor:
        state, (beta1, beta2) = self.state[parameter], group["betas"]
        if not state:
            zero = remembered(parameter, parameter).zero_()
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


for _method in (
    Method(
        name="sgd_hd", family="adaptive", memory=2, sums=True,
        summary="SGD whose rate follows its own gradient, as a factor on the scheduled rate",
        usual_rate=0.01, decay="the authors start at 0.001 without a schedule; the factor composes with one",
        options={
            "momentum": Number(0.0, high=1.0), "nesterov": Flag(False), "weight_decay": WEIGHT_DECAY,
            "hypergrad_lr": Number(1e-3),  # the paper's for convolutional networks
        },
        build=SGDHD.build,
        keeps_base=True,
        source="Baydin, Cornish, Martínez Rubio, Schmidt & Wood 2018",
    ),
    Method(
        name="adam_hd", family="adaptive", memory=2,
        summary="Adam whose rate follows its own gradient, as a factor on the scheduled rate",
        usual_rate=0.001, decay="the authors start at 0.001 without a schedule; the factor composes with one",
        options={"betas": ADAM_BETAS, "eps": EPS, "weight_decay": WEIGHT_DECAY, "hypergrad_lr": Number(1e-8)},
        build=AdamHD.build,
        keeps_base=True,
        source="Baydin, Cornish, Martínez Rubio, Schmidt & Wood 2018",
    ),
):  # fmt: skip
    register(_method)
