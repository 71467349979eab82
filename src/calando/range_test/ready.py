"""What a person lends, made ready for a range test: checked, in training mode, with nothing else that writes rates."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Generator, Iterable
from inspect import unwrap
from numbers import Real
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from calando.errors import UsageError
from calando.language import message
from calando.methods import Closure
from calando.training.restore import undisturbed_loader

__all__ = ["check_lent", "device_of", "endless", "prepare", "try_step"]


def check_lent(
    model: nn.Module,
    optimizer: Optimizer,
    *,
    loss_fn: object,
    forward: object,
    loader: object,
    accumulate: int,
    clip_norm: float | None,
    scaler: object,
    autocast: torch.dtype | None,
) -> None:
    """Raise UsageError where these cannot be trained at all."""
    if not isinstance(model, nn.Module):
        raise UsageError(message("model must be a torch.nn.Module, got {kind}", kind=type(model).__name__))
    if not isinstance(optimizer, Optimizer):
        raise UsageError(message("optimizer must be a torch optimizer, got {kind}", kind=type(optimizer).__name__))
    for name, function, wanted in (
        ("loss_fn", loss_fn, message("called with (output, target)")),
        ("forward", forward, message("called with (model, batch)")),
    ):
        if isinstance(function, type) and issubclass(function, nn.Module):
            raise UsageError(
                message(
                    "{name} is the class {function}; make one of it: {function}()",
                    name=name,
                    function=function.__name__,
                )
            )
        if function is not None and not callable(function):
            raise UsageError(
                message(
                    "{name} must be a function, {wanted}, or None, got {function}",
                    name=name,
                    wanted=wanted,
                    function=repr(function),
                )
            )
    if not isinstance(loader, Iterable) and not hasattr(loader, "__getitem__"):
        raise UsageError(
            message(
                "the loader must be a DataLoader, a list of batches, or an object of yours with __iter__, got {loader}",
                loader=repr(loader),
            )
        )
    if scaler is not None and not callable(getattr(scaler, "unscale_", None)):
        raise UsageError(message("scaler must be a torch.amp.GradScaler or None, got {scaler}", scaler=repr(scaler)))
    if isinstance(accumulate, bool) or not isinstance(accumulate, int) or accumulate < 1:
        raise UsageError(
            message("accumulate must be a whole number from 1, got {accumulate}", accumulate=repr(accumulate))
        )
    if clip_norm is not None and (
        isinstance(clip_norm, bool) or not isinstance(clip_norm, Real) or not 0 < clip_norm < math.inf
    ):
        raise UsageError(
            message(
                "clip_norm must be positive and finite, got {clip_norm}; leave it out not to clip",
                clip_norm=repr(clip_norm),
            )
        )
    if autocast is not None and autocast not in (torch.bfloat16, torch.float16):
        raise UsageError(
            message("autocast must be torch.bfloat16 or torch.float16, got {autocast}", autocast=repr(autocast))
        )
    if not any(p.requires_grad for group in optimizer.param_groups for p in group["params"]):
        raise UsageError(message("all parameters of the optimizer are frozen (requires_grad=False); unfreeze some"))
    if torch.is_inference_mode_enabled():
        raise UsageError(message("a range test trains, which inference mode does not allow; call it outside"))


def device_of(model: nn.Module, device: torch.device | str | None) -> torch.device:
    """Where batches go; UsageError where the network is elsewhere."""
    there = next((p.device for p in model.parameters()), torch.device("cpu"))
    try:
        wanted = there if device is None else torch.device(device)
    except (RuntimeError, TypeError):
        raise UsageError(
            message("device must be one of torch's, such as 'cpu' or 'cuda:0', got {device}", device=repr(device))
        ) from None
    if wanted.type != there.type:
        raise UsageError(
            message(
                "device={device!r}, but the network is on {there!r}; move it there first",
                device=str(device),
                there=str(there),
            )
        )
    return wanted


def prepare(model: nn.Module, optimizer: Optimizer) -> None:
    """Put it into training mode, and remove hooks that write rates."""
    if not model.training:
        model.train()
    inner: Any = optimizer
    while isinstance(inner, Optimizer):
        if callable(train := getattr(inner, "train", None)):  # schedule-free methods
            train()
        # torch has no public way to remove hooks that others registered.
        for hooks in (inner._optimizer_step_pre_hooks, inner._optimizer_step_post_hooks):
            for key in [key for key, hook in hooks.items() if _schedules(hook)]:
                del hooks[key]
        inner = getattr(inner, "optimizer", None)


def try_step(optimizer: Optimizer, put_back: Callable[[], object]) -> Closure:
    """What the `step` of an unknown optimizer must be called with, found by a step with gradients of 0, then undone."""
    wanted = inspect.signature(optimizer.step).parameters
    needed = [one.name for one in wanted.values() if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    if unknown := [name for name in needed if name != "closure"]:
        raise UsageError(
            message(
                "{kind}.step needs {unknown}, which a range test does not know; give it an optimizer whose "
                "step takes nothing or a closure",
                kind=type(optimizer).__name__,
                unknown=", ".join(unknown),
            )
        )
    if "closure" not in wanted and not any(one.kind is one.VAR_POSITIONAL for one in wanted.values()):
        return "none"
    if "closure" in wanted and wanted["closure"].default is inspect.Parameter.empty:
        return "again"
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter)
    try:
        optimizer.step()
    except Exception:  # each package has its own for a closure that is missing
        return "again"
    finally:
        put_back()
    return "none"


def _schedules(hook: Callable[..., Any]) -> bool:
    """Whether a hook belongs to something that writes rates, such as `calando.attach`."""
    return hasattr(getattr(unwrap(hook), "__self__", None), "get_last_lr")


def endless(loader: Iterable[Any]) -> Generator[Any, None, None]:
    """The loader's batches, from the start again whenever they end; one is held at a time.

    >>> batches = endless([1, 2])
    >>> [next(batches) for _ in range(5)]
    [1, 2, 1, 2, 1]

    Raises:
        UsageError: it gives none.
    """
    loader = undisturbed_loader(loader)
    passes = 0
    while True:
        count = 0
        for batch in loader:
            count += 1
            yield batch
        if count == 0:
            again = message("when begun again, after {passes} times", passes=passes) if passes else message("at all")
            raise UsageError(
                message(
                    "the loader gives no batch {again}; give one that can be read again and is not empty", again=again
                )
            )
        passes += 1
