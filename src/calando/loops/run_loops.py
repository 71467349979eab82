"""The loops of a run: its epochs, or its updates by number; each goes on after the last checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Protocol, final

from calando.loops.run_keeping import Keeping
from calando.loops.run_strategy import AtWork

__all__ = ["Between", "Epochs", "Steps"]

STEPS_SECONDS = 20.0
"""Between two checkpoints of a loop over steps, which has no epochs, unless `Run.keep` says otherwise."""


class Between(Protocol):
    """What happens between two epochs or steps: a checkpoint where one is due, a stop where it is asked."""

    def __call__(self, *, least: float = 0.0) -> None:
        """Do it; `least`: seconds between two checkpoints where `Run.keep` was given no time."""
        ...


@final
class Epochs:
    """The epochs of a run; `len()` is how many there are in all."""

    def __init__(self, count: int, work: AtWork, keeping: Keeping, between: Between) -> None:
        self._number, self._work, self._keeping, self._between = count, work, keeping, between

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[int]:
        keeping = self._keeping
        keeping.begin_loop("epochs")
        for epoch in range(keeping.epoch, self._number):
            keeping.begin_epoch(self._work.step)
            yield epoch
            keeping.epoch, keeping.batch = epoch + 1, 0
            self._between()
        keeping.end_loop()


@final
class Steps:
    """The updates of a run by number; `len()` is how many there are in all."""

    def __init__(
        self, count: int, work: AtWork, keeping: Keeping, between: Between, updated: Callable[[float], None]
    ) -> None:
        self._number, self._work, self._keeping, self._between = count, work, keeping, between
        self._updated = updated

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[int]:
        work, keeping = self._work, self._keeping
        keeping.begin_loop("steps")
        work.begin_by_hand(self._number)
        alone, keeping.by_steps = not work.has_optimizer, True
        while work.by_hand < self._number:
            keeping.put_back(work.step)
            step = work.by_hand
            rate = work.lr if alone else math.nan
            yield step
            work.by_hand = step + 1
            if alone:
                self._updated(rate)
            self._between(least=STEPS_SECONDS)
        keeping.end_loop()
