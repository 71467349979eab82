"""The worker process of a post, started as `python -m calando.study.executors.posted FILE`; FILE is its pipe's number.

Over the pipe come its place, then its `Setup` as bytes, then leases.
"""

from __future__ import annotations

import pickle
import shutil
import socket
import sys
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from calando.study.executors import base
from calando.study.executors.base import Setup
from calando.study.executors.worker import Beat, Refused, serve

__all__ = ["Place", "main"]


@dataclass(frozen=True)
class Place:
    """Where and how a worker process is to work.

    Args:
        folder: to work in.
        own: it is this worker's alone, and goes with it.
        slot: the worker's number.
        beat_seconds: between two signs of life.
        paths: to import from after what is installed.
    """

    folder: Path
    own: bool
    slot: int
    beat_seconds: float
    paths: tuple[str, ...]


def main() -> None:
    """Work until the post says that it is enough, or is gone."""
    pipe = Connection(int(sys.argv[1]))
    try:
        place: Place = pipe.recv()
        data = pipe.recv_bytes()
    except (EOFError, OSError):
        return
    base.BEAT_SECONDS = place.beat_seconds
    sys.path.extend(path for path in place.paths if path not in sys.path)
    try:
        setup: Setup = pickle.loads(data)
    except (AttributeError, ImportError) as error:
        remedy = "install there what it is made of, or keep it in a folder that every machine sees"
        pipe.send(Refused(f"the workload cannot be loaded on {socket.gethostname()} ({error}); {remedy}"))
        return
    del data
    serve(pipe, replace(setup, folder=place.folder), place.slot)
    try:
        pipe.send(Beat())
        # The post tidies up as soon as it reads the end, and need not wait for this process to be taken down.
        pipe.close()
    except OSError:
        # The post is gone, and nobody else is left to tidy up.
        if place.own:
            shutil.rmtree(place.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
