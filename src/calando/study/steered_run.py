"""A single run in this process, and the branches that commands make of it, one after another.

what is trained next    the newest branch that does not rest, else the run itself where it does not
the answer              the run that was asked for, or, where it was left for a branch, that branch, and so on
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import final

from calando.errors import StudyStopped
from calando.language import message
from calando.records import RunRecord, RunSpec, TestScore
from calando.records.follower import Progress
from calando.study.jobs import Failed, Finished, Lease, Left, Outcome, Stopped, TestLook
from calando.study.listening import Listening
from calando.study.perform_job import failure, perform
from calando.study.steering import Steering
from calando.tasks.workload import Workload

__all__ = ["SteeredRun"]

POLL_SECONDS = 0.2
STOPPED = message("stopped by command; the command that started it goes on from there")


@final
class SteeredRun:
    """The coordinator of one run; what commands see of it is `Steered`.

    Args:
        run: as it was asked for.
        folder: the run's; nobody else trains there.
        listening: who hears of it.
    """

    def __init__(self, run: RunSpec, task: Workload, folder: Path, listening: Listening) -> None:
        self.run, self._task, self._folder, self._listening = run, task, folder, listening
        self._made: dict[str, RunRecord] = {}
        self._now: tuple[RunSpec, int] | None = None
        self._away = self._stopped = False
        self.steering = Steering(folder, self)

    def train(self) -> tuple[RunRecord, TestScore]:
        """Train until nothing is left that does not rest, and look at the test part with the answer's weights.

        Raises:
            StudyStopped: by command; or all that is left rests.
            KeyboardInterrupt: after what was under way was saved.
        """
        with _interrupt_kept() as pressed:
            try:
                self.steering.begin()
                while (spec := self._next(pressed)) is not None:
                    report = self._report(pressed)
                    self._take(spec, perform(self._job(spec), self._task, self._folder, report=report, left=_ignore))
                    if self._stopped:
                        raise StudyStopped(STOPPED)
                    if pressed:
                        raise KeyboardInterrupt
                if self._answer not in self._made:
                    raise StudyStopped(
                        message(
                            "the run rests by command; `calando steer {folder} resume`, then the same command again",
                            folder=self._folder,
                        )
                    )
            finally:
                self.steering.close()
        record = self._made[self._answer]
        look = TestLook(record.spec, diverged=record.outcome == "diverged")
        found = perform(Lease(0, look), self._task, self._folder, report=lambda _: False, left=_ignore)
        if isinstance(found, Failed):
            raise failure(found)
        assert isinstance(found, Finished)
        test: TestScore = found.result
        self._listening.followers.tested(record.spec, test)
        return record, test

    # As `Steered`

    def in_progress(self) -> Mapping[str, tuple[RunSpec, int]]:
        """The one."""
        return {} if self._now is None else {self._now[0].digest(): self._now}

    def all_runs(self) -> Mapping[str, RunSpec]:
        """It and its branches."""
        return {self.run.digest(): self.run, **{digest: one.spec for digest, one in self.steering.branches.items()}}

    def is_made(self, digest: str) -> bool:
        """In this process: what ended in an earlier one is there again at once."""
        return digest in self._made

    def put_away(self, digest: str) -> bool:
        """At the report under way."""
        self._away = True
        return True

    def unknown_to_workers(self, spec: RunSpec) -> list[str]:
        """Nothing: it is trained in this process."""
        return []

    def changed(self) -> None:
        """What comes next is looked up each time."""

    def tell(self, note: str) -> None:
        """To whoever listens."""
        self._listening.noted(note)

    # What is trained

    @property
    def _answer(self) -> str:
        head = self.run.digest()
        left = {one.parent: digest for digest, one in self.steering.branches.items()}
        while self.steering.resting.get(head) == "left" and head in left:
            head = left.pop(head)
        return head

    def _next(self, pressed: list[int]) -> RunSpec | None:
        """The run to train now, waited for where all that is left is paused."""
        while True:
            open_ones = [one for one in self.all_runs().values() if one.digest() not in self._made]
            going = [one for one in open_ones if one.digest() not in self.steering.resting]
            if going:
                return going[-1]
            if not self.steering.pauses or not open_ones:
                return None
            if pressed:
                raise KeyboardInterrupt
            self._listening.waits(
                message(
                    "{name}, seed {seed}, is paused; `calando steer {folder} resume` lets it go on",
                    name=open_ones[-1].strategy.name,
                    seed=open_ones[-1].seed,
                    folder=self._folder,
                )
            )
            time.sleep(POLL_SECONDS)
            if self.steering.look(at_once=True):
                raise StudyStopped(STOPPED)

    def _job(self, spec: RunSpec) -> Lease:
        self._listening.goes_on_with(spec)
        self._now, self._away = (spec, 0), False
        return Lease(0, self.steering.job_of(spec))

    def _take(self, spec: RunSpec, outcome: Outcome) -> None:
        """What came of it; a command that had it put away is carried out now."""
        step = 0 if self._now is None else self._now[1]
        self._now = None
        match outcome:
            case Failed():
                raise failure(outcome)
            case Finished(result=RunRecord() as record):
                self._made[spec.digest()] = record
                self._listening.followers.ended(record)
                self.steering.has_ended(spec.digest())
            case Stopped():
                self._listening.followers.left(spec)
                self.steering.was_put_away(spec, step=step)

    def _report(self, pressed: list[int]) -> Callable[[Progress], bool]:
        def report(progress: Progress) -> bool:
            assert self._now is not None
            if self._now[1] == 0:
                self.steering.began(self._now[0].digest())
            self._now = self._now[0], progress.step
            self._listening.trained(progress)
            self._stopped = self._stopped or self.steering.look()
            return bool(pressed) or self._away or self._stopped

        return report


def _ignore(left: Left) -> None:
    """Nobody waits for forks."""


@contextmanager
def _interrupt_kept() -> Iterator[list[int]]:
    """Ctrl-C is kept back to the next report, so that the run is put away between two updates.

    Pressed twice, it is obeyed at once: the next report is too far off (a slow step, a long evaluation).
    """
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield pressed
        return

    def press(number: int, _: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
