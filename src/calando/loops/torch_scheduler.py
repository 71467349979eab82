"""A schedule where torch's own scheduler is expected: `step` is called once an update, and sets the next one's values.

What is written, saved, restored and extended is a `ScheduledOptimizer`'s, as for `attach`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any, SupportsFloat, SupportsIndex

from torch import Tensor
from torch.optim import Optimizer, lr_scheduler

from calando.errors import UsageError
from calando.loops.attach import refuse_attached
from calando.loops.optimizer_hooks import before_update, check_has_groups, initialises
from calando.loops.other_writers import OtherWriters
from calando.loops.reported_rate import refuse_unknown
from calando.loops.scheduled_optimizer import Jump, ScheduledOptimizer
from calando.loops.step_pace import Pace
from calando.methods.known_groups import AddedAt
from calando.schedules import Finding, Horizon, Schedule

__all__ = ["LRScheduler"]


class LRScheduler(lr_scheduler.LRScheduler):
    """Set every group's rate from a schedule, once per update. It works wherever a torch scheduler does.

    Args:
        optimizer: its groups' current rates are the base rates ("initial_lr" where a scheduler left one). Groups may be
            added, removed and loaded later; each keeps its base rate.
        schedule: a schedule, its text or its name: a multiplier of the base rate. With `per_group` it differs between
            groups.
        total_steps: horizon in updates; after it the last value is kept.
        steps_per_epoch: updates in one epoch; needed if a schedule has lengths in epochs.
        hyper_parameters: other hyper-parameters of the groups -> their schedules, e.g. {"momentum": "linear(1, 0.9)"};
            "beta1" and "beta2" are the elements of "betas".
        added_at: the values of a group that is added later. "base": its base values. "present": those of the next
            update, as Lightning's finetuning callbacks add groups. An "initial_lr" in the group is its base rate either
            way.

    Raises:
        UsageError: a schedule does not parse or does not fit the horizon; it names a group or a hyper-parameter that
            the optimizer does not have; `optimizer` is no optimizer, or `calando.attach` already drives it. Nothing was
            changed.

    Example:
        >>> import torch, calando
        >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
        >>> scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=100)
        >>> for _ in range(50):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Schedule | str,
        *,
        total_steps: int,
        steps_per_epoch: int | None = None,
        hyper_parameters: Mapping[str, Schedule | str] | None = None,
        added_at: AddedAt = "base",
    ) -> None:
        # Not super().__init__(): torch's wraps optimizer.step and takes a step of its own.
        check_has_groups(optimizer, "LRScheduler")
        refuse_attached(optimizer)
        self.optimizer = optimizer
        # Nothing here may be called total_steps: Accelerate would stop stepping when _step_count passes it, which
        # it also advances for calls that it holds back while gradients accumulate.
        self._step_count = 1
        self._scheduled = ScheduledOptimizer(
            optimizer,
            schedule,
            total_steps=total_steps,
            steps_per_epoch=steps_per_epoch,
            hyper_parameters=hyper_parameters,
            added_at=added_at,
            writers=OtherWriters(compose=True, remedy="to change the base rates set base_lrs"),
        )
        self.last_epoch = 0
        self._scheduled.driver.write(0)
        self._see_newcomers()
        self._pace = Pace()
        self._pace.watch(optimizer, self, written=lambda scheduler: scheduler._scheduled.driver.written["lr"])

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._see_newcomers()  # a copied optimizer has lost its hooks

    def __setattr__(self, name: str, value: object) -> None:
        # What a class of one's own adds is its affair; "last_epoch" is set at each step.
        if name != "last_epoch" and type(self) is LRScheduler:
            refuse_unknown(self, name, own=["optimizer", "last_epoch"])
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        """The schedule, and how far it is."""
        return f"{type(self).__name__}({self.schedule}): update {self.last_epoch} of {self.horizon.total_steps}"

    def step(self, epoch: int | None = None) -> None:
        """Set the values of the next update; call it after each update. `epoch` sets that update's number, from 0."""
        present = self.last_epoch
        step = present + 1 if epoch is None else _whole(epoch)
        if present < 0:  # SequentialLR undoes the first step of its parts, and makes it again for one
            self._begin(step)
            return
        scheduled = self._scheduled
        scheduled.driver.write(step)
        self.last_epoch = step
        # Before the first update it may be on its way to the step to go on at.
        if scheduled.notice is not None and (self._pace.made or not scheduled.goes_on_at(step)):
            scheduled.warn_notice(stacklevel=2)
        if self._pace.settled:
            return
        if epoch is not None:
            self._pace.jumped()
        elif (mistake := self._pace.called(self.horizon.total_steps)) is not None:
            warnings.warn(mistake, stacklevel=2)

    def _see_newcomers(self) -> None:
        before_update(self.optimizer, self, LRScheduler._before_update)

    def _before_update(self, optimizer: Optimizer) -> None:
        # A group that was added since the last step() would make this update at its bare rate.
        driver = self._scheduled.driver
        if self.last_epoch < 0 or not driver.look_for_newcomers():
            return
        if not initialises(optimizer, lambda: driver.written["lr"]):
            driver.write_newcomers(self.last_epoch)

    def get_last_lr(self) -> list[float | Tensor]:
        """Each group's current rate, as a float."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float | Tensor]:
        """Each group's rate at update `last_epoch`, from the closed form, as a float."""
        return list(self._scheduled.driver.values(max(0, self.last_epoch))["lr"])

    @property
    def schedule(self) -> Schedule:
        """The rate's schedule."""
        return self._scheduled.driver.schedules["lr"]

    @property
    def horizon(self) -> Horizon:
        """The planned number of updates, and the updates of an epoch."""
        return self._scheduled.driver.horizon

    @property
    def base_lrs(self) -> list[float | Tensor]:
        """Each group's base rate, as a float; setting them changes the rates at once."""
        return list(self._scheduled.driver.base_values["lr"])

    @base_lrs.setter
    def base_lrs(self, rates: Sequence[SupportsFloat]) -> None:
        self._scheduled.rebase(rates)
        if self.last_epoch >= 0:
            self._scheduled.driver.write(self.last_epoch)

    @property
    def _last_lr(self) -> list[float | Tensor]:  # type: ignore[override]  # read by scripts, written by nobody
        return self.get_last_lr()

    def _update_lr(self, epoch: int | None = None) -> None:
        # torch's SequentialLR calls this one where it hands over.
        if epoch is None:
            self.step()
        else:
            self._begin(_whole(epoch))

    def _begin(self, step: int) -> None:
        """Take over at `step` from the part of a sequence that wrote the rates before."""
        driver = self._scheduled.driver
        driver.scale({index: 1 / share for index, share in enumerate(driver.shares)}, again=False)
        driver.forget()
        if step >= 0:
            driver.write(step)
        self.last_epoch = step
        self._pace.jumped()

    def keep_place(self) -> Callable[[], None]:
        """Return a function that restores the current step; call it when the optimizer is restored."""
        step, scheduled = self.last_epoch, self._scheduled

        def put_back() -> None:
            self.last_epoch = step
            scheduled.driver.forget()

        return put_back

    def extend(self, *, total_steps: int, steps_per_epoch: int | None = None) -> tuple[Jump, ...]:
        """Continue from the current step with a longer or shorter horizon, counted from the start of the run.

        Returns:
            Every value of the next update that jumps, compared with the old horizon; if there is one, a UserWarning
            says so.

        Raises:
            UsageError: a schedule does not fit the new horizon. Nothing was changed.

        >>> import torch, calando
        >>> optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
        >>> scheduler = calando.LRScheduler(optimizer, "wsd()", total_steps=100)
        >>> scheduler.step(50)
        >>> scheduler.extend(total_steps=200)
        ()
        """
        return self._scheduled.extend(self.last_epoch, total_steps=total_steps, steps_per_epoch=steps_per_epoch)

    def lint(self) -> list[Finding]:
        """What is suspicious about the schedules, also together with this optimizer; see `calando lint`."""
        return self._scheduled.lint()

    def state_dict(self) -> dict[str, Any]:
        """The step, the horizon, the schedules' texts and the base values, as plain numbers and strings."""
        return self._scheduled.state(self.last_epoch, others=True)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the saved step. The optimizer's state may be loaded before or after.

        The saved horizon and base values replace those that this scheduler was built with; if the horizons differ, a
        UserWarning says so. A state of `calando.attach` is accepted too.

        Raises:
            UsageError: the state is not of calando, or has other schedules or another number of groups. Nothing was
                changed.
        """
        self.last_epoch = self._scheduled.restore(state_dict)


def _whole(step: SupportsIndex) -> int:
    try:
        return index(step)
    except TypeError:
        raise UsageError(
            f"step() takes the number of an update, a whole number, got {step!r}; this scheduler counts updates, "
            "not epochs"
        ) from None
