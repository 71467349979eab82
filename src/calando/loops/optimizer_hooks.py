"""Hooks around an optimizer's updates: what `attach` and `follow` do before and after each.

torch runs an optimizer's hooks at every call of a `step` that it wrapped, and not each call is an update:

    a `step` that calls another one     torch wraps each class's, so `super().step()` runs the hooks again: only the
                                        outermost call is the update
    a step that initialises             distributed checkpoints make an optimizer's state by a step at rate 0 with
                                        gradients of 0: it is no update, and the rate stays the one it was called with

And our entry in an optimizer's state, under "calando": who saves the optimizer saves it. Plain numbers and texts are in
the first group too, as JSON: FSDP and torch.distributed.checkpoint save groups and tensors, and leave out all else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, TypeVar, final
from weakref import finalize, ref

import torch
from torch.compiler import disable
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from calando.errors import UsageError

__all__ = [
    "KEY",
    "StepHooks",
    "before_update",
    "check_has_groups",
    "check_runs_hooks",
    "initialises",
    "keeper",
    "pop_from_groups",
    "put",
    "take",
    "wrapped",
]

KEY = "calando"

T = TypeVar("T")
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Before = Callable[[Optimizer, tuple[Any, ...], dict[str, Any]], Arguments | None]
After = Callable[[Optimizer, tuple[Any, ...], dict[str, Any]], None]

HOOK_RUNNER = Optimizer.profile_hook_step(lambda self: None).__code__
"""What torch wraps every `step` in: the code that runs the hooks."""

STATE_HOOKS = (
    "_optimizer_state_dict_post_hooks", "_optimizer_load_state_dict_pre_hooks", "_optimizer_load_state_dict_post_hooks",
)  # fmt: skip
"""Where torch keeps them; a wrapper that never called `Optimizer.__init__`, as pytorch_optimizer's, lacks them."""


@final
class StepHooks:
    """Calls `before` and `after` round each update of an optimizer.

    Args:
        optimizer: one that runs hooks (`check_runs_hooks`). It holds these, which do not hold it.
        before: called with (optimizer, args, kwargs) of `step`; may return others to call it with.
        after: called with the same where the step returned; not after one that raised.
        rates: each group's rate as it was written last: rates of 0 that differ were put in by something else.
        initialise: called instead of `before` for a step that only initialises the optimizer's state.

    `handles` remove the hooks; they hold neither the optimizer nor what is called.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        before: Before,
        after: After,
        rates: Callable[[], list[float]],
        initialise: Before | None = None,
    ) -> None:
        self._before, self._after, self._rates, self._initialise = before, after, rates, initialise
        self._depth = 0  # calls of `step` under way, one within the other
        self._update = True  # whether the outermost of them is an update
        # torch.compile must not trace the hooks: it would take the step for a constant, and compile again for each.
        self.handles: tuple[RemovableHandle, ...] = (
            optimizer.register_step_pre_hook(disable(self._enter)),
            optimizer.register_step_post_hook(disable(self._leave)),
        )

    def run_last(self, optimizer: Optimizer) -> None:
        """Have `before` called after what others hooked in since, which may write rates or clip gradients."""
        hooks: Any = optimizer._optimizer_step_pre_hooks  # an OrderedDict, by handle
        hooks.move_to_end(self.handles[0].id)

    def get_last_lr(self) -> list[float]:
        """Each group's rate as it was written last; that this is here tells a range test that the hooks write rates."""
        return self._rates()

    def _enter(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments | None:
        # A step that raised ran no hook at its end, so the depth is a hint: if it is above 0, the stack decides.
        self._depth = 1 + (_steps_round(optimizer) if self._depth else 0)
        if self._depth > 1:
            return None
        self._update = not initialises(optimizer, self._rates)
        if self._update:
            return self._before(optimizer, args, kwargs)
        return None if self._initialise is None else self._initialise(optimizer, args, kwargs)

    def _leave(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._depth == 0:
            return  # registered while the step was under way
        if self._depth > 1:
            self._depth = 1 + _steps_round(optimizer)
        self._depth -= 1
        if self._depth == 0 and self._update:
            self._after(optimizer, args, kwargs)


def before_update(optimizer: Optimizer, owner: T, call: Callable[[T, Optimizer], None]) -> None:
    """Call `call(owner, optimizer)` before each call of `step`, as long as the owner lives; where hooks are run."""
    if not _runs_hooks_of(optimizer):
        return
    held = ref(owner)

    def hook(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if (alive := held()) is not None:
            call(alive, optimizer)

    finalize(owner, optimizer.register_step_pre_hook(disable(hook)).remove).atexit = False


def check_has_groups(optimizer: object, caller: str) -> None:
    """Check that there are parameter groups to write rates to; UsageError where it is no optimizer nor a wrapper."""
    groups = getattr(optimizer, "param_groups", None)
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise UsageError(f"{caller} needs a torch optimizer, got {type(optimizer).__name__}")


def check_runs_hooks(optimizer: object, caller: str) -> None:
    """Check that an optimizer runs torch's hooks, which `attach` and `follow` need; UsageError where it does not."""
    check_has_groups(optimizer, caller)
    if not isinstance(optimizer, Optimizer) or not _runs_hooks_of(optimizer) or keeper(optimizer) is None:
        raise UsageError(
            f"{type(optimizer).__name__} does not run the hooks of torch's optimizers: {caller} the optimizer within, "
            "before it is wrapped (with Accelerate, before prepare)"
        )


def wrapped(optimizer: object) -> Iterator[Optimizer]:
    """The optimizer, and those that it is a wrapper round, from the outside in."""
    if isinstance(optimizer, Optimizer):
        yield optimizer
    inner = getattr(optimizer, "optimizer", None)
    if isinstance(inner, Optimizer) and inner is not optimizer:
        yield from wrapped(inner)


def keeper(optimizer: Optimizer) -> Optimizer | None:
    """Whose `state_dict` runs hooks: the optimizer's, or that of one within a wrapper that has none of its own."""
    return next((one for one in wrapped(optimizer) if all(hasattr(one, name) for name in STATE_HOOKS)), None)


def _runs_hooks_of(optimizer: object) -> bool:
    hooks = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
    step = getattr(type(optimizer), "step", None)
    return bool(getattr(step, "hooked", False)) and all(hasattr(optimizer, name) for name in hooks)


def _steps_round(optimizer: Optimizer) -> int:
    """How many calls of this optimizer's `step` the one whose hook is running is within."""
    return sum(_runs_hooks(frame, optimizer) for frame in _stack()) - 1


def _runs_hooks(frame: FrameType, optimizer: Optimizer) -> bool:
    # torch.compile runs copies of the code under the same name, or resumes it under one that has the name in it.
    code = frame.f_code
    named = code is HOOK_RUNNER or (code.co_filename == HOOK_RUNNER.co_filename and HOOK_RUNNER.co_name in code.co_name)
    return named and frame.f_locals.get("self", optimizer) is optimizer


def initialises(optimizer: Optimizer, rates: Callable[[], list[float]]) -> bool:
    """Whether the step that begins makes an optimizer's state, and no update.

    As `torch.distributed.checkpoint` does it: no state yet, each rate set to 0, gradients of 0.
    """
    groups = optimizer.param_groups
    if optimizer.state or not all(_is_zero(group["lr"]) for group in groups if "lr" in group):
        return False
    # A schedule may put in rates of 0 by itself; then only the caller can tell.
    if not any(rates()) and not _called_by_checkpoint():
        return False
    gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
    return bool(gradients) and not any(_has_value(gradient) for gradient in gradients)


def _is_zero(rate: Any) -> bool:
    # To read a rate on a device waits for it, and cannot be done while a CUDA graph is recorded; the one that a
    # checkpoint puts in is on the CPU.
    return bool(rate == 0) if not isinstance(rate, torch.Tensor) or rate.device.type == "cpu" else False


def _has_value(gradient: torch.Tensor) -> bool:
    local = gradient.to_local() if hasattr(gradient, "to_local") else gradient
    values = local._values() if local.is_sparse else local
    return bool(values.count_nonzero())


def _called_by_checkpoint() -> bool:
    frames = (frame for frame in _stack() if frame.f_code.co_name == "_init_optim_state")
    return any("torch" in frame.f_globals.get("__name__", "") for frame in frames)


def _stack() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def put(state_dict: dict[str, Any], entry: dict[str, Any]) -> None:
    """Put our entry into a state that an optimizer has just made."""
    state_dict[KEY] = entry
    text = _as_text(entry)
    if text is not None and state_dict["param_groups"]:
        state_dict["param_groups"][0][KEY] = text


def take(state_dict: dict[str, Any]) -> Any:
    """Take our entry out of a state that an optimizer is about to load; None if missing.

    It is the shallow copy that torch hands to hooks: the caller's state keeps what it holds.
    """
    entry = state_dict.pop(KEY, None)
    groups = state_dict["param_groups"]
    texts = [group[KEY] for group in groups if KEY in group]
    state_dict["param_groups"] = [{key: value for key, value in group.items() if key != KEY} for group in groups]
    return _as_entry(texts[0]) if entry is None and texts else entry


def pop_from_groups(optimizer: Optimizer) -> Any:
    """Our entry in an optimizer that loaded a state before `attach` could take it; None if there is none."""
    texts = [group.pop(KEY) for group in optimizer.param_groups if KEY in group]
    return _as_entry(texts[0]) if texts else None


def _as_text(entry: Mapping[str, Any]) -> str | None:
    """None where JSON would lose something, such as an average's tensors."""
    try:
        text = json.dumps(entry)
    except TypeError:
        return None
    return text if json.loads(text) == entry else None


def _as_entry(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text  # of something else, which `check` refuses
