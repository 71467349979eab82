"""Messages between a worker and who started it, next to those on leases in `jobs`.

    worker          is given its Setup at its start, PutAway; says Beat, Refused
    remote worker   is given its WorkerSettings, and passes them on to its process; says Ready, Reported, Ended

Needs no torch: a remote worker starts at once.
"""

from __future__ import annotations

import importlib.metadata
import platform
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calando.controllers import CONTROLLERS
from calando.errors import UsageError
from calando.language import message
from calando.methods import METHODS
from calando.registry import Registry, own_entries
from calando.schedules import SCHEDULES
from calando.schedules.function import bring_functions, functions_named
from calando.study.jobs import JobProgress, Outcome
from calando.study.workers.checkpoint_transfer import Transfer

if TYPE_CHECKING:
    from calando.records import OwnTrainingSpec, WorkloadSpec
    from calando.study.own_training import OwnTraining
    from calando.tasks.workload import Workload

__all__ = [
    "REGISTRIES",
    "Beat",
    "Ended",
    "Message",
    "PutAway",
    "Ready",
    "Refused",
    "Reported",
    "Setup",
    "WorkerSettings",
    "how_it_ended",
    "names_of_own",
    "silent_for",
    "versions",
]

REGISTRIES: Mapping[str, Registry[Any]] = {registry.kind: registry for registry in (SCHEDULES, CONTROLLERS, METHODS)}
"""Kind -> what a person may have registered in the process that a study is started from."""


@dataclass(frozen=True)
class Setup:
    """What a worker needs before its first job."""

    task: WorkloadSpec | OwnTrainingSpec  # which each worker loads itself …
    given: Workload | OwnTraining | None  # … or the user's own object, pickled
    data_dir: Path | None  # where the user says the data are
    folder: Path  # the study's, as the scheduler sees it
    threads: int  # of each worker
    device: str = "cpu"  # or "cuda", "cuda:1"
    # Of the data, and of network and loss, in the scheduler's process, which the worker's must equal; "": any.
    fingerprint: str = ""
    identity: str = ""
    # What the strategies' texts name and the scheduler's process has registered: functions by name (`named_function`),
    # schedules, controllers and methods by kind and name, each with where it was defined.
    functions: Mapping[str, Callable[[float], float]] = field(default_factory=dict)
    entries: Mapping[str, Mapping[str, tuple[Any, str]]] = field(default_factory=dict)

    @property
    def one_run_each(self) -> bool:
        """Whether each run is to have a process of its own: a person's function leaves what it likes in its own."""
        return getattr(self.given, "function", None) is not None

    def load(self) -> Workload | OwnTraining:
        """The task: data in memory, network not yet built.

        Raises:
            UsageError: it cannot be loaded here, or its data, network or loss differ from the scheduler's.
        """
        bring_functions(self.functions)
        for kind, entries in self.entries.items():
            REGISTRIES[kind].bring(entries)
        task = self._loaded() if self.given is None else self.given
        if self.identity:
            from calando.tasks.workload import Workload
            from calando.training.identity import check_same

            assert isinstance(task, Workload)

            check_same(self.identity, task, where=platform.node())
        return task

    def _loaded(self) -> Workload:
        from calando.records import WorkloadSpec
        from calando.tasks.load_task import load

        assert isinstance(self.task, WorkloadSpec), "a person's own code is given as it is"
        task = load(self.task, data_dir=self.data_dir)
        if self.fingerprint not in ("", task.fingerprint):
            raise UsageError(
                message(
                    "the data of {data!r} on {node} differ from those where the study was started: bring them up "
                    "to date there, or, if they are drawn at random, draw the same each time",
                    data=self.task.data,
                    node=platform.node(),
                )
            )
        return task


@dataclass(frozen=True)
class Beat:
    """A worker is alive."""


@dataclass(frozen=True)
class PutAway:
    """To a worker: save the job of this lease in its checkpoint; passed over where it has ended."""

    number: int


@dataclass(frozen=True)
class Refused:
    """The task could not be loaded in the worker."""

    message: str


@dataclass(frozen=True)
class WorkerSettings:
    """What every remote worker of a study is given at its start."""

    folder: Path  # the study's, on the scheduler's machine; for the process, the one that it works in
    token: tuple[Path, str] | None  # a file there and its content: who reads it sees the folder. None: do not use it
    directory: Path  # where the scheduler runs; the worker runs there too, if its machine has that folder
    paths: tuple[str, ...]  # what the scheduler's process imports from, in addition to what is installed
    threads: int  # of each worker
    beat_seconds: float  # between two of a worker's beats


@dataclass(frozen=True)
class Ready:
    """The remote worker is there; its process, which may take long to load its data, is starting."""

    host: str  # name of the machine
    process_id: int  # of the worker's process, on it
    shared: bool  # whether the study's folder can be seen from it
    versions: Mapping[str, str]  # of what decides the numbers


@dataclass(frozen=True)
class Reported:
    """An outcome, with what must be in the study's folder before the scheduler hears of it."""

    outcome: Outcome
    transfer: Transfer | None = None


@dataclass(frozen=True)
class Ended:
    """The worker's process has ended."""

    reason: str


Message = Ready | Reported | JobProgress | Refused | Ended


def how_it_ended(status: int | None) -> str:
    """A process's exit status in words; negative: the signal that ended it.

    >>> how_it_ended(-9), how_it_ended(1)
    ('killed by SIGKILL (out of memory?)', 'exited with status 1')
    """
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return message("killed by {name} (out of memory?)" if name == "SIGKILL" else "killed by {name}", name=name)
    return message("exited with status {status}", status=status)


def silent_for(seconds: float) -> str:
    """Why a worker that was silent for so long is given up.

    >>> silent_for(60.0)
    'no sign of life for 60 s: stopped, or its machine is overloaded'
    """
    return message("no sign of life for {seconds:g} s: stopped, or its machine is overloaded", seconds=seconds)


def versions() -> dict[str, str]:
    """Of what decides the numbers on this machine; "" for what is found on a path without being installed.

    >>> sorted(versions())
    ['calando', 'python', 'torch']
    """
    found = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for name in ("calando", "torch"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ""
    return found


def names_of_own(text: str) -> frozenset[str]:
    """The registered functions and entries of the user's own that a text names: workers must be given them."""
    own = own_entries(text, REGISTRIES).values()
    return frozenset(functions_named(text)).union(*own)
