"""How a tuning stands, as a person sees it: a line for each arm that ended, and one that is brought up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from calando.errors import plain
from calando.verbs.progress import ETA, Screen

if TYPE_CHECKING:
    from pathlib import Path

    from calando.study.tune import TuneStatus

__all__ = ["TuningProgress"]


class TuningProgress:
    """A listener that shows how a tuning stands; given another listener, that one hears it and nothing is shown."""

    def __init__(self, listen: Callable[[TuneStatus], None] | None = None) -> None:
        self._listen, self._screen = listen, Screen() if listen is None else None
        self._told, self._eta, self._headed = 0, ETA(), False
        self.folder: Path | None = None  # the tuning's, once it stands

    @classmethod
    def of(cls, listen: Callable[[TuneStatus], None] | None) -> TuningProgress:
        """Itself, where it is one already."""
        return listen if isinstance(listen, TuningProgress) else cls(listen)

    def __enter__(self) -> TuningProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._screen is not None:
            self._screen.stop()

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._screen is not None:
            self._screen.say(line)

    def __call__(self, status: TuneStatus) -> None:
        """Take the status."""
        self.folder = status.folder
        if self._listen is not None:
            self._listen(status)
            return
        assert self._screen is not None
        if not self._headed:
            self._headed = True
            for line in _heading(status):
                self._screen.say(line)
        for note in status.notes[self._told :]:
            self._screen.say(plain(note))
        self._told = len(status.notes)
        self._screen.show(lambda: _line(status, self._eta))


def _heading(status: TuneStatus) -> tuple[str, ...]:
    spec = status.spec
    schedule = spec.strategy.schedules["lr"]
    twice = f", charged as {spec.run_cost:.0f}" if spec.passes > 1 else ""
    most = f"everything at most {spec.budget * spec.run_cost:.0f} ({spec.budget:g} runs)"
    return (
        f"{spec.workload.title}{spec.workload.network}, {', '.join(spec.workload.facts)}",
        f"tuning {spec.strategy.method} | {schedule}: one run is {spec.steps} updates{twice}, {most}",
        f"on {status.machine or spec.lane.text}; folder: {status.folder}",
    )


def _line(status: TuneStatus, eta: ETA) -> str:
    spec = status.spec
    if status.looking:
        return "reading the test part with the final weights"
    if not status.running and not status.arms:
        return "starting"
    running = [f"{one.job.spec.lr:.3g}: step {one.step}, loss {one.loss:.3f}" for one in status.running.values()]
    made = (
        status.charged
        + sum(one.step - getattr(one.job, "start", one.step) for one in status.running.values()) * spec.passes
    )
    most = spec.budget * spec.run_cost
    at_most = max(0, round(most - made))
    stand = f"{len(status.arms)} rates raced; " if status.arms else ""
    left = eta.remaining(at_most, begun=bool(status.running))
    left = left if left == "unknown yet" else f"at most {left}"
    return f"{stand}{'; '.join([f'{made:.0f} of at most {most:.0f} updates', *running])}  ETA {left}"
