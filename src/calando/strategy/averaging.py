"""A weight average, bound to a horizon: which updates are averaged, and how. Numbers only.

ema    every update,                              a <- decay * a + (1 - decay) * w
swa    update `start` and each `every`-th after,  a <- mean of those w

Sources: Polyak & Juditsky 1992; Izmailov et al. 2018, "Averaging weights leads to wider optima" (SWA).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from calando.errors import UsageError

__all__ = ["Average"]


@dataclass(frozen=True, kw_only=True)
class Average:
    """What a run averages.

    Args:
        kind: "ema" or "swa".
        decay: of an ema, in (0, 1); an swa has none, 0.
        start: index of the first update averaged, 0 or more.
        every: updates between two that are averaged, at least 1.

    Raises:
        UsageError: a value outside its range.

    >>> Average(kind="ema", decay=0.999)
    Average(kind='ema', decay=0.999, start=0, every=1)
    """

    kind: Literal["ema", "swa"]
    decay: float = 0.0
    start: int = 0
    every: int = 1

    def __post_init__(self) -> None:
        if self.kind == "ema" and not 0 < self.decay < 1:
            raise UsageError(f"ema: decay must be in (0, 1), such as 0.999, got {self.decay}")
        if self.start < 0:
            raise UsageError(f"{self.kind}: start must be 0 or more, got {self.start}")
        if self.every < 1:
            raise UsageError(f"{self.kind}: every must be at least 1 update, got {self.every}")
