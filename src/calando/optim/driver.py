"""The driver: the one place that writes rates (and other scheduled hyper-parameters) into an optimizer.

    value of group g at update t  =  base value of g  *  curve(t)  [*  controllers' multiplier, for the rate]

Base values are each group's own, read once, so ratios between groups survive. A base rate is kept in the group
as "initial_lr", where torch's schedulers keep it too, so it is found again after the optimizer was saved and
loaded. Tensor values are written in place, so a compiled or captured step sees them without being rebuilt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from calando.errors import UsageError
from calando.schedules import Curve

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["Driver"]


class Driver:
    """Writes scheduled values into an optimizer's parameter groups.

    Args:
        optimizer: any torch optimizer; its groups' present values are taken as the base.
        curves: hyper-parameter -> curve of multipliers, e.g. {"lr": cosine(1, 0).bind(1000)}.

    Raises:
        UsageError: a group lacks a scheduled hyper-parameter, or it is not a number.

    >>> import torch
    >>> from calando.schedules import parse
    >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
    >>> driver = Driver(optimizer, curves={"lr": parse("linear(1, 0)").bind(10)})
    >>> driver.write(5)
    >>> optimizer.param_groups[0]["lr"]
    0.05
    """

    def __init__(self, optimizer: Optimizer, *, curves: Mapping[str, Curve]) -> None:
        self.optimizer = optimizer
        self.curves = dict(curves)
        self._base: list[dict[str, float]] = []
        self.adopt_groups()

    def adopt_groups(self) -> None:
        """Read the base values of groups not seen yet: at the start, and after `optimizer.add_param_group`."""
        for index, group in list(enumerate(self.optimizer.param_groups))[len(self._base) :]:
            self._base.append({key: _base_value(group, key, index) for key in self.curves})
            if "lr" in self.curves:
                group["initial_lr"] = self._base[-1]["lr"]

    def write(self, step: int, *, multiplier: float = 1.0) -> None:
        """Set every scheduled value for update `step`; `multiplier` is the controllers', for the rate alone."""
        for key, curve in self.curves.items():
            factor = curve(step) * multiplier if key == "lr" else curve(step)
            for group, base in zip(self.optimizer.param_groups, self._base, strict=True):
                if hasattr(group[key], "fill_"):
                    group[key].fill_(base[key] * factor)
                else:
                    group[key] = base[key] * factor

    @property
    def base_rates(self) -> list[float]:
        """Each group's base rate."""
        return [base["lr"] for base in self._base]


def _base_value(group: dict[str, Any], key: str, index: int) -> float:
    if key not in group:
        numbers = sorted(name for name, value in group.items() if isinstance(value, int | float))
        raise UsageError(f"cannot schedule {key!r}: group {index} of the optimizer has {', '.join(numbers)}")
    value = group.get("initial_lr", group[key]) if key == "lr" else group[key]
    if isinstance(value, bool) or not (isinstance(value, int | float) or hasattr(value, "fill_")):
        raise UsageError(f"cannot schedule {key!r}: it is {value!r} in group {index}, not a number")
    return float(value)
