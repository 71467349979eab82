"""Executors: where jobs run. One small protocol; inline and processes keep to it.

An executor gets jobs one at a time, up to `slots` in flight, and answers with outcomes. It never touches
the store: the coordinator alone writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from calando.engine.plan import Job
from calando.records import RangeRecord, RunRecord, TestScore, WorkloadSpec

if TYPE_CHECKING:
    from calando.workloads.workload import Workload

__all__ = ["Executor", "Failed", "Finished", "Lost", "OnProgress", "Outcome", "Progress", "Setup", "Stopped"]


@dataclass(frozen=True)
class Setup:
    """What a worker needs before its first job.

    Args:
        workload: the spec, loaded by each worker itself …
        given: … or the workload as the user's own object, pickled to it.
        data_dir: where the user says data lies.
        folder: the study's.
        threads: of each worker.
    """

    workload: WorkloadSpec
    given: Workload | None
    data_dir: Path | None
    folder: Path
    threads: int

    def load(self) -> Workload:
        """The workload: data in memory, network not yet built."""
        if self.given is not None:
            return self.given
        from calando.workloads.registry import load

        return load(self.workload, data_dir=self.data_dir)


@dataclass(frozen=True)
class Progress:
    """How far a job is; `slot` is the worker's number."""

    slot: int
    job: Job
    step: int
    lr: float
    loss: float


@dataclass(frozen=True)
class Finished:
    """A job's result: a record for `Train` and for `Find`, a score for `Look`."""

    job: Job
    result: RunRecord | RangeRecord | TestScore


@dataclass(frozen=True)
class Failed:
    """A job that cannot be done, and whose mistake it is; trying again would not help."""

    job: Job
    fault: Literal["user", "disk"]
    message: str


@dataclass(frozen=True)
class Stopped:
    """A job put away in its checkpoint because the executor was asked to stop."""

    job: Job


@dataclass(frozen=True)
class Lost:
    """A job whose worker died; it can be tried again."""

    job: Job
    reason: str


Outcome = Finished | Failed | Stopped | Lost
OnProgress = Callable[[Progress], None]


class Executor(Protocol):
    """A place where jobs run."""

    slots: int

    def submit(self, job: Job) -> None:
        """Take a job; at most `slots` may be in flight."""
        ...

    def poll(self, *, seconds: float) -> list[Outcome]:
        """Outcomes that came in, waiting up to `seconds` for the first; reports progress meanwhile."""
        ...

    def stop(self) -> list[Outcome]:
        """Put running jobs away in their checkpoints, end the workers, return what still came in. Idempotent."""
        ...
