"""A worker's life, whatever started it: load the workload, then take lease after lease over a connection.

    it hears    Lease    do this job
                PutAway  save the job of that lease in its checkpoint
                None     save what runs in its checkpoint, and end; so does the end of file: the scheduler is gone
    it says     Beat     every BEAT_SECONDS, whatever it does
                Refused  the workload could not be loaded; it ends
                         JobProgress, Left, and an outcome that ends each lease

A worker ignores Ctrl-C: the scheduler decides for the user. When the scheduler is gone, the worker saves its run at the
next update; where none comes (a forward pass of minutes, a loader that hangs) it ends without.

Started by a remote worker as `python -m calando.study.workers.worker FILE`, FILE being its pipe's number: over the pipe
come its `WorkerSettings`, whether the folder is its own and goes with it, and its slot; then its `Setup` as bytes, then
leases.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection

from calando.errors import StudyStopped, UsageError, said_by
from calando.language import message
from calando.records.follower import Progress
from calando.study import executors
from calando.study.jobs import JobProgress, Lease, TestLook
from calando.study.workers.messages import Beat, PutAway, Refused, Setup, WorkerSettings

__all__ = ["main", "serve"]

NOTICE_SECONDS = 5.0
"""From the loss of the scheduler to the next update; after that long the worker ends without it."""

SAVING_SECONDS = 60.0
"""The longest time that a run's checkpoint may take once the scheduler is gone."""


def serve(connection: Connection, setup: Setup, slot: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    speaking = threading.Lock()

    def say(message: object) -> None:
        with speaking:
            connection.send(message)

    noticed = threading.Event()
    # Before torch is imported, which may take longer than the scheduler's patience on a slow disk.
    threading.Thread(target=_beat, args=(say, noticed), daemon=True).start()
    from calando.study.perform_job import perform

    try:
        task = setup.load()
    except (UsageError, StudyStopped) as error:
        say(Refused(said_by(error)))
        return
    stopping = False

    def asked_to_stop(number: int) -> bool:
        nonlocal stopping
        away = False
        try:
            while not stopping and connection.poll():
                message = connection.recv()
                stopping = message is None
                away = away or message == PutAway(number)
        except (EOFError, OSError):
            stopping = True
        if stopping:
            noticed.set()
        return stopping or away

    try:
        while not stopping:
            lease: Lease | PutAway | None = connection.recv()
            if lease is None:
                return
            if isinstance(lease, PutAway):
                continue

            def report(progress: Progress, lease: Lease = lease) -> bool:
                if asked_to_stop(lease.number):
                    return True
                try:
                    say(JobProgress(slot=slot, lease=lease, now=progress))
                except OSError:
                    noticed.set()
                    return True
                return False

            outcome = perform(lease, task, setup.folder, report=report, left=say, slot=slot, threads=setup.threads)
            say(outcome)
            if setup.one_run_each and not isinstance(lease.job, TestLook):
                return
    except (EOFError, OSError):
        # The scheduler is gone; what was running has been saved or will be made again.
        return


def _beat(say: Callable[[object], None], noticed: threading.Event) -> None:
    while True:
        try:
            say(Beat())
        except OSError:
            break
        time.sleep(executors.BEAT_SECONDS)
    # The scheduler is gone. If the main thread ends by itself, this one ends with it.
    if noticed.wait(NOTICE_SECONDS):
        time.sleep(SAVING_SECONDS)
    os._exit(1)


def main() -> None:
    """Work for a remote worker until it asks to end, or is gone."""
    pipe = Connection(int(sys.argv[1]))
    try:
        settings: WorkerSettings
        settings, own, slot = pipe.recv()
        data = pipe.recv_bytes()
    except (EOFError, OSError):
        return
    executors.BEAT_SECONDS = settings.beat_seconds
    sys.path.extend(path for path in settings.paths if path not in sys.path)
    try:
        setup: Setup = pickle.loads(data)
    except (AttributeError, ImportError) as error:
        remedy = message("install there what it is made of, or keep it in a folder that every machine sees")
        pipe.send(
            Refused(
                message(
                    "the workload cannot be loaded on {host} ({error}); {remedy}",
                    host=socket.gethostname(),
                    error=str(error),
                    remedy=remedy,
                )
            )
        )
        return
    del data
    serve(pipe, replace(setup, folder=settings.folder), slot)
    try:
        pipe.send(Beat())
        # The remote worker tidies up as soon as it reads the end of file, before this process has ended.
        pipe.close()
    except OSError:
        # The remote worker is gone, and nobody else is left to tidy up.
        if own:
            shutil.rmtree(settings.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
