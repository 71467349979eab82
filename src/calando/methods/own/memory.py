"""What an optimizer remembers: in `state` and `param_groups` alone, at least in float32, loaded to the bit.

torch casts what it loads to the parameter's type, so a float32 average of bfloat16 weights would come back rounded.
Numbers are Python's: they pass through JSON exactly. All are fetched from the device at once, which is one wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from calando.errors import UsageError

__all__ = ["Remembering", "common", "dot", "keep_types", "loss_from", "numbers", "remembered", "wide"]


class Remembering(Optimizer):
    """An optimizer whose state comes back with the types that it had; abstract."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but floating-point state keeps its own type."""
        super().load_state_dict(state_dict)
        keep_types(self, state_dict)


def keep_types(optimizer: Optimizer, saved: Mapping[str, Any]) -> None:
    """Give what was loaded the types that were saved, and with them its bits.

    Args:
        saved: the state dict that was loaded. Its groups list what its entries are under: torch's own numbers, or the
            names that torch.distributed.checkpoint gives.
    """
    keys = [key for group in saved["param_groups"] for key in group["params"]]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    of_parameter = dict(zip(keys, parameters, strict=True))
    for key_of_parameter, entries in saved["state"].items():
        held = optimizer.state[of_parameter[key_of_parameter]]
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.dtype != held[key].dtype:
                held[key] = value.to(held[key].device, copy=True)


def wide(value: Tensor) -> Tensor:
    """The tensor itself, or in float32 where its type is narrower.

    >>> wide(torch.zeros(1, dtype=torch.bfloat16)).dtype, wide(torch.zeros(1, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return value.float() if value.dtype.itemsize < 4 else value


def remembered(parameter: Tensor, value: Tensor) -> Tensor:
    """A copy of the value in the parameter's memory layout, wide."""
    return torch.empty_like(parameter, dtype=wide(parameter).dtype).copy_(value)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of two tensors of one shape, whatever their layouts."""
    return (wide(a) * wide(b)).sum()


def numbers(values: Sequence[Tensor]) -> list[float]:
    """Tensors of one element each as numbers, fetched together.

    >>> numbers([torch.tensor(1.0), torch.tensor(2.0, dtype=torch.float64)]), numbers([])
    ([1.0, 2.0], [])
    """
    if not values:
        return []
    found: list[float] = torch.stack([value.to(values[0].device) for value in values]).tolist()
    return found


def common(optimizer: Optimizer, key: str) -> Any:
    """The value of a hyper-parameter that must be the same in all groups.

    Raises:
        UsageError: it differs.

    >>> from torch.optim import SGD
    >>> common(SGD([{"params": [torch.zeros(1)]}], lr=0.1, momentum=0.9), "momentum")
    0.9
    """
    values = [group[key] for group in optimizer.param_groups]
    if any(value != values[0] for value in values):
        name = type(optimizer).__name__
        raise UsageError(f"{name} needs the same {key} in all parameter groups, got {', '.join(map(str, values))}")
    return values[0]


def loss_from(closure: Callable[[], float | Tensor]) -> float:
    """What the closure gives, as a number; it may work gradients out."""
    with torch.enable_grad():
        loss = closure()
    if not isinstance(loss, Tensor | int | float) or (isinstance(loss, Tensor) and loss.numel() != 1):
        raise UsageError(f"the closure must return the loss, one number, got {loss!r}")
    return float(loss.detach()) if isinstance(loss, Tensor) else float(loss)
