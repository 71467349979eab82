"""An optimizer of ours: the rule of its update, in a class without torch, so that listing methods does not import it.

torch's `Optimizer` is mixed in where one is built, and does once what is the same for all:

    step               the loss from the closure, if there is one; no update in evaluation mode
    load_state_dict    floating-point state keeps its own type, and with it its bits: torch casts it to the parameter's

A rule remembers in `state` and `param_groups` alone, at least in float32. Numbers are Python's: they pass through JSON
exactly. All are fetched from the device at once, which is one wait.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from calando.errors import UsageError
from calando.language import message

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["Rule", "common", "dot", "keep_types", "numbers", "remembered", "wide"]


class Rule(ABC):
    """How an optimizer moves its parameters; its `build` is the method's.

    Attributes:
        needs_loss: `step` must be given a closure that returns the loss.
        kept: what each group remembers besides its options, as it starts.
        param_groups: as torch's `Optimizer` has them.
        state: likewise.
    """

    needs_loss: ClassVar[bool] = False
    kept: ClassVar[Mapping[str, Any]] = {}
    param_groups: list[dict[str, Any]]
    state: dict[Any, dict[str, Any]]

    @classmethod
    def build(cls, groups: list[dict[str, Any]], lr: float, options: dict[str, Any]) -> Optimizer:
        """The optimizer, which is new."""
        return _optimizer_class(cls)(groups, cls.first(lr, options))

    @classmethod
    def first(cls, lr: float, options: dict[str, Any]) -> dict[str, Any]:
        """What a group holds at the start."""
        return {"lr": lr, **options, **cls.kept}

    @abstractmethod
    def update(self, loss: float | None) -> None:
        """One update by the gradients that are there, without autograd; the loss, if a closure gave it."""


@cache
def _optimizer_class(rule: type[Rule]) -> type[Optimizer]:
    """The rule as an optimizer of torch's, under its own name."""
    import torch

    class Ours(rule, torch.optim.Optimizer):  # type: ignore[misc, valid-type]
        def step(self, closure: Callable[[], Any] | None = None) -> float | None:  # type: ignore[override]
            """One update by the gradients that are there, or that the closure works out with the loss it returns.

            Raises:
                UsageError: in evaluation mode; no closure where the rule needs the loss.
            """
            name = type(self).__name__
            if not self.param_groups[0].get("train_mode", True):
                raise UsageError(
                    message("{name} is in evaluation mode; call optimizer.train() before a step", name=name)
                )
            if closure is None and self.needs_loss:
                raise UsageError(message("{name} needs the loss of the batch: optimizer.step(lambda: loss)", name=name))
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    given = closure()
                is_tensor = isinstance(given, torch.Tensor)
                if not (is_tensor and given.numel() == 1) and not isinstance(given, int | float):
                    raise UsageError(
                        message("the closure must return the loss, one number, got {given}", given=repr(given))
                    )
                loss = float(given.detach() if is_tensor else given)
            with torch.no_grad():
                self.update(loss)
            return loss

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            """As torch's, but floating-point state keeps its own type."""
            super().load_state_dict(state_dict)
            keep_types(self, state_dict)

        def __reduce__(self) -> tuple[Any, ...]:  # pickle finds no module that holds this class
            return _empty, (rule,), self.__getstate__()

    Ours.__name__, Ours.__qualname__, Ours.__module__ = rule.__name__, rule.__qualname__, rule.__module__
    Ours.__doc__ = rule.__doc__
    return Ours


def _empty(rule: type[Rule]) -> Optimizer:
    made = _optimizer_class(rule)
    return made.__new__(made)


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
            if hasattr(value, "dtype") and value.dtype != held[key].dtype:
                held[key] = value.to(held[key].device, copy=True)


def wide(value: Tensor) -> Tensor:
    """The tensor itself, or in float32 where its type is narrower.

    >>> import torch
    >>> wide(torch.zeros(1, dtype=torch.bfloat16)).dtype, wide(torch.zeros(1, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return value.float() if value.dtype.itemsize < 4 else value


def remembered(parameter: Tensor, value: Tensor) -> Tensor:
    """A copy of the value in the parameter's memory layout, wide."""
    import torch

    return torch.empty_like(parameter, dtype=wide(parameter).dtype).copy_(value)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of two tensors of one shape, whatever their layouts."""
    return (wide(a) * wide(b)).sum()


def numbers(values: Sequence[Tensor]) -> list[float]:
    """Tensors of one element each as numbers, fetched together.

    >>> import torch
    >>> numbers([torch.tensor(1.0), torch.tensor(2.0, dtype=torch.float64)]), numbers([])
    ([1.0, 2.0], [])
    """
    import torch

    if not values:
        return []
    found: list[float] = torch.stack([value.to(values[0].device) for value in values]).tolist()
    return found


def common(optimizer: Optimizer | Rule, key: str) -> Any:
    """The value of a hyper-parameter that must be the same in all groups.

    Raises:
        UsageError: it differs.

    >>> import torch
    >>> common(torch.optim.SGD([{"params": [torch.zeros(1)]}], lr=0.1, momentum=0.9), "momentum")
    0.9
    """
    values = [group[key] for group in optimizer.param_groups]
    if any(value != values[0] for value in values):
        name = type(optimizer).__name__
        raise UsageError(
            message(
                "{name} needs the same {key} in all parameter groups, got {values}",
                name=name,
                key=key,
                values=", ".join(map(str, values)),
            )
        )
    return values[0]
