"""D-Adaptation: the step size is worked out from a growing lower bound d of the distance to the solution.

    Adam  dl = d * lr [* bias correction]
          numerator <- sqrt(beta2) * numerator + (1 - sqrt(beta2)) * sum of dl * <g, s / (sqrt(v) + eps)>
          m <- beta1 * m + (1 - beta1) * dl * g                       v <- beta2 * v + (1 - beta2) * g * g
          s <- sqrt(beta2) * s + (1 - sqrt(beta2)) * dl * g
          d <- max(d, numerator / ((1 - sqrt(beta2)) * sum of |s|_1))
          w <- w - dl * wd * w - m / (sqrt(v) + eps)

    SGD   dl = d * lr / |g_0|                                         |g_0|: of the first gradients at a rate above 0
          g <- g + wd * w;  numerator <- numerator + sum of dl * <g, s>;  s <- s + dl * g
          d <- max(d, 2 * numerator / |s|)
          w <- momentum * w + (1 - momentum) * (w_0 - s)

Sums and norms are over all parameters; a group's own rate scales its dl. A group at rate 0 stands still.

Source: Defazio & Mishchenko 2023, *Learning-Rate-Free Learning by D-Adaptation*, as in their package dadaptation, 3.2,
which is no longer kept. pytorch-optimizer's holds the numerator in a tensor within a group and takes the first
group's rate for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

from calando.methods.method import ADAM_BETAS, EPS, MOMENTUM, WEIGHT_DECAY, Flag, Method, Number, register
from calando.methods.rule import Rule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DAdaptAdam", "DAdaptSGD"]


@final
class DAdaptAdam(Rule):
    """Adam by D-Adaptation, for dense real parameters."""

    @classmethod
    def first(cls, lr: float, options: dict[str, Any]) -> dict[str, Any]:
        rest = dict(options)
        return {"lr": lr, "d": rest.pop("d0"), **rest, "numerator": 0.0, "k": 0}

    def update(self, loss: float | None) -> None:
        import torch

        first = self.param_groups[0]
        beta1, beta2 = first["betas"]
        root = math.sqrt(beta2)
        correction = math.sqrt(1 - beta2 ** (first["k"] + 1)) / (1 - beta1 ** (first["k"] + 1))
        if not first["bias_correction"]:
            correction = 1.0
        moved = [(group, first["d"] * float(group["lr"]) * correction, p) for group, p in _moved(self.param_groups)]
        products, lengths = [], []
        for group, dl, p in moved:
            state = self.state[p]
            if not state:
                state.update(s=torch.zeros_like(p), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
            s, mean, square = state["s"], state["exp_avg"], state["exp_avg_sq"]
            products.append(dl * _total(p.grad * s / square.sqrt().add_(group["eps"])))
            mean.mul_(beta1).add_(p.grad, alpha=dl * (1 - beta1))
            square.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
            s.mul_(root).add_(p.grad, alpha=dl * (1 - root))
            lengths.append(_total(s.abs()))
        length = _sum(lengths)
        numerator = root * first["numerator"] + (1 - root) * _sum(products)
        if length == 0:
            return
        d = max(first["d"], numerator / ((1 - root) * length))
        for group, dl, p in moved:
            state = self.state[p]
            p.mul_(1 - dl * group["weight_decay"])
            p.sub_(state["exp_avg"] / state["exp_avg_sq"].sqrt().add_(group["eps"]))
        for group in self.param_groups:
            group.update(d=d, numerator=numerator, k=group["k"] + 1)


@final
class DAdaptSGD(Rule):
    """SGD with momentum by D-Adaptation, for dense real parameters."""

    @classmethod
    def first(cls, lr: float, options: dict[str, Any]) -> dict[str, Any]:
        rest = dict(options)
        return {"lr": lr, "d": rest.pop("d0"), **rest, "numerator": 0.0, "first_norm": 0.0}

    def update(self, loss: float | None) -> None:
        import torch

        first = self.param_groups[0]
        moved = _moved(self.param_groups)
        norm = first["first_norm"] or math.sqrt(_sum([_total(p.grad.square()) for _, p in moved]))
        if norm == 0:
            return
        products, squares = [], []
        for group, p in moved:
            dl = first["d"] * float(group["lr"]) / norm
            state = self.state[p]
            if not state:
                state.update(s=torch.zeros_like(p), x0=p.clone())
            gradient = p.grad.add(p, alpha=group["weight_decay"])
            products.append(dl * _total(gradient * state["s"]))
            state["s"].add_(gradient, alpha=dl)
            squares.append(_total(state["s"].square()))
        numerator = first["numerator"] + _sum(products)
        length = math.sqrt(_sum(squares))
        d = max(first["d"], 2 * numerator / length) if length > 0 else first["d"]
        for group, p in moved:
            state = self.state[p]
            p.lerp_(state["x0"] - state["s"], 1 - group["momentum"])
        for group in self.param_groups:
            group.update(d=d, numerator=numerator, first_norm=norm)


def _moved(groups: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], Any]]:
    return [(group, p) for group in groups if group["lr"] > 0 for p in group["params"] if p.grad is not None]


def _total(tensor: Tensor) -> Tensor:
    import torch

    return tensor.sum(dtype=torch.promote_types(tensor.dtype, torch.float32))


def _sum(totals: list[Tensor]) -> float:
    """One wait for the device, not one a parameter."""
    import torch

    return float(torch.stack(totals).sum()) if totals else 0.0


_D0 = Number(1e-6, open_low=True)

for _method in (
    Method(
        name="dadapt_adam", family="rate-free", memory=3,
        summary="Adam that finds its own step size; decoupled weight decay",
        usual_rate=1.0, decay="gains from decay",
        options={
            "betas": ADAM_BETAS, "eps": EPS, "weight_decay": WEIGHT_DECAY, "bias_correction": Flag(False), "d0": _D0,
        },
        build=DAdaptAdam.build,
        source="Defazio & Mishchenko 2023",
    ),
    Method(
        name="dadapt_sgd", family="rate-free", memory=2,
        summary="SGD with momentum that finds its own step size",
        usual_rate=1.0, decay="gains from decay",
        options={"momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY, "d0": _D0},
        build=DAdaptSGD.build,
        source="Defazio & Mishchenko 2023",
    ),
):  # fmt: skip
    register(_method)
