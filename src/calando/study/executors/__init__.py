"""Executors: where jobs run. One small protocol; each file of this folder holds the executor of its name.

    submit(lease)     a job, leased to a worker: at most `slots` leases are out at a time
    poll()            what came of them: forks left on the way, and one outcome that ends each lease
    put_away(lease)   that job alone is saved in its checkpoint, and reported Stopped; one that lacks it cannot steer
    stop()            running jobs are saved in their checkpoints, workers end

A worker reports at least every BEAT_SECONDS, whatever it does. One that is silent for SILENT_SECONDS counts as dead: it
is killed, and its lease is Lost. The scheduler knows by number which leases are out, and ignores what any other
reports, so a worker that was given up cannot change a result.
An executor never touches the store: the scheduler alone writes to it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from calando.errors import UnknownName, UsageError, quote
from calando.language import message
from calando.registry import Registry, home_of

if TYPE_CHECKING:
    from calando.study.jobs import Lease, OnProgress, Outcome
    from calando.study.workers.messages import Setup

__all__ = [
    "BEAT_SECONDS",
    "EXECUTORS",
    "SILENT_SECONDS",
    "Executor",
    "ExecutorEntry",
    "MakeExecutor",
    "executor_names",
    "find_executor",
    "register",
]

BEAT_SECONDS = 2.0
SILENT_SECONDS = 60.0


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
        """Save running jobs in their checkpoints, end the workers, return what still came in. Idempotent."""
        ...


class MakeExecutor(Protocol):
    """What builds an executor: its class, or a function."""

    def __call__(self, setup: Setup, *, workers: int, on_progress: OnProgress, address: str | None) -> Executor:
        """An executor with its workers started.

        Args:
            setup: what each worker loads.
            workers: how many.
            on_progress: called in this process with each progress report.
            address: where workers are, for an executor that is elsewhere; as `calando compare --address` gave it.
        """
        ...


@dataclass(frozen=True)
class ExecutorEntry:
    """An executor and what must be known of it before it is built.

    Args:
        make: builds it.
        pickles: whether tasks, functions and entries are pickled on their way to its workers, so that what cannot be is
            refused before a study is begun.
        prepare: called first of all, before torch is imported: for what can start meanwhile. None: nothing.
    """

    make: MakeExecutor
    pickles: bool = True
    prepare: Callable[[], None] | None = None


Maker = TypeVar("Maker", bound=MakeExecutor)


def register(name: str, *, pickles: bool = True, prepare: Callable[[], None] | None = None) -> Callable[[Maker], Maker]:
    """Register an executor, so that `executor="NAME"` runs jobs in it; a decorator for a class or function.

    Args:
        name: what it is called.
        pickles, prepare: see `ExecutorEntry`.

    Raises:
        UsageError: a name that is taken or is none; what is registered cannot be called.

    >>> from calando.study.executors.inline import InlineExecutor
    >>> class Quiet(InlineExecutor):
    ...     '''Reports no progress.'''
    ...     def __init__(self, setup, *, workers, on_progress, address):
    ...         super().__init__(setup, workers=1, on_progress=lambda progress: None)
    >>> made = register("quiet", pickles=False)(Quiet)
    >>> find_executor("quiet").pickles
    False
    >>> EXECUTORS.remove("quiet")
    """

    def registered(make: Maker) -> Maker:
        if not callable(make):
            raise UsageError(
                message("an executor is registered as a class or function that builds it, got {make}", make=quote(make))
            )
        home = home_of(make)
        if not home.startswith("calando."):
            _load_ours(name)
        EXECUTORS.add(name, ExecutorEntry(make, pickles=pickles, prepare=prepare), home=home)
        return make

    return registered


def _join(name: str, found: object) -> None:
    if isinstance(found, ExecutorEntry):
        EXECUTORS.add(name, found, home=home_of(found.make))
    else:
        register(name)(found)  # type: ignore[type-var]  # refused there where it cannot be called


EXECUTORS: Registry[ExecutorEntry] = Registry("executor", join=_join, in_texts=False)
"""Name -> executor, of those that have been looked up or registered."""


def executor_names() -> list[str]:
    """The names of all executors: ours, those registered here, and those of installed packages."""
    return sorted({*(file.name for file in pkgutil.iter_modules(__path__)), *EXECUTORS.names()})


def find_executor(name: str) -> ExecutorEntry:
    """The executor of that name.

    Raises:
        UnknownName: there is none.

    >>> find_executor("inline").pickles
    False
    """
    _load_ours(name)
    if name not in EXECUTORS:
        raise UnknownName("executor", str(name), executor_names())
    return EXECUTORS[name]


def _load_ours(name: str) -> None:
    """Import the file of that name alone: the other files may need what is not installed, or time."""
    if any(file.name == name for file in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{name}")
