"""Inline: jobs run one after another in this process; for debugging and for a single run."""

from __future__ import annotations

from calando.records.follower import Progress
from calando.study.executors import register
from calando.study.jobs import JobProgress, Lease, Left, OnProgress, Outcome
from calando.study.workers.messages import Setup

__all__ = ["InlineExecutor"]


@register("inline", pickles=False)
class InlineExecutor:
    """One slot, no worker process.

    Args:
        setup: the task, loaded at once.
        workers, address: one slot and this process, whatever is asked for.
        on_progress: called with each progress report.
    """

    slots = 1

    def __init__(self, setup: Setup, *, on_progress: OnProgress, workers: int = 1, address: str | None = None) -> None:
        del workers, address
        self._setup = setup
        self._on_progress = on_progress
        self._workload = setup.load()
        self._waiting: list[Lease] = []
        self._away = 0  # number of the lease that is to be put away

    def submit(self, lease: Lease) -> None:
        """Take the one job."""
        assert not self._waiting
        self._waiting.append(lease)

    def poll(self, *, seconds: float) -> list[Outcome]:
        """Do the waiting job, to its end."""
        from calando.study.perform_job import perform

        del seconds
        if not self._waiting:
            return []
        lease = self._waiting.pop()
        forks: list[Left] = []

        def report(progress: Progress) -> bool:
            self._on_progress(JobProgress(slot=0, lease=lease, now=progress))
            return self._away == lease.number

        outcome = perform(
            lease,
            self._workload,
            self._setup.folder,
            report=report,
            left=forks.append,
            threads=self._setup.threads,
        )
        return [*forks, outcome]

    def put_away(self, lease: Lease) -> None:
        """Have the job under way saved in its checkpoint, as `on_progress` may ask while it reports."""
        self._away = lease.number

    def stop(self) -> list[Outcome]:
        """Nothing runs between polls."""
        self._waiting.clear()
        return []
