"""Processes: warm workers on this machine, each with its own torch, data and thread.

Each worker loads the workload once and then takes job after job over a pipe. A worker ignores Ctrl-C (the scheduler
decides for the user), saves its run when asked to stop or when the scheduler is gone, and is replaced when it dies. A
thread of its own reports that it is alive; a worker that is silent is killed, so that it cannot come back.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from calando.errors import UsageError, WorkerLost
from calando.language import message
from calando.process_limits import FROM_OTHERS, files_allowed, for_more_files, memory_allowed
from calando.study import executors
from calando.study.executors import register
from calando.study.jobs import JobProgress, Lease, Left, Lost, OnProgress, Outcome, TestLook
from calando.study.workers.messages import Beat, PutAway, Refused, Setup, how_it_ended, silent_for
from calando.study.workers.start import main_can_be_imported, start_early, start_worker

__all__ = ["ProcessExecutor"]

STOP_SECONDS = 10.0
"""For the update under way and the checkpoint of what is saved; what takes longer is made again."""
FORGIVEN_STARTS = 2
FILES_EACH, SPARE_FILES = 3, 4
"""What is open here for each worker; and for what is opened for a moment."""


@dataclass
class _Worker:
    slot: int
    process: BaseProcess
    connection: Connection
    heard: float
    lives: bool = False
    spent: bool = False
    lease: Lease | None = None


@register("process", prepare=start_early)
class ProcessExecutor:
    """Warm worker processes, started at once, fed one job at a time.

    Args:
        setup: what each worker loads.
        workers: how many.
        on_progress: called in this process with each progress report.
        address: of no use here.
    """

    def __init__(self, setup: Setup, *, workers: int, on_progress: OnProgress, address: str | None = None) -> None:
        del address
        self.slots = workers
        self._setup = setup
        self._on_progress = on_progress
        _see_whether_files_suffice(workers)
        self._stillborn = 0
        self._workers = [self._start(slot) for slot in range(workers)]
        self._polled = time.monotonic()

    @property
    def process_ids(self) -> list[int]:
        """Of the living workers."""
        return [one.process.pid for one in self._workers if not one.spent and one.process.pid is not None]

    def submit(self, lease: Lease) -> None:
        """Give a job to an idle worker."""
        index = next(index for index, worker in enumerate(self._workers) if worker.lease is None)
        if self._workers[index].spent:
            self._workers[index] = self._start(self._workers[index].slot)
        worker = self._workers[index]
        worker.lease = lease
        try:
            worker.connection.send(lease)
        except OSError:
            # Dead before it was given anything: poll() finds that out and reports Lost.
            return

    def poll(self, *, seconds: float) -> list[Outcome]:
        """What came in, and `Lost` for jobs whose worker died or was silent for too long; such a worker is replaced.

        Raises:
            UsageError: a worker refused the workload.
        """
        outcomes: list[Outcome] = []
        ready = set(wait([worker.connection for worker in self._workers if not worker.spent], timeout=seconds))
        now = time.monotonic()
        # While this process was itself held up, it heard nobody: that time does not count as the workers' silence.
        deaf, self._polled = max(0.0, now - self._polled - seconds), now
        for index, worker in enumerate(self._workers):
            if worker.spent:
                continue
            worker.heard += deaf
            try:
                if worker.connection in ready:
                    worker.heard = now
                    self._receive(worker, outcomes)
                if worker.spent:
                    # Another is started for the next job: one that is killed while it takes over what it is sent leaves
                    # a traceback of the thread that hands tensors over.
                    worker.process.kill()
                    worker.process.join()
                    worker.connection.close()
                    continue
            except (EOFError, OSError):
                worker.process.join(5)
                self._check_born(worker)
                self._replace(index, how_it_ended(worker.process.exitcode), outcomes)
                continue
            if now - worker.heard > executors.SILENT_SECONDS:
                worker.process.kill()
                worker.process.join()
                self._replace(index, silent_for(executors.SILENT_SECONDS), outcomes)
        return outcomes

    def put_away(self, lease: Lease) -> None:
        """Have this job saved in its checkpoint; `poll` reports it Stopped, unless it has ended meanwhile."""
        for worker in self._workers:
            if worker.lease == lease:
                with suppress(OSError):
                    worker.connection.send(PutAway(lease.number))

    def _receive(self, worker: _Worker, outcomes: list[Outcome]) -> None:
        while worker.connection.poll():
            message = worker.connection.recv()
            worker.lives = True
            match message:
                case Beat():
                    pass
                case JobProgress() as progress:
                    self._on_progress(progress)
                case Refused(message):
                    raise UsageError(message)
                case Left() as left:
                    outcomes.append(left)
                case outcome:
                    assert worker.lease is not None
                    worker.spent = self._setup.one_run_each and not isinstance(worker.lease.job, TestLook)
                    worker.lease = None
                    outcomes.append(outcome)

    def _check_born(self, worker: _Worker) -> None:
        """One that ends by itself before it is there will do so again: something in what it imports first is wrong."""
        status = worker.process.exitcode
        if worker.lives or status is None or -status in FROM_OTHERS:
            return
        self._stillborn += 1
        if self._stillborn > FORGIVEN_STARTS:
            script = sys.modules["__main__"].__file__ if main_can_be_imported() else None
            top = (
                message("; they import {script} first, and what it does at its top must work there too", script=script)
                if script
                else ""
            )
            allowed = memory_allowed()
            room = (
                ""
                if allowed is None
                else message("; each may have {allowed:,.0f} MB (`ulimit -v`): is that enough?", allowed=allowed / 1e6)
            )
            raise UsageError(
                message(
                    "worker processes end before they are ready ({how_it_ended}; what they print says "
                    'why){room}{top}; executor="inline" trains in this process',
                    how_it_ended=how_it_ended(status),
                    room=room,
                    top=top,
                )
            )

    def _replace(self, index: int, reason: str, outcomes: list[Outcome]) -> None:
        worker = self._workers[index]
        if worker.lease is not None:
            outcomes.append(Lost(worker.lease, reason))
        worker.connection.close()
        self._workers[index] = self._start(worker.slot)

    def stop(self) -> list[Outcome]:
        """Ask every worker to save its run; wait for it; end it. Interrupted, end all at once."""
        try:
            return self._save()
        finally:
            for worker in self._workers:
                # Nothing is under way in it any more, and a process with torch in it takes a second to end by itself.
                worker.process.kill()
            for worker in self._workers:
                worker.process.join()
                worker.connection.close()
            self._workers = []

    def _save(self) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for worker in self._workers:
            try:
                worker.connection.send(None)
            except OSError:
                continue
        until = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            try:
                while worker.lease is not None and worker.connection.poll(max(0.0, until - time.monotonic())):
                    message = worker.connection.recv()
                    if isinstance(message, JobProgress | Beat | Refused):
                        continue
                    outcomes.append(message)
                    if not isinstance(message, Left):
                        worker.lease = None
            except (EOFError, OSError):
                worker.lease = None
        return outcomes

    def _start(self, slot: int) -> _Worker:
        from calando.study.workers.by_value import pack_setup  # needs torch, which the server imports meanwhile

        data = pack_setup(self._setup)
        process, connection = start_worker(threads=self._setup.threads)
        worker = _Worker(slot=slot, process=process, connection=connection, heard=time.monotonic())
        # Where it is dead already poll() finds that out and starts another.
        with suppress(OSError):
            connection.send((data, slot))
        return worker


def _see_whether_files_suffice(workers: int) -> None:
    """Before any is started: one that finds no file to open says so in a traceback, and blames something else.

    Raises:
        WorkerLost: this process may not have as many files open as it takes.
    """
    allowed = files_allowed()
    if allowed is None or not Path("/dev/fd").is_dir():
        return
    needed = len(list(Path("/dev/fd").iterdir())) + FILES_EACH * workers + SPARE_FILES
    if needed > allowed:
        raise WorkerLost(
            for_more_files(
                message(
                    "{workers} worker and what is open already take {needed}"
                    if workers == 1
                    else "{workers} workers and what is open already take {needed}",
                    workers=workers,
                    needed=needed,
                )
            )
        )
