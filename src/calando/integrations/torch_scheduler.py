"""A schedule where torch's own scheduler is expected.

    rate of group g at update t = base rate of g * schedule(t)      in closed form, never from the rate before

State is the step alone, so resuming does not depend on the order in which things are built and loaded.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer, lr_scheduler

from calando.errors import UsageError
from calando.optim.driver import Driver
from calando.schedules import Schedule, parse

__all__ = ["LRScheduler"]


class LRScheduler(lr_scheduler.LRScheduler):
    """Set every group's rate from a schedule, once an update; accepted where torch's scheduler is.

    Args:
        optimizer: its groups' present rates are the base rates ("initial_lr" where a scheduler left one).
        schedule: a schedule or its text; a multiplier of the base rate.
        total_steps: the horizon in updates; beyond it the last value holds.
        steps_per_epoch: needed where the schedule has spans in epochs.

    Raises:
        UsageError: a schedule that does not parse or does not fit the horizon.

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
    ) -> None:
        # Not super().__init__(): torch's wraps optimizer.step and takes a step of its own.
        self.optimizer = optimizer
        self.schedule = parse(schedule) if isinstance(schedule, str) else schedule
        curve = self.schedule.bind(total_steps, steps_per_epoch=steps_per_epoch)
        self._driver = Driver(optimizer, curves={"lr": curve})
        # Accelerate counts here the calls it holds back while gradients accumulate; nothing of ours depends on it.
        self._step_count = 1
        self._go_to(0)

    def step(self, epoch: int | None = None) -> None:
        """After each update: the rate of the next one. `epoch` sets the step instead, as torch's does."""
        self._step_count += 1
        self._go_to(self.last_epoch + 1 if epoch is None else epoch)

    def get_last_lr(self) -> list[float | Tensor]:
        """Each group's present rate, as a float."""
        return list(self._last_lr)

    def get_lr(self) -> list[float | Tensor]:
        """The rates of update `last_epoch`, from the closed form."""
        return self.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """The step and the base rates, and the schedule's text so that a mismatch is noticed."""
        return {"last_epoch": self.last_epoch, "schedule": str(self.schedule), "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the saved step; whether the optimizer's state was loaded before or is loaded after does not matter.

        Raises:
            UsageError: the state is of another schedule, of another number of groups, or not of this scheduler.
        """
        if not {"last_epoch", "schedule", "base_lrs"} <= state_dict.keys():
            raise UsageError(f"not a state of calando's LRScheduler: it holds {', '.join(map(str, state_dict))}")
        saved, groups = state_dict["schedule"], self.optimizer.param_groups
        if saved != str(self.schedule):
            raise UsageError(f"the state was saved with schedule {saved!r}, this scheduler has {str(self.schedule)!r}")
        if len(state_dict["base_lrs"]) != len(groups):
            count = len(state_dict["base_lrs"])
            raise UsageError(f"the state was saved with {count} parameter groups, the optimizer has {len(groups)}")
        for group, base in zip(groups, state_dict["base_lrs"], strict=True):
            group["initial_lr"] = float(base)
        self._driver = Driver(self.optimizer, curves=self._driver.curves)
        self._go_to(int(state_dict["last_epoch"]))

    def _go_to(self, step: int) -> None:
        self._driver.adopt_groups()
        self._driver.write(step)
        self.last_epoch = step
        self.base_lrs = list(self._driver.base_rates)
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]
