"""Trackers: what other programs draw runs from. One small protocol; each file of this folder holds the one of its name.

    begin(run, since)      a run starts, or goes on from that step; None: what is there of it is replaced
    points(run, points)    numbers by step, some seconds' worth at a time
    end(run, outcome)      it is over
    leave(run)             it was put away, and may begin again
    late(run, points)      numbers of a run that is over: its look at the test part
    close()                nothing comes after it

Numbers have these names everywhere: `rate`, `train/loss`, `validation/score`, `validation/loss`, `test/score`,
`test/loss`. A train number of update t, counted from 0, is at step t; a score of the weights after n updates at step n.
A tracker is called from one thread and may wait: `calando.loops.tracking` keeps it away from training.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar, final

from calando.errors import UnknownName, UsageError, quote
from calando.language import message
from calando.records.spec import RunSpec
from calando.registry import Registry, home_of

__all__ = [
    "TRACKERS",
    "MakeTracker",
    "Point",
    "Tracked",
    "TrackedRun",
    "Tracker",
    "TrackerEntry",
    "find_tracker",
    "register",
    "tracker_names",
    "unreported",
    "uri_of",
]

Point = tuple[int, Mapping[str, float]]
"""A step, and finite numbers by name."""


@final
@dataclass(frozen=True)
class Tracked:
    """What runs belong to: a study, a tuning, a training.

    Args:
        title: the task's.
        name: its folder's.
        key: the same for all its runs, and for nothing else on this machine: letters and digits.
        facts: what a person asks of it: folder, command, data.
    """

    title: str
    name: str
    key: str
    facts: Mapping[str, str] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class TrackedRun:
    """A run as a tracker knows it.

    Args:
        key: its digest.
        name: to be read by people, different from that of any other run of its study.
        parameters: what decides it, by name.
    """

    key: str
    name: str
    parameters: Mapping[str, str | int | float]

    @classmethod
    def of(cls, spec: RunSpec) -> TrackedRun:
        """From its spec.

        >>> from calando.records import RunSpec, StrategySpec, WorkloadSpec
        >>> strategy = StrategySpec(name="cosine", method="sgd", lr=0.1, options={"momentum": 0.9})
        >>> spec = RunSpec(
        ...     workload=WorkloadSpec(data="digits"), strategy=strategy, steps=9, steps_per_epoch=3,
        ...     evaluate_every=3, seed=0,
        ... )
        >>> TrackedRun.of(spec).name
        'cosine lr=0.1 seed=0 79bbb004'
        """
        strategy, key = spec.strategy, spec.digest()
        options = {f"option.{name}": str(value) for name, value in strategy.options.items()}
        schedules = {f"schedule.{name}": text for name, text in strategy.schedules.items()}
        return cls(
            key,
            f"{strategy.name or strategy.method} lr={spec.lr:g} seed={spec.seed} {key[:8]}",
            {
                "strategy": strategy.name,
                "text": strategy.text,
                "method": strategy.method,
                "lr": spec.lr,
                "seed": spec.seed,
                "steps": spec.steps,
                "task": spec.workload.heading,
                "lane": spec.lane.text,
                "run": key,
                **options,
                **schedules,
            },
        )


class Tracker(Protocol):
    """Where runs are written to."""

    def begin(self, run: TrackedRun, *, since: int | None) -> None:
        """A run starts, or goes on with update `since`, which it may have made before; None: all of it is replaced."""
        ...

    def points(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """Numbers, ascending in step for each name."""
        ...

    def end(self, run: TrackedRun, outcome: str) -> None:
        """It is over: "finished", "diverged" or "died"."""
        ...

    def leave(self, run: TrackedRun) -> None:
        """It was put away unfinished."""
        ...

    def late(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """Numbers of a run that is over; it may have been begun and ended in another process."""
        ...

    def close(self) -> None:
        """The end."""
        ...


class MakeTracker(Protocol):
    """What opens a tracker: its class, or a function."""

    def __call__(self, place: str, tracked: Tracked) -> Tracker:
        """A tracker that writes to a place."""
        ...


@final
@dataclass(frozen=True)
class TrackerEntry:
    """A tracker and what must be known of it before it is opened.

    Args:
        name: as `--log NAME` and `--to NAME` have it.
        make: opens it.
        package: the module that it needs.
        extra: of calando's, which brings that; "": none does.
        place: where it writes, within the study's folder; "": where its package does by itself.
        see: how to look at it, with {place} for where it is, or {uri} for that as a tracking URI.
    """

    name: str
    make: MakeTracker
    package: str
    extra: str
    place: str
    see: str

    def check(self) -> None:
        """Nothing, if its package is installed.

        Raises:
            UsageError: it is not.
        """
        from importlib.util import find_spec

        if find_spec(self.package) is None:
            bring = f"'calando[{self.extra}]'" if self.extra else self.package
            raise UsageError(
                message(
                    "{name} needs {package}: pip install {bring}", name=self.name, package=self.package, bring=bring
                )
            )

    def seen(self, place: str) -> str:
        """How to look at what is at a place."""
        return self.see.format(place=place, uri=uri_of(place))

    def where(self, folder: Path, given: str = "") -> str:
        """The place for a folder, unless one is given."""
        return given or (str(folder / self.place) if self.place else "")


def uri_of(place: str) -> str:
    """A tracking URI; a path is that of a file of SQLite.

    >>> uri_of("/tmp/mlflow.db"), uri_of("http://localhost:5000")
    ('sqlite:////tmp/mlflow.db', 'http://localhost:5000')
    """
    return place if "://" in place else f"sqlite:///{Path(place).resolve()}"


@contextmanager
def unreported(variable: str, value: str) -> Iterator[None]:
    """Keep a package from reporting its use, by an environment variable, unless the person has set it."""
    if variable in os.environ:
        yield
        return
    os.environ[variable] = value
    try:
        yield
    finally:
        os.environ.pop(variable, None)


Maker = TypeVar("Maker", bound=MakeTracker)


def register(name: str, *, package: str, extra: str = "", place: str = "", see: str = "") -> Callable[[Maker], Maker]:
    """Register a tracker, so that `log=["NAME"]` writes to it; a decorator for a class or function.

    Args:
        name: what it is called.
        package, extra, place, see: see `TrackerEntry`.

    Raises:
        UsageError: a name that is taken or is none; what is registered cannot be called.

    >>> @register("terminal", package="json", see="look at the terminal")
    ... class Terminal:
    ...     '''Prints what it hears.'''
    ...     def __init__(self, place, tracked): pass
    ...     def begin(self, run, *, since): print("begin", run.name)
    ...     def points(self, run, points): print("points", len(points))
    ...     def end(self, run, outcome): print(outcome)
    ...     def leave(self, run): pass
    ...     def late(self, run, points): print("late", len(points))
    ...     def close(self): pass
    >>> find_tracker("terminal").see
    'look at the terminal'
    >>> TRACKERS.remove("terminal")
    """

    def registered(make: Maker) -> Maker:
        if not callable(make):
            raise UsageError(
                message("a tracker is registered as a class or function that opens it, got {make}", make=quote(make))
            )
        home = home_of(make)
        if not home.startswith("calando."):
            _load_ours(name)
        entry = TrackerEntry(name=name, make=make, package=package, extra=extra, place=place, see=see)
        TRACKERS.add(name, entry, home=home)
        return make

    return registered


def _join(name: str, found: object) -> None:
    if not isinstance(found, TrackerEntry):
        raise UsageError(message("an entry point of trackers gives a TrackerEntry, got {found}", found=quote(found)))
    TRACKERS.add(name, found, home=home_of(found.make))


TRACKERS: Registry[TrackerEntry] = Registry("tracker", join=_join, in_texts=False)
"""Name -> tracker, of those that have been looked up or registered."""


def tracker_names() -> list[str]:
    """The names of all trackers: ours, those registered here, and those of installed packages."""
    return sorted({*(file.name for file in pkgutil.iter_modules(__path__)), *TRACKERS.names()})


def find_tracker(name: str) -> TrackerEntry:
    """The tracker of that name.

    Raises:
        UnknownName: there is none.
    """
    _load_ours(name)
    if name not in TRACKERS:
        raise UnknownName("tracker", str(name), tracker_names())
    return TRACKERS[name]


def _load_ours(name: str) -> None:
    """Import the file of that name alone."""
    if any(file.name == name for file in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{name}")
