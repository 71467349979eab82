"""LAMB: Adam's direction, scaled layer by layer to the weights' own size.

    m <- beta1 * m + (1 - beta1) * g         v <- beta2 * v + (1 - beta2) * g * g
    r  = m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps) + wd * w
    w <- w - lr * trust * r                  trust = |w| / |r|, or 1 where either is zero, and for biases,
                                             scales and shifts

Source: You et al. 2020, *Large Batch Optimization for Deep Learning*, algorithm 2, with phi the identity.
pytorch-optimizer's is its third draft: no bias correction, the norm of w held below 10, decay outside the trust ratio.
"""

from __future__ import annotations

from typing import final

from calando.methods.method import ADAM_BETAS, Method, Number, register
from calando.methods.rule import Rule

__all__ = ["Lamb"]


@final
class Lamb(Rule):
    """LAMB for dense real parameters."""

    def update(self, loss: float | None) -> None:
        import torch

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


register(
    Method(
        name="lamb", family="adaptive", memory=2,
        summary="Adam whose steps are a fraction of each layer's weights; weight decay counts in the step",
        usual_rate=0.01, decay="gains from decay",
        options={"betas": ADAM_BETAS, "eps": Number(1e-6, open_low=True), "weight_decay": Number(0.01)},
        build=Lamb.build,
        source="You et al. 2020, algorithm 2",
    )
)  # fmt: skip
