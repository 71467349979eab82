"""Averages of weights, evaluated instead of the weights: each is one class, whose fields are its options in a text.

    ema(decay=0.999)                    after every update  a <- d a + (1 - d) w,  d = min(decay, (1 + n) / (10 + n))
    swa(start='75%', every='1 epoch')   after update `start` and each `every`-th from there  a <- a + (w - a) / (n + 1)

n counts the updates that were taken in before. d lets the first averages forget the beginning sooner, as in
TensorFlow's and timm's averages.

Sources: Polyak & Juditsky 1992; Izmailov et al. 2018, "Averaging weights leads to wider optima" (SWA).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, final

from calando.controllers import length
from calando.controllers.controller import Entry, entry_of
from calando.errors import UsageError
from calando.language import message
from calando.registry import reserve

__all__ = ["AVERAGES", "Average", "Ema", "Swa"]


class Average(Protocol):
    """Which weights a run averages, and the share that each has in the average."""

    @property
    def start(self) -> int:
        """Index of the first update whose weights are averaged, 0 or more."""
        ...

    @property
    def every(self) -> int:
        """Updates between two averaged ones, at least 1."""
        ...

    def share(self, count: int) -> float:
        """Share of the newest weights in the average, in (0, 1), after `count` earlier ones."""
        ...


@final
@dataclass(frozen=True, kw_only=True)
class Ema:
    """Evaluates the exponential moving average of the weights after every update, instead of the weights.

    Args:
        decay: largest decay d of the average, in (0, 1).

    Raises:
        UsageError: a value is out of range.

    >>> Ema(decay=0.999).share(0)
    0.9
    """

    decay: float = 0.999

    start = 0
    every = 1

    def __post_init__(self) -> None:
        if not 0 < self.decay < 1:
            raise UsageError(message("ema: decay must be in (0, 1), such as 0.999, got {decay}", decay=self.decay))

    def share(self, count: int) -> float:
        """1 - d."""
        return 1 - min(self.decay, (1 + count) / (10 + count))


@final
@dataclass(frozen=True, kw_only=True)
class Swa:
    """Evaluates the mean of the weights, taken from update `start` on at intervals of `every`, instead of the weights.

    Args:
        start: index of the first update whose weights are averaged, 0 or more.
        every: updates between two averaged ones, at least 1.

    Raises:
        UsageError: a value is out of range.

    >>> Swa(start=750, every=100).share(3)
    0.25
    """

    start: int = length("75%", least=0)
    every: int = length("1 epoch", least=1)

    def __post_init__(self) -> None:
        if self.start < 0:
            raise UsageError(message("swa: start must be 0 or more, got {start}", start=self.start))
        if self.every < 1:
            raise UsageError(message("swa: every must be at least 1 update, got {every}", every=self.every))

    def share(self, count: int) -> float:
        """1 / (n + 1)."""
        return 1 / (count + 1)


AVERAGES: Mapping[str, Entry[Average]] = {
    "ema": entry_of(Ema, "ema(decay=0.999)"),
    "swa": entry_of(Swa, "swa(start='75%', every='1 epoch')"),
}
"""Name -> average."""

for _name in AVERAGES:
    reserve(_name, "a weight average")
