"""Processes: warm workers on this machine, each with its own torch, data and thread.

Each worker loads the workload once and then takes job after job over a pipe. A worker ignores Ctrl-C (the
coordinator speaks for the user), puts its run away when asked to stop or when the coordinator is gone, and
is replaced when it dies.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from calando.engine.executors.base import Lost, OnProgress, Outcome, Progress, Setup
from calando.engine.plan import Job
from calando.errors import StudyStopped, UsageError

__all__ = ["ProcessExecutor"]

STOP_SECONDS = 30.0


@dataclass(frozen=True)
class _Refused:
    """The workload could not be loaded in the worker."""

    message: str


@dataclass
class _Worker:
    slot: int
    process: SpawnProcess
    connection: Connection
    job: Job | None = None


class ProcessExecutor:
    """Warm worker processes, started at once, fed one job at a time.

    Args:
        setup: what each worker loads.
        workers: how many.
        on_progress: called in this process with each progress report.
    """

    def __init__(self, setup: Setup, *, workers: int, on_progress: OnProgress) -> None:
        self.slots = workers
        self._setup = setup
        self._on_progress = on_progress
        self._workers = [self._spawn(slot) for slot in range(workers)]

    @property
    def process_ids(self) -> list[int]:
        """Of the living workers."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def submit(self, job: Job) -> None:
        """Give a job to an idle worker."""
        worker = next(worker for worker in self._workers if worker.job is None)
        worker.job = job
        try:
            worker.connection.send(job)
        except OSError:
            # Dead before it was given anything: poll() finds that out and says Lost.
            return

    def poll(self, *, seconds: float) -> list[Outcome]:
        """Outcomes of jobs, and `Lost` for those whose worker died; a dead worker is replaced.

        Raises:
            UsageError: a worker refused the workload.
        """
        outcomes: list[Outcome] = []
        ready = set(wait([worker.connection for worker in self._workers], timeout=seconds))
        for index, worker in enumerate(self._workers):
            if worker.connection not in ready:
                continue
            try:
                while worker.connection.poll():
                    message = worker.connection.recv()
                    if isinstance(message, Progress):
                        self._on_progress(message)
                    elif isinstance(message, _Refused):
                        raise UsageError(message.message)
                    else:
                        worker.job = None
                        outcomes.append(message)
            except (EOFError, OSError):
                worker.process.join(5)
                if worker.job is not None:
                    outcomes.append(Lost(worker.job, _how_it_ended(worker.process.exitcode)))
                worker.connection.close()
                self._workers[index] = self._spawn(worker.slot)
        return outcomes

    def stop(self) -> list[Outcome]:
        """Ask every worker to put its run away; wait for it; end it."""
        outcomes: list[Outcome] = []
        for worker in self._workers:
            try:
                worker.connection.send(None)
            except OSError:
                continue
        for worker in self._workers:
            try:
                while worker.job is not None and worker.connection.poll(STOP_SECONDS):
                    message = worker.connection.recv()
                    if not isinstance(message, Progress | _Refused):
                        outcomes.append(message)
                        worker.job = None
            except (EOFError, OSError):
                worker.job = None
            worker.process.join(2)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers = []
        return outcomes

    def _spawn(self, slot: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._setup, slot), daemon=True)
        with _thread_limits(self._setup.threads):
            process.start()
        theirs.close()
        return _Worker(slot=slot, process=process, connection=ours)


def _serve(connection: Connection, setup: Setup, slot: int) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from calando.engine.work import perform

    try:
        workload = setup.load()
    except (UsageError, StudyStopped) as error:
        connection.send(_Refused(str(error)))
        return
    stopping = False

    def asked_to_stop() -> bool:
        nonlocal stopping
        try:
            stopping = stopping or (connection.poll() and connection.recv() is None)
        except (EOFError, OSError):
            stopping = True
        return stopping

    try:
        while not stopping:
            job: Job | None = connection.recv()
            if job is None:
                return

            def report(step: int, lr: float, loss: float, job: Job = job) -> bool:
                if asked_to_stop():
                    return True
                try:
                    connection.send(Progress(slot=slot, job=job, step=step, lr=lr, loss=loss))
                except OSError:
                    return True
                return False

            connection.send(perform(job, workload, setup.folder, report=report))
    except (EOFError, OSError):
        # The coordinator is gone; what was running has been put away or will be made again.
        return


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"exited with status {exitcode}"


@contextmanager
def _thread_limits(threads: int) -> Iterator[None]:
    """Thread pools read these when torch is imported, so they must stand before the child starts."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
