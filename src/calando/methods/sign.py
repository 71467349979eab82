"""Steps of one size in every coordinate.

lion     w <- w - lr * (sign(beta1 * m + (1 - beta1) * g) + wd * w);  m <- beta2 * m + (1 - beta2) * g
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calando.methods.base import Method, Number, Pair
from calando.methods.packages import import_pytorch_optimizer

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["SIGN_METHODS"]


def _lion(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    optimizer: Optimizer = import_pytorch_optimizer("lion").Lion(groups, lr=lr, **options)
    return optimizer


SIGN_METHODS = (
    Method(
        name="lion",
        family="adaptive",
        memory=1,
        summary="the sign of a running mean of gradients; decoupled weight decay, 3 to 10 times AdamW's",
        usual_rate=0.0003,
        rate_span=100.0,
        decay="gains much from decay: its steps never shrink by themselves",
        options={"betas": Pair((0.9, 0.99)), "weight_decay": Number(0.0)},
        build=_lion,
        source="Chen et al. 2023; pytorch-optimizer",
        package="pytorch-optimizer",
    ),
)
