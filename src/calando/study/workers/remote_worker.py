"""A remote worker: one worker process on another machine, and the messages to and from it. Knows nothing of Ray.

    scheduler  -- take(lease), stop(), news() -->  RemoteWorker, on its machine  -- pipe -->  worker process

It starts the worker process and passes messages on. The process is its grandchild: whoever ends the remote worker, and
however (Ray kills actors and their children outright when the scheduler is gone), the process reads the end of the
pipe, saves its run and ends by itself. The remote worker reports what it sees of the process: that it died, or that it
was silent and was killed. If the remote worker itself is silent, the scheduler notices.

Where the study's folder can be seen from its machine the worker works in it. Else it works in a folder of its own, and
checkpoints are transferred.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import final

from calando.errors import DiskFull
from calando.study import executors
from calando.study.jobs import Failed, JobProgress, Lease, Left, Outcome
from calando.study.workers.checkpoint_transfer import ERROR_LOG, Transfer, pack, stamp, unpack, where_is
from calando.study.workers.messages import (
    Beat,
    Ended,
    Message,
    PutAway,
    Ready,
    Refused,
    Reported,
    WorkerSettings,
    how_it_ended,
    silent_for,
    versions,
)
from calando.study.workers.start import INSTALLED_PLACES, THREAD_POOLS

__all__ = ["RemoteWorker"]

WORKER_MODULE = "calando.study.workers.worker"
# Waits for the worker's process, which is its child, and exits as it did; killed with the remote worker, it leaves the
# process running. What the process prints goes where errors go: this output is read for the process id alone.
START = '"$@" >&2 & echo $!; wait $!'
SIGNALLED = 128
ENDING_SECONDS = 5.0


@final
class RemoteWorker:
    """One worker process, and the messages to and from it.

    Args:
        setup: a pickled `Setup`; only the worker unpickles it, so that data are in memory once.
        slot: the worker's number.
    """

    def __init__(self, setup: bytes, settings: WorkerSettings, *, slot: int) -> None:
        self._settings = settings
        self._silent_seconds = executors.SILENT_SECONDS
        shared = _sees(settings)
        self._own = None if shared else Path(tempfile.mkdtemp(prefix="calando-"))
        self._stamps: dict[str, frozenset[tuple[str, int, int]]] = {}
        self._progress: JobProgress | None = None
        self._changed = threading.Condition()
        self._outgoing: SimpleQueue[tuple[WorkerSettings, bool, int] | bytes | Lease | PutAway | None] = SimpleQueue()
        self._worker, self._pid, self._pipe = _start(settings)
        self._messages: list[Message] = [Ready(socket.gethostname(), self._pid, shared, versions())]
        self._outgoing.put((replace(settings, folder=self._own or settings.folder), self._own is not None, slot))
        self._outgoing.put(setup)
        threading.Thread(target=self._send, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def take(self, lease: Lease, transfer: Transfer | None) -> None:
        """Pass on a job, with what it needs where no path is shared."""
        try:
            if self._own is not None:
                assert transfer is not None
                unpack(transfer, self._own)
                self._stamps = {name: stamp(self._own, name) for name in transfer.folders}
        except DiskFull as error:
            self._report(Reported(Failed(lease, "disk", f"{socket.gethostname()}: {error}")))
            return
        self._outgoing.put(lease)

    def put_away(self, number: int) -> None:
        """Have the job of this lease saved in its checkpoint."""
        self._outgoing.put(PutAway(number))

    def stop(self) -> None:
        self._outgoing.put(None)

    def news(self, *, seconds: float, silent_seconds: float) -> list[Message]:
        """What there is to report, waited for unless it is progress; and how long the worker may now be silent."""
        with self._changed:
            self._silent_seconds = silent_seconds
            self._changed.wait_for(lambda: bool(self._messages), timeout=seconds)
            messages, self._messages = self._messages, []
            progress, self._progress = self._progress, None
        return messages if progress is None else [progress, *messages]

    def _send(self) -> None:
        """Send to the worker what is queued for it, in order; it may take long to listen."""
        try:
            while (message := self._outgoing.get()) is not None:
                if isinstance(message, bytes):
                    self._pipe.send_bytes(message)
                else:
                    self._pipe.send(message)
            self._pipe.send(None)
        except OSError:
            # It died before this reached it; the listener finds that out.
            return

    def _report(self, message: Message) -> None:
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    def _listen(self) -> None:
        beat, reason, missed = self._settings.beat_seconds, "", 0
        try:
            # Missed beats are counted rather than time: while this process is itself held up, it hears nobody.
            while missed * beat <= self._silent_seconds:
                if self._pipe.poll(beat):
                    missed = 0
                    self._hear(self._pipe.recv())
                else:
                    missed += 1
            reason = silent_for(self._silent_seconds)
        except (EOFError, OSError):
            pass
        if reason:
            self._kill()
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
        self._outgoing.put(None)
        self._report(Ended(reason or self._how_it_ended()))

    def _how_it_ended(self) -> str:
        try:
            status = self._worker.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            status = self._worker.wait()
        return how_it_ended(SIGNALLED - status if status > SIGNALLED else status)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self._worker.wait()

    def _hear(self, message: Beat | JobProgress | Refused | Outcome) -> None:
        match message:
            case Beat():
                pass
            case JobProgress():
                with self._changed:
                    self._progress = _joined(self._progress, message)
            case Refused():
                self._report(message)
            case Left(fork=fork) if self._own is not None:
                self._report(Reported(message, Transfer(pack(self._own, where_is(self._own, fork.address)))))
            case Left():
                self._report(Reported(message))
            case outcome:
                with self._changed:
                    self._progress = None
                self._report(Reported(outcome) if self._own is None else self._sent_back(outcome, self._own))

    def _sent_back(self, outcome: Outcome, own: Path) -> Reported:
        """How a job ended, with what it changed; the folder is left empty."""
        changed = pack(own, [name for name, before in self._stamps.items() if stamp(own, name) != before])
        log = own / ERROR_LOG
        transfer = Transfer(changed, log=log.read_bytes() if log.is_file() else None)
        for path in own.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        match outcome:
            case Failed(fault="user", message=message):
                outcome = replace(outcome, message=message.replace(str(own), str(self._settings.folder)))
            case Failed(fault="disk", message=message):
                outcome = replace(outcome, message=f"{socket.gethostname()}: {message}")
        return Reported(outcome, transfer)


def _joined(before: JobProgress | None, now: JobProgress) -> JobProgress:
    """The later report, with the evaluations of one that was not yet passed on."""
    if before is None or before.lease.number != now.lease.number:
        return now
    looks = (*before.now.evaluations, *now.now.evaluations)
    return replace(now, now=replace(now.now, evaluations=looks))


def _sees(settings: WorkerSettings) -> bool:
    if settings.token is None:
        return False
    path, content = settings.token
    try:
        return path.read_text() == content
    except OSError:
        return False


def _start(settings: WorkerSettings) -> tuple[subprocess.Popen[str], int, Connection]:
    """The process that waits for the worker's, the worker's process id, and the pipe."""
    ours, theirs = socket.socketpair()
    command = ["/bin/sh", "-c", START, "sh", sys.executable, "-m", WORKER_MODULE, str(theirs.fileno())]
    environment = (
        os.environ | dict.fromkeys(THREAD_POOLS, str(settings.threads)) | INSTALLED_PLACES | {"CALANDO_WORKER": "1"}
    )
    waiting = subprocess.Popen(
        command,
        pass_fds=[theirs.fileno()],
        env=environment,
        cwd=settings.directory if settings.directory.is_dir() else None,
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    theirs.close()
    assert waiting.stdout is not None
    with waiting.stdout as printed:
        return waiting, int(printed.readline()), Connection(ours.detach())
