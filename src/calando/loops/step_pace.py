"""Whether a scheduler that counts updates is stepped once an update; the two mistakes that frameworks invite.

updates between two calls of scheduler.step()   >1   once an epoch: Lightning without "interval": "step"
calls of it between two updates                 >1   once a process: a scheduler that Accelerate prepared
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, final
from weakref import finalize, ref

from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from calando.errors import UsageError
from calando.loops.optimizer_hooks import StepHooks, check_runs_hooks, wrapped

__all__ = ["Pace"]

T = TypeVar("T")

SETTLED = 10  # calls that each followed one update: it is stepped as it should be, and nothing is counted any more


@final
class Pace:
    """Compares calls of `scheduler.step()` with the updates of its optimizer; warns once.

    Once that is `settled`, it compares no more. Nor does a copy: the hooks stay with the optimizer that they were
    registered with.
    """

    def __init__(self) -> None:
        self._updates = 0  # since the last call
        self._calls, self._calls_before = 0, 0  # since the last update; between it and the one before
        self._moved = False  # the rate, between two of these updates: another scheduler has its turn
        self._seen: object = None  # the first group's rate at the last of them
        self.made = False  # an update, since the scheduler was built or set to a step
        self._good = 0  # calls that followed one update
        self.settled = self._once = False  # once an update: it was seen, so nobody steps once a process
        self._handles: tuple[RemovableHandle, ...] = ()

    def __reduce__(self) -> tuple[type[Pace], tuple[()]]:
        return Pace, ()

    def watch(self, optimizer: Optimizer, scheduler: T, *, written: Callable[[T], list[float]]) -> None:
        """Count its updates while the scheduler lives, which has written these rates; a wrapper's are those within."""
        *_, inner = optimizer, *wrapped(optimizer)
        try:
            check_runs_hooks(inner, "LRScheduler")
        except UsageError:
            return
        alive = ref(scheduler)

        def rates() -> list[float]:
            return [] if (scheduler := alive()) is None else written(scheduler)

        self._handles = StepHooks(inner, before=lambda *_: None, after=self._after, rates=rates).handles
        for handle in self._handles:
            finalize(scheduler, handle.remove).atexit = False

    def jumped(self) -> None:
        """The scheduler was set to a step by its number: nothing to compare until its next call."""
        self._updates, self._calls, self._calls_before, self.made = 0, 0, 0, False

    def called(self, total_steps: int) -> str | None:
        """The scheduler was stepped; a warning, if it does not fit."""
        updates, self._updates = self._updates, 0
        moved, self._moved = self._moved, False
        if not self.made or self.settled:
            return None
        if moved:
            self.jumped()
            return None
        if updates:
            self._once |= self._calls == 1
            self._calls, self._calls_before = 0, self._calls
        self._calls += 1
        self._good += updates == 1
        if self._once and self._good >= SETTLED:
            self._settle()
        # A horizon shorter than the first epoch counts epochs, as torch's schedulers do by habit; that is no mistake.
        if 1 < updates <= total_steps:
            self._settle()
            return (
                f"the optimizer made {updates} updates between two calls of scheduler.step(), all at one rate; this "
                f"scheduler counts updates, {total_steps} in all: call step() after each (in Lightning return "
                '{"scheduler": scheduler, "interval": "step"}), or use calando.attach, which needs no call; a schedule '
                "that moves once an epoch is staircase(…, every='1 epoch')"
            )
        # At the first two updates: a gradient scaler that skips one now and then looks the same later on.
        if not self._once and self._calls == self._calls_before > 1:
            self._settle()
            return (
                f"scheduler.step() is called {self._calls} times for each update, so its {total_steps} steps are over "
                f"after {total_steps // self._calls} updates; Accelerate calls a scheduler that it prepared once a "
                "process, which is right only if total_steps counts the batches of all processes; calando.attach "
                "counts updates, however many processes there are"
            )
        return None

    def _settle(self) -> None:
        self.settled = True
        for handle in self._handles:
            handle.remove()

    def _after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        rate = optimizer.param_groups[0].get("lr") if optimizer.param_groups else None
        self._moved |= self._updates > 0 and isinstance(rate, float) and rate != self._seen
        self._seen = rate if isinstance(rate, float) else None
        self._updates += 1
        self.made = True
