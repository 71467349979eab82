"""Schedules that advance by themselves, on every real update of an optimizer.

    before optimizer.step()     the values of update t are written, whatever was loaded or set since the last one
    after it                    t becomes t + 1, unless the gradient scaler skipped the update

Both are hooks that torch offers in public. A `GradScaler` that finds infinite gradients does not call
`optimizer.step`; a fused optimizer is called and told to skip (`found_inf`), which is read here, at the cost of
one wait for the device an update. Calls that only accumulate gradients never reach the optimizer.

A CUDA graph that holds `optimizer.step` replays without its hooks: use `calando.LRScheduler` there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final
from weakref import WeakSet, proxy, ref

from torch.optim import Optimizer

from calando.errors import UsageError
from calando.integrations.course import Course, Jump
from calando.integrations.other_writers import OtherWriters
from calando.integrations.step_hooks import StepHooks, check_runs_hooks
from calando.optim.driver import AddedAt
from calando.schedules import Finding, Schedule
from calando.schedules.span import Horizon

__all__ = ["Attached", "attach", "note_driven", "refuse_attached", "was_skipped"]


def attach(
    optimizer: Optimizer,
    schedule: Schedule | str,
    *,
    total_steps: int,
    steps_per_epoch: int | None = None,
    hyper_parameters: Mapping[str, Schedule | str] | None = None,
    added_at: AddedAt = "base",
) -> Attached:
    """Let an optimizer follow schedules by itself: no `step()` to call, none to forget.

    Keep what is returned to save, load, extend or detach; the optimizer keeps following if you do not. It wins
    over a scheduler that was built before. With Accelerate, attach before `prepare`.

    Args:
        optimizer: its groups' present rates are the base rates ("initial_lr" where a scheduler left one). Groups
            may be added, removed and loaded later: each is known by itself, and keeps its base rate.
        schedule: a schedule or its text; a multiplier of the base rate. It may differ between groups (`per_group`).
        total_steps: the horizon in updates; beyond it the last value holds.
        steps_per_epoch: updates in one epoch; needed where a schedule has spans in epochs.
        hyper_parameters: other hyper-parameters of the groups -> their schedules, e.g. {"momentum": "linear(1, 0.9)"};
            "beta1" and "beta2" are the elements of "betas".
        added_at: what a group's values are that is added later: "base", its own base values; "present", those that
            it is to have now, as Lightning's finetuning callbacks add groups. One group says it by itself with an
            "initial_lr", which is its base rate either way.

    Raises:
        UsageError: a schedule that does not parse or does not fit the horizon, a group it names that the optimizer
            does not have, a hyper-parameter that is none; an optimizer that is none, that runs no hooks (a wrapper
            round one), or has schedules attached. Nothing changed then.

    >>> import torch, calando
    >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
    >>> attached = calando.attach(optimizer, "linear(1, 0)", total_steps=100)
    >>> for _ in range(51):
    ...     optimizer.step()
    >>> attached.step, attached.get_last_lr()
    (51, [0.05])
    """
    check_runs_hooks(optimizer, "attach")
    refuse_attached(optimizer)
    # The optimizer's hooks hold what is made here, which therefore must not hold the optimizer.
    course = Course(
        proxy(optimizer),
        schedule,
        total_steps=total_steps,
        steps_per_epoch=steps_per_epoch,
        hyper_parameters=hyper_parameters,
        added_at=added_at,
        writers=OtherWriters(compose=False, remedy="detach() ends that"),
    )
    attached = Attached(optimizer, course)
    note_driven(optimizer)
    return attached


@final
class Attached:
    """Schedules that an optimizer follows; made by `attach`.

    Args:
        step: updates made so far; the next one is update number `step`.
    """

    def __init__(self, optimizer: Optimizer, course: Course) -> None:
        self.step = 0
        self._course = course
        self._optimizer = ref(optimizer)
        # Not the hooks themselves, which hold this.
        self._hooks = StepHooks(
            optimizer,
            before=self._before_update,
            after=self._after_update,
            rates=lambda: self._course.driver.written["lr"],
        ).handles
        course.driver.write(0)

    @property
    def schedule(self) -> Schedule:
        """The rate's schedule."""
        return self._course.driver.schedules["lr"]

    @property
    def horizon(self) -> Horizon:
        """The updates that the run is planned for, and those of an epoch."""
        return self._course.driver.horizon

    def get_last_lr(self) -> list[float]:
        """Each group's rate as the last update had it, as a float; before the first, as that will have it."""
        return [float(group["lr"]) for group in self._course.driver.optimizer.param_groups]

    def extend(self, *, total_steps: int, steps_per_epoch: int | None = None) -> tuple[Jump, ...]:
        """Go on, from the next update, on a longer or shorter horizon; as `LRScheduler.extend`."""
        return self._course.extend(self.step, total_steps=total_steps, steps_per_epoch=steps_per_epoch)

    def lint(self) -> list[Finding]:
        """What is suspicious about the schedules, and about how they meet this optimizer; see `calando lint`."""
        return self._course.lint()

    def state_dict(self) -> dict[str, Any]:
        """The step, the horizon, the schedules' texts and the base values; `LRScheduler` reads it too."""
        return self._course.state(self.step)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go to the saved step; as `LRScheduler.load_state_dict`, whose states will do."""
        self.step = max(0, self._course.restore(state_dict))  # below 0: of a scheduler that waits for its turn

    def detach(self) -> None:
        """Stop following: the values stay as they are, and something else may drive the optimizer."""
        for hook in self._hooks:
            hook.remove()
        if (optimizer := self._optimizer()) is not None:
            _DRIVEN.discard(optimizer)

    def _before_update(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._course.say_doubt(stacklevel=3)
        self._course.driver.write_exactly(self.step)

    def _after_update(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not was_skipped(optimizer):
            self.step += 1


_DRIVEN: WeakSet[Optimizer] = WeakSet()


def was_skipped(optimizer: Optimizer) -> bool:
    """Whether the step that ended just now made no update: a gradient scaler told a fused optimizer to skip it."""
    infinite = getattr(optimizer, "found_inf", None)
    return infinite is not None and bool(infinite.item())


def refuse_attached(optimizer: Optimizer) -> None:
    """Two writers would overwrite each other.

    Raises:
        UsageError: `optimizer` has schedules attached, or follows a strategy.
    """
    if optimizer in _DRIVEN:
        raise UsageError(
            "this optimizer follows attached schedules already; call detach() on what attach returned first, or, if it "
            "is of calando.follow, write the schedule into its strategy"
        )


def note_driven(optimizer: Optimizer) -> None:
    """From now on `refuse_attached` refuses it."""
    _DRIVEN.add(optimizer)
