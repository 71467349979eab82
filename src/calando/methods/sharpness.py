"""Gradients taken where the loss around the weights is highest, at the price of a second pass.

sam      g = the gradient at w + rho * g0 / |g0|, g0 that at w, |.| over all parameters;  SGD's step from w along g
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from calando.errors import UsageError
from calando.methods.base import Flag, Method, Number
from calando.methods.packages import import_pytorch_optimizer

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["SHARPNESS_METHODS"]


def _sam(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    import torch

    optimizer: Optimizer = _returning_the_loss(import_pytorch_optimizer("sam").SAM)(
        groups, torch.optim.SGD, lr=lr, **options
    )
    return optimizer


@cache
def _returning_the_loss(kind: Any) -> Any:
    import torch

    class SAM(kind):  # type: ignore[misc]
        """The package's, whose `step` returns the closure's loss as torch's do."""

        def step(self, closure: Callable[[], Any] | None = None) -> Any:
            """One update; the closure works loss and gradient out at the weights as they are."""
            if closure is None:
                raise UsageError("SAM needs a second pass over the batch: optimizer.step(closure)")
            self.first_step(zero_grad=True)
            with torch.enable_grad():
                loss = closure()
            self.second_step()
            return loss

    return SAM


SHARPNESS_METHODS = (
    Method(
        name="sam",
        family="classic",
        memory=1,
        summary="sharpness-aware minimisation over SGD with momentum; two passes an update",
        usual_rate=0.1,
        rate_span=100.0,
        decay="gains much from decay",
        options={
            "rho": Number(0.05),
            "momentum": Number(0.9, high=1.0),
            "nesterov": Flag(False),
            "weight_decay": Number(0.0),
        },
        build=_sam,
        source="Foret et al. 2021; pytorch-optimizer",
        closure="again",
        package="pytorch-optimizer",
    ),
)
