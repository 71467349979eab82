"""Executors: where jobs run. One small protocol; inline, processes and Ray keep to it.

    submit(lease)     a job, leased to a worker: at most `slots` leases are out at a time
    poll()            what came of them: forks left on the way, and one last word for each lease
    a lease ends      with Finished, Failed, Stopped or Lost

A worker is heard of at least every BEAT_SECONDS, whatever it does; one that is not heard of for SILENT_SECONDS is
taken for dead and ended, and its lease is Lost. What a lease that is over still says is not listened to: the
coordinator knows which are out by their numbers, so a worker that comes back from the dead cannot report.
An executor never touches the store: the coordinator alone writes.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from calando.controllers import CONTROLLERS
from calando.errors import UsageError
from calando.methods import METHODS
from calando.records import RangeRecord, RunRecord, TestScore, WorkloadSpec
from calando.registry import Registry
from calando.schedules import SCHEDULES
from calando.schedules.function import bring_functions
from calando.study.jobs import Job
from calando.study.stages import Fork

if TYPE_CHECKING:
    from calando.tasks.workload import Workload

__all__ = [
    "BEAT_SECONDS",
    "REGISTRIES",
    "SILENT_SECONDS",
    "Executor",
    "Failed",
    "Finished",
    "Lease",
    "Left",
    "Lost",
    "OnProgress",
    "Outcome",
    "Progress",
    "Setup",
    "Stopped",
]

REGISTRIES: Mapping[str, Registry[Any]] = {registry.kind: registry for registry in (SCHEDULES, CONTROLLERS, METHODS)}
"""Kind -> what a person may have registered in the process that a study is started from."""

BEAT_SECONDS = 2.0
SILENT_SECONDS = 60.0


@dataclass(frozen=True)
class Setup:
    """What a worker needs before its first job.

    Args:
        workload: the spec, loaded by each worker itself …
        given: … or the workload as the user's own object, pickled to it.
        data_dir: where the user says data lies.
        folder: the study's, on a path that the coordinator sees.
        threads: of each worker.
        fingerprint: of the coordinator's data, which the worker's must have; "": any.
        identity: what the coordinator's network and loss are, which the worker's must be; "": any.
        functions: those that the strategies' texts name and this process has registered (`named_function`).
        entries: likewise the schedules, controllers and methods: kind -> name -> (entry, where it was defined).
    """

    workload: WorkloadSpec
    given: Workload | None
    data_dir: Path | None
    folder: Path
    threads: int
    fingerprint: str = ""
    identity: str = ""
    functions: Mapping[str, Callable[[float], float]] = field(default_factory=dict)
    entries: Mapping[str, Mapping[str, tuple[Any, str]]] = field(default_factory=dict)

    def load(self) -> Workload:
        """The workload: data in memory, network not yet built.

        Raises:
            UsageError: it cannot be loaded here, or data, network or loss are others than the coordinator's.
        """
        bring_functions(self.functions)
        for kind, entries in self.entries.items():
            REGISTRIES[kind].bring(entries)
        workload = self._loaded() if self.given is None else self.given
        if self.identity:
            from calando.training.identity import check_same

            check_same(self.identity, workload, where=platform.node())
        return workload

    def _loaded(self) -> Workload:
        from calando.tasks.assemble import load

        workload = load(self.workload, data_dir=self.data_dir)
        if self.fingerprint not in ("", workload.fingerprint):
            raise UsageError(
                f"the data of {self.workload.data!r} on {platform.node()} are others than where the study was started: "
                "bring them up to date there, or, if they are drawn at random, draw the same each time"
            )
        return workload


@dataclass(frozen=True)
class Lease:
    """A job given to a worker; the number is the coordinator's and never used twice."""

    number: int
    job: Job


@dataclass(frozen=True)
class Progress:
    """How far a job is; `slot` is the worker's number."""

    slot: int
    lease: Lease
    step: int
    lr: float
    loss: float

    @property
    def job(self) -> Job:
        """What is done."""
        return self.lease.job


@dataclass(frozen=True)
class Left:
    """A fork now lies where others can start from it; the job goes on."""

    lease: Lease
    fork: Fork


@dataclass(frozen=True)
class Finished:
    """A job's result: a record for `Train` and for `Find`, a score for `Look`."""

    lease: Lease
    result: RunRecord | RangeRecord | TestScore


@dataclass(frozen=True)
class Failed:
    """A job that cannot be done, and whose mistake it is; trying again would not help."""

    lease: Lease
    fault: Literal["user", "disk"]
    message: str


@dataclass(frozen=True)
class Stopped:
    """A job put away in its checkpoint because the executor was asked to stop."""

    lease: Lease


@dataclass(frozen=True)
class Lost:
    """A job whose worker died; it can be tried again."""

    lease: Lease
    reason: str


Outcome = Left | Finished | Failed | Stopped | Lost
OnProgress = Callable[[Progress], None]


class Executor(Protocol):
    """A place where jobs run."""

    slots: int

    def submit(self, lease: Lease) -> None:
        """Take a job; at most `slots` may be out."""
        ...

    def poll(self, *, seconds: float) -> list[Outcome]:
        """What came in, waiting up to `seconds` for the first; reports progress meanwhile."""
        ...

    def stop(self) -> list[Outcome]:
        """Put running jobs away in their checkpoints, end the workers, return what still came in. Idempotent."""
        ...
