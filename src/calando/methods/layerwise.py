"""Rates scaled layer by layer to the weights' own size, for large batches.

lars     trust = c * |w| / (|g| + wd * |w|);  m <- mu * m + trust * (g + wd * w);  w <- w - lr * m
lamb     r = Adam's direction + wd * w;  w <- w - lr * |w| / |r| * r

Both scale matrices and filters; biases, scales and shifts move as in SGD and Adam, without decay. A layer whose
weights or update are zero has the factor 1. LARS has the rate outside the momentum, as torch's SGD does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calando.methods.base import Flag, Method, Number, Pair
from calando.methods.packages import import_pytorch_optimizer

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["LAYERWISE_METHODS"]


def _lars(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    optimizer: Optimizer = import_pytorch_optimizer("lars").LARS(groups, lr=lr, **options)
    return optimizer


def _lamb(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    from calando.methods.own.lamb import Lamb

    return Lamb(groups, lr=lr, **options)


LAYERWISE_METHODS = (
    Method(
        name="lars",
        family="classic",
        memory=1,
        summary="SGD with momentum whose steps are a fraction of each layer's weights",
        usual_rate=1.0,
        rate_span=100.0,
        decay="gains much from decay",
        options={
            "momentum": Number(0.9, high=1.0),
            "nesterov": Flag(False),
            "weight_decay": Number(0.0),
            "trust_coefficient": Number(0.001, open_low=True),
        },
        build=_lars,
        source="You, Gitman & Ginsburg 2017; pytorch-optimizer",
        package="pytorch-optimizer",
    ),
    Method(
        name="lamb",
        family="adaptive",
        memory=2,
        summary="Adam whose steps are a fraction of each layer's weights; weight decay counts in the step",
        usual_rate=0.01,
        rate_span=100.0,
        decay="gains from decay",
        options={
            "betas": Pair((0.9, 0.999)),
            "eps": Number(1e-6, open_low=True),
            "weight_decay": Number(0.01),
        },
        build=_lamb,
        source="You et al. 2020, algorithm 2",
    ),
)
