"""What is known of a user's own optimizer, by its class.

The usual rate, what is expected before anything is measured:
    SGD      1 - momentum: 0.1 at 0.9, and the same movement a step at any other momentum
    others   the usual rate of the registered method of that name
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calando.optim.methods.base import Closure, Method
from calando.optim.methods.registry import METHODS

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["closure_of", "usual_rate_of"]


def usual_rate_of(optimizer: Optimizer) -> float | None:
    """None where nothing is usual: a class that is not registered.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> usual_rate_of(torch.optim.AdamW([weight])), usual_rate_of(torch.optim.SGD([weight], lr=1, momentum=0.5))
    (0.001, 0.5)
    """
    method = _method_of(optimizer)
    if method is not None and method.name == "sgd":
        return 1.0 - float(optimizer.param_groups[0]["momentum"])
    return None if method is None else method.usual_rate


def closure_of(optimizer: Optimizer) -> Closure | None:
    """What its `step` is to be called with; None where that is not known."""
    method = _method_of(optimizer)
    return None if method is None else method.closure


def _method_of(optimizer: Optimizer) -> Method | None:
    name = type(optimizer).__name__.lower()
    if name.endswith("schedulefree"):  # the package's names end where ours begin
        name = "schedulefree" + name.removesuffix("schedulefree")
    return next((method for method in METHODS.values() if method.name.replace("_", "") == name), None)
