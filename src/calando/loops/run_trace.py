"""What a run has done and reported so far: rates and losses of its updates, scores, events, time.

A checkpoint holds it (`document`, `take`), and at the end it is the run's result (`result`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any, final

import numpy as np

from calando.loops.run_result import Look, RunResult
from calando.records.spec import Lane
from calando.training.lane import describe_host

__all__ = ["LARGEST", "Trace"]

LARGEST = 1e150
"""A score beyond it counts as infinite: the square of a difference would be."""


@final
class Trace:
    """A run's record while it runs; `diverged` says why it did, or is ""."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.looks: list[Look] = []
        self.test: float | None = None
        self.diverged = ""
        self._events: list[tuple[int, str, str]] = []
        self._began, self._carried = time.monotonic(), 0.0  # the time before a kill

    @property
    def seconds(self) -> float:
        """Of this run, those before a kill included."""
        return self._carried + time.monotonic() - self._began

    def update(self, step: int, rate: float) -> bool:
        """Take in that `step` updates are made, the last one at `rate`; False where a gradient scaler skipped it."""
        if step <= len(self.rates):
            return False
        self.rates.append(rate)
        self.losses.append(math.nan)
        return True

    def loss(self, value: float) -> None:
        """Take in the training loss of the last update."""
        if self.losses:
            self.losses[-1] = value

    def look(self, look: Look) -> None:
        """Take in what was reported; of one step the last report counts."""
        if self.looks and self.looks[-1].step == look.step:
            self.looks.pop()
        self.looks.append(look)

    def note(self, step: int, events: Iterable[str]) -> None:
        """Take in what controllers did after `step` updates."""
        self._events += [(max(0, step - 1), "controller", text) for text in events]

    def document(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "rates": np.array(self.rates, np.float64),
            "losses": np.array(self.losses, np.float32),
            "looks": [[look.step, look.score, look.loss, look.others] for look in self.looks],
            "events": [list(event) for event in self._events],
            "seconds": self.seconds,
        }

    def take(self, document: Mapping[str, Any]) -> None:
        """Go on from what `document` gave."""
        self.rates, self.losses = document["rates"].tolist(), document["losses"].tolist()
        self.looks = [Look(*look) for look in document["looks"]]
        self._events, self._carried = [tuple(event) for event in document["events"]], document["seconds"]

    def result(self, *, step: int, second_passes: int) -> RunResult:
        """What the study is left."""
        events = list(self._events)
        if self.diverged:
            events.append((max(0, step - 1), "diverged", self.diverged))
        return RunResult(
            outcome="diverged" if self.diverged else "finished",
            steps_done=step,
            looks=tuple(self.looks),
            test=self.test,
            events=tuple(events),
            second_passes=second_passes,
            seconds=self.seconds,
            host=describe_host(Lane()),
            rates=np.array(self.rates, np.float64),
            losses=np.array(self.losses, np.float32),
        )
