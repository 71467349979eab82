"""Words between a coordinator and its posts: what a post is told at its start, and what it has to tell."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calando.study.executors.base import Outcome, Progress
from calando.study.executors.parcels import Parcel
from calando.study.executors.worker import Refused

__all__ = ["Ended", "Orders", "Ready", "Said", "Word", "versions"]


@dataclass(frozen=True)
class Orders:
    """What every post of a study is told at its start.

    Args:
        folder: the study's, on the coordinator's machine.
        token: (path, content) of a file there: who can read it sees the folder. None: the folder is not to be used.
        directory: where the coordinator runs; so does the worker, if that is there.
        paths: what the coordinator imports from, beside what is installed.
        threads: of each worker.
        beat_seconds: between two of a worker's beats.
    """

    folder: Path
    token: tuple[Path, str] | None
    directory: Path
    paths: tuple[str, ...]
    threads: int
    beat_seconds: float


@dataclass(frozen=True)
class Ready:
    """The post is there; the worker, which may take long to load its data, is on its way.

    Args:
        host: name of the machine.
        process_id: of the worker, on it.
        shared: the study's folder can be seen from it.
        versions: of what decides the numbers.
    """

    host: str
    process_id: int
    shared: bool
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Said:
    """A fork left, or a last word; with what must lie in the study's folder before it is told."""

    outcome: Outcome
    parcel: Parcel | None = None


@dataclass(frozen=True)
class Ended:
    """The worker is no more."""

    reason: str


Word = Ready | Said | Progress | Refused | Ended


def versions() -> dict[str, str]:
    """Of what decides the numbers on this machine; "" for what is not installed but found on a path.

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
