"""A worker's life, whatever started it: load the workload, then take lease after lease over a connection.

    it hears    Lease    do this job
                None     put away what runs, and end; so does the end of file: nobody is there any more
    it says     Beat     every BEAT_SECONDS, whatever it does
                Refused  the workload could not be loaded; it ends
                         Progress, Left, and a last word for each lease

A worker ignores Ctrl-C: the coordinator speaks for the user. When nobody is there any more it puts its run away at
the next update; where none comes (a forward pass of minutes, a loader that hangs) it ends without.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from calando.errors import StudyStopped, UsageError
from calando.study.executors import base
from calando.study.executors.base import Lease, Progress, Setup

__all__ = ["Beat", "Refused", "how_it_ended", "serve"]

NOTICE_SECONDS = 5.0
"""From the loss of the coordinator to the next update; after that long it is not waited for."""

PUT_AWAY_SECONDS = 60.0
"""The longest that a run's checkpoint is waited for once nobody is there any more."""


@dataclass(frozen=True)
class Refused:
    """The workload could not be loaded in the worker."""

    message: str


@dataclass(frozen=True)
class Beat:
    """A worker is alive."""


def serve(connection: Connection, setup: Setup, slot: int) -> None:
    """Do what is asked for until told to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    speaking = threading.Lock()

    def say(message: object) -> None:
        with speaking:
            connection.send(message)

    noticed = threading.Event()
    threading.Thread(target=_beat, args=(say, noticed), daemon=True).start()
    from calando.study.work import perform

    try:
        workload = setup.load()
    except (UsageError, StudyStopped) as error:
        say(Refused(str(error)))
        return
    stopping = False

    def asked_to_stop() -> bool:
        nonlocal stopping
        try:
            stopping = stopping or (connection.poll() and connection.recv() is None)
        except (EOFError, OSError):
            stopping = True
        if stopping:
            noticed.set()
        return stopping

    try:
        while not stopping:
            lease: Lease | None = connection.recv()
            if lease is None:
                return

            def report(step: int, lr: float, loss: float, lease: Lease = lease) -> bool:
                if asked_to_stop():
                    return True
                try:
                    say(Progress(slot=slot, lease=lease, step=step, lr=lr, loss=loss))
                except OSError:
                    noticed.set()
                    return True
                return False

            say(perform(lease, workload, setup.folder, report=report, left=say))
    except (EOFError, OSError):
        # The coordinator is gone; what was running has been put away or will be made again.
        return


def how_it_ended(status: int | None) -> str:
    """A process's exit status in words; negative: the signal that ended it.

    >>> how_it_ended(-9), how_it_ended(1)
    ('killed by SIGKILL (out of memory?)', 'exited with status 1')
    """
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"exited with status {status}"


def _beat(say: Callable[[object], None], noticed: threading.Event) -> None:
    while True:
        try:
            say(Beat())
        except OSError:
            break
        time.sleep(base.BEAT_SECONDS)
    # The coordinator is gone. Whoever ends by itself takes this thread with it.
    if noticed.wait(NOTICE_SECONDS):
        time.sleep(PUT_AWAY_SECONDS)
    os._exit(1)
