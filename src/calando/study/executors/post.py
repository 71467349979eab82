"""Posts: a worker at a distance. What a Ray actor is made of; knows nothing of Ray.

    coordinator  -- take(lease), stop(), news() -->  Post, on the worker's machine  -- pipe -->  worker process

The post starts one worker process and passes on what goes to and fro. The process is the post's grandchild: whoever
ends the post, and however (Ray kills actors and their children outright when the coordinator is gone), the worker
reads the end of the pipe, puts its run away and ends by itself. What the post sees of the worker it tells: it died,
or it was not heard of and was killed. That the post itself is silent, the coordinator sees.

Where the study's folder can be seen from the post's machine the worker works in it. Else it works in a folder of
its own, and checkpoints travel in parcels.
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
from calando.study.executors import base, posted
from calando.study.executors.base import Failed, Lease, Left, Outcome, Progress
from calando.study.executors.parcels import ERROR_LOG, Parcel, lying, pack, stamp, unpack
from calando.study.executors.posted import Place
from calando.study.executors.start import INSTALLED_PLACES, THREAD_POOLS
from calando.study.executors.words import Ended, Orders, Ready, Said, Word, versions
from calando.study.executors.worker import Beat, Refused, how_it_ended

__all__ = ["Post"]

# Waits for the worker, which is its child, and says how it ended; killed with the post, it leaves the worker be.
# What the worker prints goes where errors go: this output is read for its number alone.
START = '"$@" >&2 & echo $!; wait $!'
SIGNALLED = 128
ENDING_SECONDS = 5.0


@final
class Post:
    """One worker process, and the words to and from it.

    Args:
        setup: a pickled `Setup`; only the worker unpickles it, so that data are in memory once.
        orders: the same for every post.
        slot: the worker's number.
    """

    def __init__(self, setup: bytes, orders: Orders, *, slot: int) -> None:
        self._orders = orders
        self._silent_seconds = base.SILENT_SECONDS
        shared = _sees(orders)
        self._own = None if shared else Path(tempfile.mkdtemp(prefix="calando-"))
        self._stamps: dict[str, frozenset[tuple[str, int, int]]] = {}
        self._progress: Progress | None = None
        self._changed = threading.Condition()
        self._outgoing: SimpleQueue[Place | bytes | Lease | None] = SimpleQueue()
        self._worker, self._pid, self._pipe = _start(orders)
        self._words: list[Word] = [Ready(socket.gethostname(), self._pid, shared, versions())]
        self._outgoing.put(
            Place(self._own or orders.folder, self._own is not None, slot, orders.beat_seconds, orders.paths)
        )
        self._outgoing.put(setup)
        threading.Thread(target=self._speak, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def take(self, lease: Lease, parcel: Parcel | None) -> None:
        """Pass on a job, with what it needs where no path is shared."""
        try:
            if self._own is not None:
                assert parcel is not None
                unpack(parcel, self._own)
                self._stamps = {name: stamp(self._own, name) for name in parcel.folders}
        except DiskFull as error:
            self._tell(Said(Failed(lease, "disk", f"{socket.gethostname()}: {error}")))
            return
        self._outgoing.put(lease)

    def stop(self) -> None:
        """Ask the worker to put its run away and to end."""
        self._outgoing.put(None)

    def news(self, *, seconds: float, silent_seconds: float) -> list[Word]:
        """What there is to tell, waiting up to `seconds` for anything but progress.

        Args:
            silent_seconds: how long the worker may be silent from now on.
        """
        with self._changed:
            self._silent_seconds = silent_seconds
            self._changed.wait_for(lambda: bool(self._words), timeout=seconds)
            words, self._words = self._words, []
            progress, self._progress = self._progress, None
        return words if progress is None else [progress, *words]

    def _speak(self) -> None:
        """Say to the worker what there is to say, in order; it may take long to listen."""
        try:
            while (message := self._outgoing.get()) is not None:
                if isinstance(message, bytes):
                    self._pipe.send_bytes(message)
                else:
                    self._pipe.send(message)
            self._pipe.send(None)
        except OSError:
            # It died before it was told; the listener finds that out.
            return

    def _tell(self, word: Word) -> None:
        with self._changed:
            self._words.append(word)
            self._changed.notify_all()

    def _listen(self) -> None:
        beat, reason, missed = self._orders.beat_seconds, "", 0
        try:
            # Beats missed are counted rather than time: while this process is held up itself, it hears nobody.
            while missed * beat <= self._silent_seconds:
                if self._pipe.poll(beat):
                    missed = 0
                    self._hear(self._pipe.recv())
                else:
                    missed += 1
            reason = f"not heard of for {self._silent_seconds:g} s"
        except (EOFError, OSError):
            pass
        if reason:
            self._kill()
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
        self._outgoing.put(None)
        self._tell(Ended(reason or self._how_it_ended()))

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

    def _hear(self, message: Beat | Progress | Refused | Outcome) -> None:
        match message:
            case Beat():
                pass
            case Progress():
                with self._changed:
                    self._progress = message
            case Refused():
                self._tell(message)
            case Left(fork=fork) if self._own is not None:
                self._tell(Said(message, Parcel(pack(self._own, lying(self._own, fork.address)))))
            case Left():
                self._tell(Said(message))
            case outcome:
                with self._changed:
                    self._progress = None
                self._tell(Said(outcome) if self._own is None else self._sent_back(outcome, self._own))

    def _sent_back(self, outcome: Outcome, own: Path) -> Said:
        """The last word of a job with what it changed; the folder is left empty."""
        changed = pack(own, [name for name, before in self._stamps.items() if stamp(own, name) != before])
        log = own / ERROR_LOG
        parcel = Parcel(changed, log=log.read_bytes() if log.is_file() else None)
        for path in own.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        match outcome:
            case Failed(fault="user", message=message):
                outcome = replace(outcome, message=message.replace(str(own), str(self._orders.folder)))
            case Failed(fault="disk", message=message):
                outcome = replace(outcome, message=f"{socket.gethostname()}: {message}")
        return Said(outcome, parcel)


def _sees(orders: Orders) -> bool:
    if orders.token is None:
        return False
    path, content = orders.token
    try:
        return path.read_text() == content
    except OSError:
        return False


def _start(orders: Orders) -> tuple[subprocess.Popen[str], int, Connection]:
    """The process that waits for the worker, the worker's id, and the pipe."""
    ours, theirs = socket.socketpair()
    command = ["/bin/sh", "-c", START, "sh", sys.executable, "-m", posted.__name__, str(theirs.fileno())]
    environment = os.environ | dict.fromkeys(THREAD_POOLS, str(orders.threads)) | INSTALLED_PLACES
    waiting = subprocess.Popen(
        command,
        pass_fds=[theirs.fileno()],
        env=environment,
        cwd=orders.directory if orders.directory.is_dir() else None,
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    theirs.close()
    assert waiting.stdout is not None
    with waiting.stdout as told:
        return waiting, int(told.readline()), Connection(ours.detach())
