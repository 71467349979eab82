"""How worker processes start.

    Linux      from a fork server: one process imports what workers need, on one thread, and forks each of them in
               milliseconds; it belongs to this process and ends with it
    elsewhere  each is a new Python process that imports for itself: macOS's own libraries do not bear a fork, and
               Windows has none

The server can be started long before the first worker: it imports torch on one core while the scheduler's process
imports it on another. It is the one that `multiprocessing` keeps, so a script's own forks find torch imported too.

A worker imports the script that is run, as `multiprocessing` has every process do, if it may:

    guarded     `if __name__ == "__main__":` stands over the running call: importing the script defines things, no more
    unguarded   importing it would run it again, in every worker: it is not imported
    none        a notebook, standard input, `python -c`: there is no file to import

What a worker is sent does not depend on it (see `by_value`): the import is only for what else a guarded script sets up
at its top, such as a data set's reader that it registers somewhere.
"""

from __future__ import annotations

import ast
import gc
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from multiprocessing import util
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType, ModuleType

from calando.errors import UsageError, WorkerLost, said_by
from calando.language import message
from calando.process_limits import for_more_files, for_more_memory, is_want_of_files, look_before_blas, memory_allowed

__all__ = [
    "INSTALLED_PLACES",
    "THREAD_POOLS",
    "main_can_be_imported",
    "start_early",
    "start_worker",
    "without_interrupts",
]

THREAD_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that thread pools read when torch is imported: they must stand before a worker starts."""

INSTALLED_PLACES = {"PYTHONSAFEPATH": "1"}
"""For `python -c` and `python -m`, which else import from the current folder first: it may hold a numpy.py."""

ATTEMPTS, PAUSE_SECONDS = 4, 0.3
ANSWER_SECONDS = 60.0
"""A server forks in milliseconds once it has imported torch, which takes seconds. Each try waits twice as long."""
LONGEST_FOLDER = 70
"""Bytes of a folder's name: the sockets of workers lie two levels below it, and a socket's name has at most 107."""


def start_early() -> None:
    """Begin to import what workers need, in a process next to this one; returns at once, and may be called again."""
    if not _are_served():
        return
    from multiprocessing import forkserver, resource_tracker

    _settle_sockets()
    with _environment(INSTALLED_PLACES):
        # First, since it unblocks what is blocked below.
        resource_tracker.ensure_running()
        multiprocessing.set_forkserver_preload(["calando.study.workers.server"])
        # On one thread there is nothing that a fork could tear apart; a lane sets its own number.
        with _environment(dict.fromkeys(THREAD_POOLS, "1")), without_interrupts():
            try:
                forkserver.ensure_running()
            except ChildProcessError:
                raise UsageError(
                    message(
                        "this process was forked from one in which calando had started workers, and may start none; "
                        'give executor="inline", or start it with multiprocessing\'s "spawn"'
                    )
                ) from None


def start_worker(*, threads: int) -> tuple[BaseProcess, Connection]:
    """A new worker, which waits for its `Setup`, as `pack_setup` gives it, and its slot; and the connection to it.

    Raises UsageError in a daemon of multiprocessing's, which may start none; WorkerLost where the server keeps dying.
    """
    if multiprocessing.current_process().daemon:
        raise UsageError(
            message(
                "this process is a daemon of multiprocessing (a pool's worker?), which may not start worker "
                'processes; give executor="inline", or call calando from the main process'
            )
        )
    served = _are_served()
    context = multiprocessing.get_context("forkserver") if served else multiprocessing.get_context("spawn")
    imports_main = main_can_be_imported()
    for attempt in range(ATTEMPTS):
        start_early()
        ours, theirs = context.Pipe()
        try:
            environment = os.environ | dict.fromkeys(THREAD_POOLS, str(threads))
            process = context.Process(target=_begin, args=(theirs, environment), daemon=True)
            # Where no server forks it, a new Python reads its own at once.
            with (
                theirs,
                _environment(dict.fromkeys(THREAD_POOLS, str(threads)) | INSTALLED_PLACES),
                nullcontext() if imports_main else _main_not_imported(),
                _killed_if_silent(ANSWER_SECONDS * 2**attempt) if served else nullcontext(),
            ):
                process.start()
        except (EOFError, OSError) as error:
            # The server was killed as it was asked; there will be another once it is quite gone.
            ours.close()
            time.sleep(PAUSE_SECONDS)
            reason = f"{type(error).__name__}: {error}"
            continue
        return process, ours
    if is_want_of_files(reason):
        raise WorkerLost(for_more_files(message("no worker can be started: {reason}", reason=reason)))
    if memory_allowed() is not None:
        raise WorkerLost(for_more_memory(message("no worker can be started: {reason}", reason=reason)))
    raise WorkerLost(
        message(
            "no worker can be started ({reason}); is there memory left? then run the same command again", reason=reason
        )
    )


def _are_served() -> bool:
    """Whether workers are forked by a server here."""
    return sys.platform == "linux" and "forkserver" in multiprocessing.get_all_start_methods()


@contextmanager
def _killed_if_silent(seconds: float) -> Iterator[None]:
    """A server that does not answer (stopped, or thrashing) is killed, and whoever waits for it notices that."""
    from multiprocessing import forkserver

    server = getattr(forkserver, "_forkserver", None)
    pid = getattr(server, "_forkserver_pid", None)
    if pid is None:
        yield
        return
    late = threading.Timer(seconds, os.kill, (pid, signal.SIGKILL))
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


def _begin(connection: Connection, environment: Mapping[str, str]) -> None:
    gc.enable()  # which the server has not
    look_before_blas()
    # What the user's code prints is not the command's answer.
    os.dup2(2, 1)
    # Daemons may start no processes, and the user's loaders may want to; a worker needs no daemon's end (see `serve`).
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    # The server's may be older.
    os.environ.clear()
    os.environ.update(environment)
    from calando.study.workers.by_value import unpack_setup
    from calando.study.workers.messages import Refused
    from calando.study.workers.worker import serve

    try:
        data, slot = connection.recv()
        try:
            setup = unpack_setup(data)
        except UsageError as error:
            connection.send(Refused(said_by(error)))
            return
    except (EOFError, OSError):
        return
    del data
    serve(connection, setup, slot)


def _settle_sockets() -> None:
    """Have multiprocessing keep its sockets where their names are short; UsageError where no folder can be used."""
    try:
        usual = tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UsageError(
            message(
                "worker processes need a temporary folder, and none can be written to ({strerror}); set "
                "TMPDIR to one with space left, and see whether the size of files is limited (`ulimit -f`)",
                strerror=error.strerror,
            )
        ) from None
    if len(os.fsencode(usual)) <= LONGEST_FOLDER:
        return
    for folder in filter(None, (os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp", "/dev/shm")):
        if len(os.fsencode(folder)) <= LONGEST_FOLDER and os.access(folder, os.W_OK | os.X_OK):
            tempfile.tempdir = folder
            try:
                # It makes a folder at its first call, and keeps to it.
                util.get_temp_dir()
            finally:
                tempfile.tempdir = usual
            return
    raise UsageError(
        message(
            "TMPDIR is {count} bytes long, and the sockets of worker processes need one of at most "
            "{longest_folder}; set TMPDIR to a shorter path",
            count=len(os.fsencode(usual)),
            longest_folder=LONGEST_FOLDER,
        )
    )


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def without_interrupts() -> Iterator[None]:
    """A process started meanwhile does not hear of Ctrl-C; this one does, afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def main_can_be_imported() -> bool:
    """Whether there is a main script whose import would not run again what is running."""
    path, line = _running_line() or (getattr(sys.modules["__main__"], "__file__", None), None)
    try:
        tree = ast.parse(Path(path or "").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    return line is None or any(_holds(branch, line) for branch in ast.walk(tree) if isinstance(branch, ast.If))


@contextmanager
def _main_not_imported() -> Iterator[None]:
    """A process started meanwhile does not import the main script."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _running_line() -> tuple[str, int] | None:
    """Of the main module's own code, what is running now: its file and line."""
    namespace = vars(sys.modules["__main__"])
    frame: FrameType | None = sys._getframe()
    found = None
    while frame is not None:
        if frame.f_globals is namespace and frame.f_code.co_name == "<module>":
            found = frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return found


def _holds(branch: ast.If, line: int) -> bool:
    """Whether `branch` asks for the module's name, and the line is in it."""
    asks = any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(branch.test))
    return asks and branch.lineno <= line <= (branch.end_lineno or branch.lineno)
