"""ALI-G: Polyak's step for a loss that can be brought to zero, held below the group's rate.

    gamma = min(lr, loss / (|g|**2 + eps))       |g| over all parameters; of each group, as each has its own rate
    w <- w - gamma * g
    b <- momentum * b - gamma * g;  w <- w + momentum * b

Weight decay is part of the objective: wd / 2 * |w|**2 is added to the loss, wd * w to the gradient.

Source: Berrada, Zisserman & Kumar 2020, *Training Neural Networks for and by Interpolation*, algorithm 1, and
momentum as in section 3.2 and their code. pytorch-optimizer's reads its bound from "max_lr", where no schedule
writes, and stores none of it in "lr".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch.optim import Optimizer

from calando.errors import UsageError
from calando.methods.own.memory import loss_from

__all__ = ["AliG"]


@final
class AliG(Optimizer):
    """ALI-G for dense real parameters; `step` takes a closure that returns the loss of the gradients that are there."""

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> float:  # type: ignore[override]
        """One update; the loss that the closure gave.

        Raises:
            UsageError: no closure.
        """
        if closure is None:
            raise UsageError("AliG needs the loss of the batch: optimizer.step(lambda: loss)")
        loss = loss_from(closure)
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
        return loss


def _exact(p: torch.Tensor) -> torch.dtype:
    return torch.promote_types(p.dtype, torch.float32)
