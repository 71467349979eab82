"""Polyak steps: the loss says how long a step is, and the rate is its cap. ALI-G, MoMo and MoMo-Adam.

ALI-G steps to where the linearised loss is zero:

    gamma = min(lr, loss / (|g|**2 + eps))       |g| over all parameters; of each group, as each has its own rate
    w <- w - gamma * g
    b <- momentum * b - gamma * g;  w <- w + momentum * b

Weight decay is part of the objective: wd / 2 * |w|**2 is added to the loss, wd * w to the gradient.

Source: Berrada, Zisserman & Kumar 2020, *Training Neural Networks for and by Interpolation*, algorithm 1, and
momentum as in section 3.2 and their code. pytorch-optimizer's reads its bound from "max_lr", where no schedule
writes, and stores none of it in "lr".

MoMo steps to where a model of the loss reaches its lower bound:

    d, f, γ    averages of the gradient g, of the loss, and of <g, x>
    h(y)     = f + <d, y> - γ                          the model: an average of the linearised losses
    x'       = argmin over y of  max(h(y) / ρ, bound) + Σ over groups (|y - x|² / (2 α) + (λ / 2) |y|²),  norms by D
             = (x - s α d / D) / (1 + α λ)
    s        = min(1 / ρ,  max(0, f - γ - ρ bound + Σ <d, x> / (1 + α λ)) / Σ (α / (1 + α λ)) <d, d / D>)

    α, λ     a group's rate and weight decay, x and d its parts; s is one for all groups
    MoMo         D = 1, ρ = 1: averages start at the first values
    MoMo-Adam    D = sqrt(mean of g² / (1 - β2^t)) + eps, ρ = 1 - β1^t: averages start at zero

With one group this is the authors' rule to the letter (their step size is s α). They take each group's decay for all
parameters; here several groups give the exact minimum of the same model. s > 0 stays below 1 / ρ where the model says
that the bound is near. A parameter without a gradient is left out of the model.

Source: Schaipp, Ohana, Eickenberg, Defazio & Gower 2024, *MoMo: Momentum Models for Adaptive Learning Rates*,
Algorithms 1 and 2 with weight decay; github.com/fabian-sp/MoMo. Their online estimate of the bound is left out.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, final

from calando.methods.method import ADAM_BETAS, EPS, MOMENTUM, WEIGHT_DECAY, Method, Number, register
from calando.methods.rule import Rule, common, dot, numbers, remembered, wide

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["AliG", "MoMo", "MoMoAdam"]


@final
class AliG(Rule):
    """ALI-G for dense real parameters."""

    needs_loss = True

    def update(self, loss: float | None) -> None:
        import torch

        assert loss is not None, "the rule needs it"
        moved = [(group, [p for p in group["params"] if p.grad is not None]) for group in self.param_groups]
        penalties, squares = [], []
        for group, parameters in moved:
            for p in parameters:
                assert p.grad is not None
                if group["weight_decay"] != 0:
                    penalties.append(torch.linalg.vector_norm(p, dtype=_exact(p)).square() * group["weight_decay"] / 2)
                    p.grad.add_(p, alpha=group["weight_decay"])
                squares.append(torch.linalg.vector_norm(p.grad, dtype=_exact(p)).square())
        objective = loss + (torch.stack(penalties).sum().item() if penalties else 0.0)
        square = torch.stack(squares).sum().item() if squares else 0.0
        for group, parameters in moved:
            gamma = min(float(group["lr"]), max(objective, 0.0) / (square + group["eps"]))
            for p in parameters:
                assert p.grad is not None
                p.add_(p.grad, alpha=-gamma)
                if group["momentum"] > 0:
                    state = self.state[p]
                    if not state:
                        state["momentum_buffer"] = torch.zeros_like(p)
                    state["momentum_buffer"].mul_(group["momentum"]).add_(p.grad, alpha=-gamma)
                    p.add_(state["momentum_buffer"], alpha=group["momentum"])


def _exact(p: Tensor) -> torch.dtype:
    import torch

    return torch.promote_types(p.dtype, torch.float32)


class _ModelBased(Rule):
    """The update, but for the averages."""

    needs_loss = True
    kept: ClassVar[Mapping[str, Any]] = {"step_count": 0, "loss_average": 0.0}

    def update(self, loss: float | None) -> None:
        assert loss is not None, "the rule needs it"
        beta, bound = self._momentum(), common(self, "lower_bound")
        count = self.param_groups[0]["step_count"] + 1
        average = self._start(loss) if count == 1 else self.param_groups[0]["loss_average"]
        average = beta * average + (1 - beta) * loss
        rho = 1.0 - beta**count if self._start(1.0) == 0 else 1.0

        moved: list[tuple[dict[str, Any], Tensor, Tensor]] = []  # group, parameter, direction d / D
        products: list[Tensor] = []
        for group in self.param_groups:
            group["step_count"], group["loss_average"] = count, average
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                direction = self._average(group, parameter, parameter.grad, beta)
                d = self.state[parameter]["gradient_average"]
                products += [dot(parameter.grad, parameter), dot(d, parameter), dot(d, direction)]
                moved.append((group, parameter, direction))

        fetched = iter(numbers(products))
        rises, falls = [average - rho * bound], []
        for group, parameter, _ in moved:
            now, along, norm = next(fetched), next(fetched), next(fetched)
            state, rate = self.state[parameter], float(group["lr"])
            before = state.get("product_average", self._start(now))
            state["product_average"] = beta * before + (1 - beta) * now
            shrink = 1 + rate * group["weight_decay"]
            rises.append(along / shrink - state["product_average"])
            falls.append(rate / shrink * norm)
        rise, fall = max(0.0, math.fsum(rises)), math.fsum(falls)
        # Where nothing can be gained by moving, the direction is zero and any share of the rate will do.
        share = min(1 / rho, rise / fall) if fall > 0 else 1 / rho

        for group, parameter, direction in moved:
            rate = float(group["lr"])
            parameter.add_(direction, alpha=-share * rate)
            if group["weight_decay"]:
                parameter.div_(1 + rate * group["weight_decay"])

    @abstractmethod
    def _momentum(self) -> float:
        """The averages' coefficient, the same for all groups."""

    @abstractmethod
    def _start(self, first: float) -> float:
        """Where an average starts, of its first value."""

    @abstractmethod
    def _average(self, group: dict[str, Any], parameter: Tensor, gradient: Tensor, beta: float) -> Tensor:
        """Bring state["gradient_average"] up to date; d / D."""


@final
class MoMo(_ModelBased):
    """MoMo: momentum SGD whose rate is capped by the model; the authors' is 1.

    The loss |x|² / 2 at 3 has the model 4.5 + 3 (y - 3), which reaches 0 at 1.5:

    >>> import torch
    >>> from calando.methods import find_method
    >>> x = torch.nn.Parameter(torch.tensor([3.0]))
    >>> optimizer = MoMo.build([{"params": [x]}], 1.0, find_method("momo").settle({}))
    >>> loss = (x**2).sum() / 2
    >>> loss.backward()
    >>> optimizer.step(lambda: loss)
    4.5
    >>> round(x.item(), 6)
    1.5
    """

    def _momentum(self) -> float:
        return float(common(self, "momentum"))

    def _start(self, first: float) -> float:
        return first

    def _average(self, group: dict[str, Any], parameter: Tensor, gradient: Tensor, beta: float) -> Tensor:
        state = self.state[parameter]
        if "gradient_average" not in state:
            state["gradient_average"] = remembered(parameter, gradient)
        average: Tensor = state["gradient_average"]
        return average.mul_(beta).add_(gradient, alpha=1 - beta)


@final
class MoMoAdam(_ModelBased):
    """MoMo-Adam: Adam whose rate is capped by the model; the authors' is 0.01.

    Far from the bound it makes Adam's step:

    >>> import torch
    >>> from calando.methods import find_method
    >>> x = torch.nn.Parameter(torch.tensor([3.0]))
    >>> optimizer = MoMoAdam.build([{"params": [x]}], 0.01, find_method("momo_adam").settle({}))
    >>> loss = (x**2).sum() / 2
    >>> loss.backward()
    >>> optimizer.step(lambda: loss)
    4.5
    >>> round(x.item(), 4)
    2.99
    """

    def _momentum(self) -> float:
        return float(common(self, "betas")[0])

    def _start(self, first: float) -> float:
        return 0.0

    def _average(self, group: dict[str, Any], parameter: Tensor, gradient: Tensor, beta: float) -> Tensor:
        state, beta2 = self.state[parameter], group["betas"][1]
        if "gradient_average" not in state:
            zero = remembered(parameter, parameter).zero_()
            state.update(updates=0, gradient_average=zero, square_average=zero.clone())
        state["updates"] += 1
        average: Tensor = state["gradient_average"].mul_(beta).add_(gradient, alpha=1 - beta)
        squares: Tensor = state["square_average"].mul_(beta2)
        squares.addcmul_(wide(gradient), wide(gradient), value=1 - beta2)
        scale = squares.div(1 - beta2 ** state["updates"]).sqrt_().add_(group["eps"])
        return average.div(scale)


_LOWER_BOUND = Number(0.0, low=-math.inf, open_low=True)  # of the loss; 0 for most losses without label smoothing

for _method in (
    Method(
        name="alig", family="classic", memory=1,
        summary="Polyak's step for losses that can reach zero; the rate is its upper bound",
        usual_rate=0.1, decay="shrinks by itself as the loss falls",
        options={"momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY, "eps": Number(1e-5, open_low=True)},
        build=AliG.build,
        source="Berrada, Zisserman & Kumar 2020",
        closure="loss",
    ),
    Method(
        name="momo", family="adaptive", memory=1,
        summary="momentum SGD whose rate is a cap: the step ends where a model of the loss meets its lower bound",
        usual_rate=1.0, decay="the authors keep the rate constant at 1; the cap may be scheduled",
        options={"momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY, "lower_bound": _LOWER_BOUND},
        build=MoMo.build,
        source="Schaipp, Ohana, Eickenberg, Defazio & Gower 2024 (MoMo)",
        closure="loss",
    ),
    Method(
        name="momo_adam", family="adaptive", memory=2,
        summary="Adam whose rate is a cap: the step ends where a model of the loss meets its lower bound",
        usual_rate=0.01, decay="the authors keep the rate constant at 0.01 or slightly less; the cap may be scheduled",
        options={"betas": ADAM_BETAS, "eps": EPS, "weight_decay": WEIGHT_DECAY, "lower_bound": _LOWER_BOUND},
        build=MoMoAdam.build,
        source="Schaipp, Ohana, Eickenberg, Defazio & Gower 2024 (MoMo)",
        closure="loss",
    ),
):  # fmt: skip
    register(_method)
