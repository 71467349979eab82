"""Steps as long as the loss says, held below the rate.

alig     w <- w - min(lr, loss / (|g|**2 + eps)) * g, with Nesterov momentum
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calando.methods.base import Method, Number

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["POLYAK_METHODS"]


def _alig(groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
    from calando.methods.own.alig import AliG

    return AliG(groups, lr=lr, **options)


POLYAK_METHODS = (
    Method(
        name="alig",
        family="classic",
        memory=1,
        summary="Polyak's step for losses that can reach zero; the rate is its upper bound",
        usual_rate=0.1,
        rate_span=100.0,
        decay="shrinks by itself as the loss falls",
        options={
            "momentum": Number(0.9, high=1.0),
            "weight_decay": Number(0.0),
            "eps": Number(1e-5, open_low=True),
        },
        build=_alig,
        source="Berrada, Zisserman & Kumar 2020",
        closure="loss",
    ),
)
