"""From a batch to a loss, for networks, batches and losses of any make.

    loss_fn(model(*inputs), target)     batch = (*inputs, target)
    model(**batch) or model(*batch)     loss_fn is None: the network returns its loss itself
    forward(model, batch)               returns the loss, or with a loss_fn (output, target) for it

A loss is a tensor of one number; a dict, or an object, with "loss"; or a tuple that begins with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from calando.errors import UsageError, reason_of
from calando.language import joined, message
from calando.range_test.constant_outputs import ConstantOutputs, SharesSeen

__all__ = ["BatchLoss", "Forward"]

Forward = Callable[[nn.Module, Any], Any]

UNFIT = (TypeError, AttributeError, ValueError, IndexError, KeyError)  # what code raises that gets another kind


@final
@dataclass(kw_only=True)
class BatchLoss:
    """The loss of a batch, on the network's device; call it with the batch.

    >>> BatchLoss(model=nn.Linear(2, 1), forward=lambda model, batch: model(batch).sum())(torch.zeros(3, 2)).shape
    torch.Size([])

    Args:
        model, loss_fn, forward: see above.
        chance: loss of a network that knows class shares alone; where loss_fn is a cross-entropy it follows from the
            targets seen so far.
    """

    model: nn.Module
    loss_fn: Callable[..., Any] | None = None
    forward: Forward | None = None
    chance: float | None = None

    @property
    def trivial(self) -> float | None:
        """`chance`, or the loss of an output that is the same for all samples; None where neither is known."""
        return self._constants.loss if self.chance is None else self.chance

    def __post_init__(self) -> None:
        ranks = any(isinstance(module, DistributedDataParallel) for module in self.model.modules())
        self._constants = ConstantOutputs(None if ranks or self.chance is not None else self.loss_fn)
        self._shares = SharesSeen(self.loss_fn if self.chance is None else None)

    def __call__(self, batch: Any) -> torch.Tensor:
        """The loss, of shape ().

        Raises:
            UsageError: a batch that does not fit; a loss that is none, is not one number, or has no gradient.
        """
        result: Any
        if self.forward is not None:
            result = self.forward(self.model, batch)
            if self.loss_fn is not None and isinstance(result, tuple) and len(result) == 2:
                result = self._judged(*result)
        elif self.loss_fn is not None:
            if not isinstance(batch, tuple | list) or len(batch) < 2:
                raise UsageError(
                    message(
                        "a batch must be (input, target) for loss_fn, got {kind}; pass forward=, called with (model, "
                        "batch), which returns the loss",
                        kind=type(batch).__name__,
                    )
                )
            result = self._judged(self._output(*batch[:-1]), batch[-1])
        elif isinstance(batch, Mapping):
            result = self._output(**batch)
        else:
            result = self._output(*batch) if isinstance(batch, tuple | list) else self._output(batch)
        return _scalar(result)

    def _output(self, *inputs: Any, **named: Any) -> Any:
        """The network's; an error says what to do where it does not take these inputs."""
        try:
            return self.model(*inputs, **named)
        except UNFIT as error:
            nested = [kind for kind in map(_kind, (*inputs, *named.values())) if kind]
            if not nested and not isinstance(error, TypeError):
                raise
            given = ", ".join([*map(_shown, inputs), *(f"{name}={_shown(value)}" for name, value in named.items())])
            raise UsageError(
                message(
                    "the network cannot be called as model({given}) ({reason}); pass forward=, called with "
                    "(model, batch), which calls the network as it needs and returns the loss, or, with a "
                    "loss_fn, (output, target)",
                    given=given,
                    reason=reason_of(error),
                )
            ) from error

    def _judged(self, output: Any, target: Any) -> Any:
        assert self.loss_fn is not None
        try:
            loss = self.loss_fn(output, target)
        except UNFIT as error:
            kinds = [f"{what} {kind}" for what, kind in (("output", _kind(output)), ("target", _kind(target))) if kind]
            if not kinds:
                raise
            raise UsageError(
                message(
                    "loss_fn cannot judge {kinds} ({reason}); pass forward=, called with (model, batch), which "
                    "returns (output, target) for loss_fn, as in forward=lambda model, batch: "
                    "(model(batch[0]).logits, batch[1]), or the loss itself",
                    kinds=joined("{one} and {other}", kinds),
                    reason=reason_of(error),
                )
            ) from error
        self._shares.add(output, target)
        self._constants.add(output, target)
        if (chance := self._shares.chance) is not None:
            self.chance = chance
        return loss


def _kind(value: Any) -> str:
    return "" if isinstance(value, torch.Tensor) else type(value).__name__


def _shown(value: Any) -> str:
    if isinstance(value, tuple | list) and 0 < len(value) <= 4:
        return f"({', '.join(map(_shown, value))})"
    return "tensor" if isinstance(value, torch.Tensor) else type(value).__name__


def _scalar(result: Any) -> torch.Tensor:
    if isinstance(result, Mapping) and "loss" in result:
        result = result["loss"]
    elif not isinstance(result, torch.Tensor) and hasattr(result, "loss"):
        result = result.loss
    elif isinstance(result, tuple | list) and result:
        result = result[0]
    if not isinstance(result, torch.Tensor):
        raise UsageError(
            message(
                "no loss found: got {kind}, wanted a tensor, a dict with 'loss', or a tuple it begins; pass "
                "loss_fn, or forward=, called with (model, batch), which returns the loss",
                kind=type(result).__name__,
            )
        )
    if result.numel() != 1:
        raise UsageError(
            message("the loss must be one number, got shape {shape}; take its mean", shape=tuple(result.shape))
        )
    if not result.requires_grad:
        raise UsageError(
            message("the loss has no gradient; it was detached, made under no_grad, or depends on no parameter")
        )
    return result.reshape(())
