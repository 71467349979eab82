"""Inline: jobs run one after another in this process; for debugging and for a single run."""

from __future__ import annotations

from calando.study.executors.base import Lease, Left, OnProgress, Outcome, Progress, Setup
from calando.study.work import perform

__all__ = ["InlineExecutor"]


class InlineExecutor:
    """One slot, no worker process."""

    slots = 1

    def __init__(self, setup: Setup, *, on_progress: OnProgress) -> None:
        self._setup = setup
        self._on_progress = on_progress
        self._workload = setup.load()
        self._waiting: list[Lease] = []

    def submit(self, lease: Lease) -> None:
        """Take the one job."""
        assert not self._waiting
        self._waiting.append(lease)

    def poll(self, *, seconds: float) -> list[Outcome]:
        """Do the waiting job, to its end."""
        del seconds
        if not self._waiting:
            return []
        lease = self._waiting.pop()
        forks: list[Left] = []

        def report(step: int, lr: float, loss: float) -> bool:
            self._on_progress(Progress(slot=0, lease=lease, step=step, lr=lr, loss=loss))
            return False

        outcome = perform(lease, self._workload, self._setup.folder, report=report, left=forks.append)
        return [*forks, outcome]

    def stop(self) -> list[Outcome]:
        """Nothing runs between polls."""
        self._waiting.clear()
        return []
