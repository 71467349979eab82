"""Runs by the API of W&B, which trackio has too: `init` gives a run, with `log` and `finish`."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import Any, Protocol, final

from calando.loops.trackers import Point, Tracked, TrackedRun

__all__ = ["ApiRun", "WandbRuns"]


class ApiRun(Protocol):
    """What `init` gives, in one form for both."""

    def log(self, step: int, numbers: Any) -> None:
        """Numbers of a step."""
        ...

    def finish(self, outcome: str) -> None:
        """Nothing comes after it; "" where it may go on."""
        ...


@final
class WandbRuns:
    """A tracker of that API.

    Args:
        start: makes a run, or goes on with it; of what is there already `drop` disposes.
    """

    def __init__(
        self, tracked: Tracked, *, start: Callable[[Tracked, TrackedRun], ApiRun], drop: Callable[[TrackedRun], None]
    ) -> None:
        self.tracked, self._start, self._drop = tracked, start, drop
        self.runs: dict[str, ApiRun] = {}

    def begin(self, run: TrackedRun, *, since: int | None) -> None:
        """By the run's own name, so that what is begun twice is one run."""
        if since is None:
            self._drop(run)
        self.runs[run.key] = self._made(run)

    def points(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """A row each."""
        for step, numbers in points:
            self.runs[run.key].log(step, dict(numbers))

    def end(self, run: TrackedRun, outcome: str) -> None:
        """It is over."""
        self.runs.pop(run.key).finish(outcome)

    def leave(self, run: TrackedRun) -> None:
        """It may go on."""
        self.runs.pop(run.key).finish("")

    def late(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """It goes on for a moment."""
        made = self._made(run)
        for step, numbers in points:
            made.log(step, dict(numbers))
        made.finish("")

    def close(self) -> None:
        """Whoever is still running is not any more."""
        for made in self.runs.values():
            made.finish("")
        self.runs.clear()

    def _made(self, run: TrackedRun) -> ApiRun:
        # Both packages know one current run, which is finished when another begins in the same context.
        return contextvars.copy_context().run(self._start, self.tracked, run)
