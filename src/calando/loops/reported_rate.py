"""A scheduler for frameworks that expect one, where rates advance by themselves (`attach`, `follow`).

    Trainer(optimizers=(training.optimizer, training.scheduler))        logs the rate that is used
    return [optimizer], [attached.scheduler]                            Lightning's monitors show it

However often it is stepped, the schedule stays where the updates have brought it. `step` writes the rates of the next
update early, as torch's schedulers do, so what reads the groups before that update reads what it will use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, final

from torch import Tensor
from torch.optim import Optimizer, lr_scheduler

from calando.errors import UsageError

__all__ = ["ReportedRate", "refuse_unknown"]


@final
class ReportedRate(lr_scheduler.LRScheduler):
    """Reports the rates that something else sets; made by `Attached.scheduler` and `Following.scheduler`.

    It has no state: all is in `optimizer.state_dict()`. The functions give the next update's number and rates, and the
    base rates; `write` writes the next update's values into the groups.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        next_step: Callable[[], int],
        write: Callable[[], None],
        next_lrs: Callable[[], list[float]],
        base_lrs: Callable[[], list[float]],
    ) -> None:
        # Not super().__init__(): torch's writes rates.
        self.optimizer = optimizer
        self._next_step, self._write, self._next_lrs, self._base_lrs = next_step, write, next_lrs, base_lrs
        self._step_count = 1  # Accelerate counts here

    def __setattr__(self, name: str, value: object) -> None:
        refuse_unknown(self, name, own=["optimizer"])
        super().__setattr__(name, value)

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "a reported rate cannot be copied or pickled; save optimizer.state_dict(), which holds all state"
        )

    def step(self, epoch: object = None) -> None:
        """Write the rates of the next update into the groups; the schedule itself goes on with updates alone."""
        self._write()

    def get_last_lr(self) -> list[float | Tensor]:
        """Each group's present rate: the last update's, and after `step` the next one's."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float | Tensor]:
        """Each group's rate at the next update, written into the groups as by `step`; Ignite writes it again."""
        self._write()
        return list(self._next_lrs())

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Whatever it is, it changes nothing: the optimizer's state holds the place in the schedule."""

    @property
    def base_lrs(self) -> list[float | Tensor]:  # type: ignore[override]
        return list(self._base_lrs())

    @property
    def last_epoch(self) -> int:
        """The number of the next update, as for `calando.LRScheduler`."""
        return self._next_step()

    @last_epoch.setter
    def last_epoch(self, step: int) -> None:
        """Ignite's wrapper counts here; updates are counted elsewhere."""

    @property
    def _last_lr(self) -> list[float | Tensor]:  # type: ignore[override]
        return self.get_last_lr()

    def _update_lr(self, epoch: int | None = None) -> None:
        self.step(epoch)


def refuse_unknown(handle: object, name: str, *, own: Sequence[str]) -> None:
    """Before `handle.name = …`: only attributes that it has; others would be taken in silence and change nothing.

    Frameworks keep notes of theirs under names that begin with "_", and patch methods: both may be assigned. `own` are
    attributes that are not of its class. Raises AttributeError.
    """
    kind = type(handle)
    if name in own or name.startswith("_") or hasattr(kind, name):
        return
    of_class = [key for key in dir(kind) if not key.startswith("_") and isinstance(getattr(kind, key), property)]
    has = ", ".join(sorted({*own, *of_class}))
    raise AttributeError(
        f"{kind.__name__} has no attribute {name!r}, and setting it would change nothing; it has {has}"
    )
