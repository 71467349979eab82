"""What passes between the scheduler and its workers: jobs, leases on them, and what comes of a lease.

Job        Find, Train, TrainPiece or TestLook; Look, at a person's own training code
Lease      a job given to one worker, by a number that is never used twice
on the way JobProgress; Left, a checkpoint from which other runs start
at its end Finished, Failed, Stopped or Lost: one for each lease
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from calando.language import message
from calando.loops.run_channel import Assignment
from calando.records import RunSpec
from calando.records.follower import Progress
from calando.study.stages import Fork

__all__ = [
    "Failed",
    "Find",
    "Finished",
    "Job",
    "JobProgress",
    "Lease",
    "Left",
    "Look",
    "Lost",
    "OnProgress",
    "Outcome",
    "Stopped",
    "TestLook",
    "Train",
    "TrainPiece",
]


@dataclass(frozen=True)
class Find:
    """Make the range test for this run."""

    spec: RunSpec


@dataclass(frozen=True)
class Train:
    """Make this run.

    Args:
        origin: where to start, if the run has no checkpoint of its own; None: from the beginning.
        leaves: where other runs will start; ascending in step.
        spares: leave some more, for runs that may be added later.
    """

    spec: RunSpec
    origin: Fork | None = None
    leaves: tuple[Fork, ...] = ()
    spares: bool = False


@dataclass(frozen=True)
class TrainPiece:
    """Make a run's next stage, up to update `until`, and put it away there.

    Args:
        start: how far the run is; where it starts from another's checkpoint, that one's update.
        origin: the other's checkpoint, as long as the run has none of its own; None: from the beginning.
        leave: leave a checkpoint at `until` for runs that may start there.
    """

    spec: RunSpec
    start: int
    until: int
    origin: Fork | None = None
    leave: bool = False


@dataclass(frozen=True)
class TestLook:
    """Read the test part with the final weights of this run; a diverged run has none and scores chance."""

    __test__ = False  # pytest takes what begins with Test for a test

    spec: RunSpec
    diverged: bool


@dataclass(frozen=True)
class Look:
    """See what a person's own training code says of itself in its first updates; before there is a study."""

    spec: RunSpec
    asked: Assignment


Job = Find | Train | TrainPiece | TestLook | Look


@dataclass(frozen=True)
class Lease:
    """A job given to a worker."""

    number: int
    job: Job


@dataclass(frozen=True)
class JobProgress:
    """How far a job is; `slot` is the worker's number."""

    slot: int
    lease: Lease
    now: Progress

    @property
    def job(self) -> Job:
        """What is done."""
        return self.lease.job


@dataclass(frozen=True)
class Left:
    """A fork is on disk, where others can start from it; the job goes on."""

    lease: Lease
    fork: Fork


@dataclass(frozen=True)
class Finished:
    """A job's result: a record for `Train` and `Find`, a `Piece`, a score for `TestLook`, what was seen for `Look`."""

    lease: Lease
    result: Any


@dataclass(frozen=True)
class Failed:
    """A job that cannot be done, and whose fault it is; trying again would not help.

    Args:
        printed: the last lines of what a person's own code printed.
    """

    lease: Lease
    fault: Literal["user", "disk"]
    message: str
    printed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stopped:
    """A job saved in its checkpoint because the executor was asked to stop."""

    lease: Lease


@dataclass(frozen=True)
class Lost:
    """A job whose worker died; it can be tried again."""

    lease: Lease
    reason: str

    @property
    def remedy(self) -> str:
        """What helps where it happens again and again."""
        if "exited with status" in self.reason:
            return message(
                'its own code ends the process: see what it printed, or train in this process (executor="inline")'
            )
        if "no sign of life" in self.reason:
            return message(
                'find what stops its process, try fewer --workers, or train in this process (executor="inline")'
            )
        return message("try fewer --workers or a smaller --batch-size")


Outcome = Left | Finished | Failed | Stopped | Lost
OnProgress = Callable[[JobProgress], None]
