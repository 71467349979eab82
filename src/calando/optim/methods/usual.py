"""The usual rate of a user's own optimizer, by its class: what is expected before anything is measured.

SGD      1 - momentum: 0.1 at 0.9, and the same movement a step at any other momentum
others   the usual rate of the registered method of that name
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calando.optim.methods.registry import METHODS

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["usual_rate_of"]


def usual_rate_of(optimizer: Optimizer) -> float | None:
    """None where nothing is usual: a class that is not registered.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> usual_rate_of(torch.optim.AdamW([weight])), usual_rate_of(torch.optim.SGD([weight], lr=1, momentum=0.5))
    (0.001, 0.5)
    """
    name = type(optimizer).__name__.lower()
    if name == "sgd":
        return 1.0 - float(optimizer.param_groups[0]["momentum"])
    return METHODS[name].usual_rate if name in METHODS else None
