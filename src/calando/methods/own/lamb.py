"""LAMB: Adam's direction, scaled layer by layer to the weights' own size.

    m <- beta1 * m + (1 - beta1) * g         v <- beta2 * v + (1 - beta2) * g * g
    r  = m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps) + wd * w
    w <- w - lr * trust * r                  trust = |w| / |r|, or 1 where either is zero, and for biases,
                                             scales and shifts

Source: You et al. 2020, *Large Batch Optimization for Deep Learning*, algorithm 2, with phi the identity.
pytorch-optimizer's is its third draft: no bias correction, the norm of w held below 10, decay outside the trust ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch.optim import Optimizer

from calando.methods.own.memory import loss_from

__all__ = ["Lamb"]


@final
class Lamb(Optimizer):
    """LAMB for dense real parameters; see the module for the formula and `Optimizer` for the protocol."""

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> float | None:  # type: ignore[override]
        """One update by the gradients that are there, or that the closure works out with the loss it returns."""
        loss = None if closure is None else loss_from(closure)
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
                state["step"] += 1
                mean, square = state["exp_avg"], state["exp_avg_sq"]
                mean.lerp_(p.grad, 1 - beta1)
                square.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                size = (square / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
                update = (mean / (1 - beta1 ** state["step"])).div_(size).add_(p, alpha=group["weight_decay"])
                if p.ndim >= 2:
                    weight, length = torch.linalg.vector_norm(p), torch.linalg.vector_norm(update)
                    update *= torch.where((weight > 0) & (length > 0), weight / length, 1.0)
                p.sub_(update * group["lr"])
        return loss
