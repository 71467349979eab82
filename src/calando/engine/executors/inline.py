"""Inline: jobs run one after another in this process; for debugging and for a single run."""

from __future__ import annotations

from calando.engine.executors.base import OnProgress, Outcome, Progress, Setup
from calando.engine.plan import Job
from calando.engine.work import perform

__all__ = ["InlineExecutor"]


class InlineExecutor:
    """One slot, no worker process."""

    slots = 1

    def __init__(self, setup: Setup, *, on_progress: OnProgress) -> None:
        self._setup = setup
        self._on_progress = on_progress
        self._workload = setup.load()
        self._waiting: list[Job] = []

    def submit(self, job: Job) -> None:
        """Take the one job."""
        assert not self._waiting
        self._waiting.append(job)

    def poll(self, *, seconds: float) -> list[Outcome]:
        """Do the waiting job, to its end."""
        del seconds
        if not self._waiting:
            return []
        job = self._waiting.pop()

        def report(step: int, lr: float, loss: float) -> bool:
            self._on_progress(Progress(slot=0, job=job, step=step, lr=lr, loss=loss))
            return False

        return [perform(job, self._workload, self._setup.folder, report=report)]

    def stop(self) -> list[Outcome]:
        """Nothing runs between polls."""
        self._waiting.clear()
        return []
