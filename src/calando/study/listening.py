"""What whoever makes a single run, or a range test for one, reports as it goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from calando.language import message
from calando.records import Centre, RunSpec
from calando.records.follower import Followers, Progress
from calando.standing import ETA, Standing
from calando.study.standing import run_standing
from calando.tasks.workload import Workload

__all__ = ["Listening", "RunStatus"]


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """How a single run stands, or the range test for it."""

    run: RunSpec  # until its rate is found, at the method's usual one
    notes: tuple[str, ...]  # how the data were read, and what is doubtful about them
    step: int  # updates made
    steps: int  # updates expected
    lr: float | None = None  # of the last update; None before the first one, and during a range test
    loss: float | None = None
    centre: Centre | None = None  # what the range test before the run found
    folder: Path | None = None  # the run's; None for a range test alone
    machine: str = ""  # device, precision and threads, with what decided those that nobody asked for


class Listening:
    """Who listens to a run, and what its statuses have in common; where nobody listens, notes go to standard error."""

    def __init__(
        self,
        run: RunSpec,
        task: Workload,
        listen: Callable[[RunStatus], None] | None,
        *,
        folder: Path | None = None,
        machine: str = "",
        steps: int | None = None,
    ) -> None:
        self.followers, self._began, self._eta = Followers(), False, ETA()
        self.run, self.folder, self.listen, self.machine = run, folder, listen, machine
        self.steps = run.steps if steps is None else steps  # updates that will be made
        self.notes = (*task.notes, *task.doubts, *task.cautions)
        self.centre: Centre | None = None
        self._last: Progress | None = None
        self._waiting: Standing | None = None

    def goes_on_with(self, run: RunSpec) -> None:
        """What is trained next: the run, or a branch of it."""
        self.run, self.steps, self._began, self._waiting = run, run.steps, False, None

    def waits(self, note: str) -> None:
        """All that is left is paused; called as long as it is, so that whoever follows writes that down."""
        if self._waiting is None:
            self.noted(note)
            step = 0
            if self._last is not None:
                step = self._last.step
                self._tell(step, self.steps, lr=self._last.lr, loss=self._last.loss)
            self._waiting = Standing(
                message("paused at step {step} of {steps}", step=step, steps=self.steps), step, self.steps
            )
        self.followers.stands(self._waiting)

    def noted(self, note: str) -> None:
        """Something that happens on the way."""
        self.notes += (note,)
        self.followers.noted(note)
        if self.listen is None:
            print(note, file=sys.stderr)

    def begin(self) -> None:
        """The data have been read; nothing has been trained on them."""
        for note in self.notes:
            self.followers.noted(note)
        self._tell(0, self.steps)
        if self.listen is None:
            for note in (*self.notes, *([f"on {self.machine}"] if self.machine else [])):
                print(note, file=sys.stderr)

    def measured(self, made: int, expected: int) -> None:
        """Updates of a range test."""
        self._tell(made, expected)

    def trained(self, now: Progress) -> None:
        """Updates of the run."""
        if not self._began:
            self._began, self._eta = True, ETA()
            self.followers.began(self.run, 0)
        self._last = now
        self.followers.progressed(self.run, now)
        self._tell(now.step, self.steps, lr=now.lr, loss=now.loss)

    def _tell(self, step: int, steps: int, *, lr: float | None = None, loss: float | None = None) -> None:
        now = RunStatus(run=self.run, notes=self.notes, step=step, steps=steps, lr=lr, loss=loss)
        self.followers.stands(run_standing(now, self._eta))
        if self.listen is not None:
            self.listen(replace(now, centre=self.centre, folder=self.folder, machine=self.machine))
