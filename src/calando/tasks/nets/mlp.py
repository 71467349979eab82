"""`mlp-128-128`: layers in which every unit sees every input, for tables and other samples of a fixed size.

    [linear(w) - ReLU] for each width w - linear(outputs)         the sample is flattened first

A width is a number of hidden units; `mlp` is mlp-128-128; `linear` has no hidden layer. Initial weights are torch's.
"""

from __future__ import annotations

import math
import re
from functools import partial
from typing import TYPE_CHECKING

from calando.errors import UsageError
from calando.language import message
from calando.tasks.nets import Build, NetworkEntry

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ENTRIES", "mlp"]

_USUAL, _WIDEST, _DEEPEST = (128, 128), 65_536, 100


def mlp(*, widths: tuple[int, ...], inputs: tuple[int, ...], classes: int) -> nn.Module:
    """Build the network.

    >>> net = mlp(widths=(128, 128), inputs=(10,), classes=1)
    >>> sum(p.numel() for p in net.parameters())
    18049

    Args:
        widths: hidden units of each layer; (): a linear model.
        inputs: shape of one sample.
        classes: number of outputs.
    """
    from torch import nn

    layers: list[nn.Module] = [nn.Flatten()]
    before = math.prod(inputs)
    for width in widths:
        layers += [nn.Linear(before, width), nn.ReLU(inplace=True)]
        before = width
    return nn.Sequential(*layers, nn.Linear(before, classes))


def _read(name: str) -> Build | None:
    if name == "linear":
        return partial(mlp, widths=())
    if not re.fullmatch(r"mlp(-\d{1,9})*", name):
        return None
    widths = tuple(map(int, name.split("-")[1:])) or _USUAL
    if min(widths) < 1 or max(widths) > _WIDEST or len(widths) > _DEEPEST:
        raise UsageError(
            message(
                "network {name!r}: give 1 to {deepest} layers of 1 to {widest:,} units each, e.g. mlp-128-128",
                name=name,
                deepest=_DEEPEST,
                widest=_WIDEST,
            )
        )
    return partial(mlp, widths=widths)


ENTRIES = (
    NetworkEntry(
        names="mlp-128-128, mlp-64 …",
        description="a multilayer perceptron for tables, mlp-WIDTH-WIDTH…; linear has no hidden layer",
        read=_read,
        examples=("mlp-128-128", "mlp-64", "linear"),
    ),
)
