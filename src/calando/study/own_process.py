"""A script's process, from its start to its end: what it reports is heard, what it leaves is cleared away.

Its own session and process group: Ctrl-C reaches the study, which decides; a launcher's ranks end with it. The working
folder is the study's own, and what it prints goes to the run's log.

    finished   every rank said so
    stopped    it was asked to, and ended, by itself or not
    failed     a rank raised, or the process exited otherwise
    lost       a rank went without a last word, or a signal ended the process: the run can be tried again
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal, final

from calando.errors import UsageError
from calando.language import message
from calando.loops.run_channel import VARIABLE, Assignment, listen
from calando.study.workers.messages import how_it_ended

__all__ = ["Ended", "supervise"]

POLL_SECONDS = 0.05
STOP_SECONDS = 8.0
"""From the request to stop until the process is ended: a checkpoint may be written meanwhile."""
KILLED = re.compile(r"SIGKILL|\bsignal 9\b|exitcode\s*[:=]\s*-9\b|return code\s*[:=]\s*-9\b", re.IGNORECASE)
"""As torchrun, accelerate, mpirun and deepspeed report it."""
TIED = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, int(sys.argv[2])); "
    "os.getppid() == int(sys.argv[1]) or os._exit(1); os.execvp(sys.argv[3], sys.argv[3:])"
)
"""Ends with the process that starts it (PR_SET_PDEATHSIG), also before its code has come to `calando.run`."""
RANK_SECONDS = 10.0
"""From the loss or failure of one rank until the others are ended."""


@final
@dataclass(frozen=True)
class Ended:
    """How a run's code ended; `reason` where it did not finish."""

    how: Literal["finished", "stopped", "failed", "lost"]
    reason: str = ""


@dataclass
class _Rank:
    """One connection: what came over it, and its last word."""

    received: bytes = b""
    status: str = ""
    reports: list[Any] = field(default_factory=list)


def supervise(
    command: Sequence[str],
    asked: Assignment,
    *,
    environment: Mapping[str, str],
    log: Path,
    hear: Callable[[Any], bool],
) -> Ended:
    """Run a command as `asked`, and wait for its end.

    Args:
        environment: added to this process's.
        log: what it prints is added there.
        hear: called with each report, and with {"kind": "waiting"} now and then; True asks the run to stop.

    Raises:
        UsageError: the command cannot be started.
    """
    folder = Path(tempfile.mkdtemp(prefix="calando-"))
    server, address = listen(folder)
    paper = folder / "run.json"
    paper.write_text(replace(asked, address=address).to_json(), encoding="utf-8")
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as output:
            begin = output.tell()

            def printed() -> str:
                return log.read_bytes()[begin:].decode(errors="replace")

            process = _start(command, os.environ | {**environment, VARIABLE: str(paper)}, output)
            try:
                return _Conversation(process, server, hear, printed).hold()
            finally:
                _end(process)
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def _start(command: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    if sys.platform == "linux":
        if shutil.which(command[0]) is None:
            raise UsageError(message("{command!r} is not found; is it installed, and on the PATH?", command=command[0]))
        # A launcher that is asked to end ends its ranks.
        number = signal.SIGKILL if command[0] == sys.executable else signal.SIGTERM
        command = [sys.executable, "-I", "-S", "-c", TIED, str(os.getpid()), str(int(number)), *command]
    try:
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise UsageError(
            message(
                "{command!r} cannot be started ({strerror}); is it installed, and on the PATH?",
                command=command[0],
                strerror=error.strerror,
            )
        ) from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group; ranks in sessions of their own end when their connection does."""
    if os.name == "nt":
        process.kill()
    else:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)  # a launcher ends its ranks
            with suppress(subprocess.TimeoutExpired):
                process.wait(2)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@final
class _Conversation:
    """What is heard from a run's ranks until it ends."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        server: socket.socket,
        hear: Callable[[Any], bool],
        printed: Callable[[], str],
    ) -> None:
        self._process, self._server, self._hear, self._printed = process, server, hear, printed
        self._ranks: dict[socket.socket, _Rank] = {}
        self._gone: list[_Rank] = []
        self._stopping = self._breaking = 0.0
        self._whole = False  # the first rank left its result, and ended the run before its code was over
        # What befell a rank first: what befalls the others follows from it.
        self._fault: Literal["", "failed", "lost"] = ""

    def hold(self) -> Ended:
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            try:
                while self._process.poll() is None and not self._is_late():
                    self._take(selector, POLL_SECONDS)
                    if self._hear({"kind": "waiting"}):
                        self._stop()
                _end(self._process)
                # Also of ranks that have connected and ended while this process was held up.
                while self._take(selector, POLL_SECONDS if self._ranks else 0.0):
                    pass
            finally:
                for connection in self._ranks:
                    connection.close()
        return self._judge()

    def _is_late(self) -> bool:
        now = time.monotonic()
        return self._whole or bool(
            (self._stopping and now - self._stopping > STOP_SECONDS)
            or (self._breaking and now - self._breaking > RANK_SECONDS)
        )

    def _take(self, selector: selectors.BaseSelector, seconds: float) -> bool:
        """Hear what there is; whether there was anything."""
        ready = selector.select(seconds)
        heard: list[tuple[_Rank, bytes]] = []
        for key, _ in ready:
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            if connection is self._server:
                made, _ = self._server.accept()
                self._ranks[made] = _Rank()
                selector.register(made, selectors.EVENT_READ)
                continue
            try:
                data = connection.recv(65536)
            except OSError:
                data = b""
            if data:
                heard.append((self._ranks[connection], data))
                continue
            selector.unregister(connection)
            connection.close()
            gone = self._ranks.pop(connection)
            self._gone.append(gone)
            if not gone.status:
                self._broken("lost")
        # After the losses: a rank that fails because another was killed may say so in the same moment.
        for rank, data in heard:
            *lines, rank.received = (rank.received + data).split(b"\n")
            for line in lines:
                self._heard(rank, json.loads(line))
        return bool(ready)

    def _heard(self, rank: _Rank, report: Any) -> None:
        if report["kind"] == "ended":
            rank.status = report["status"]
            self._whole = self._whole or report.get("whole", False)
            if rank.status == "failed":
                self._broken("failed")
        elif self._hear(report):
            self._stop()

    def _broken(self, fault: Literal["failed", "lost"]) -> None:
        self._fault = self._fault or fault
        self._breaking = self._breaking or time.monotonic()

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = time.monotonic()
        for connection in self._ranks:
            with suppress(OSError):
                connection.sendall(b"stop\n")

    def _judge(self) -> Ended:
        statuses = {rank.status for rank in (*self._gone, *self._ranks.values())}
        status = self._process.returncode
        # With its last word a rank has left its result: what befalls it while it is torn down, as gloo's and CUDA's
        # libraries may abort there, changes nothing.
        if self._whole or statuses == {"finished"} or (status == 0 and not statuses):
            return Ended("finished")
        if self._stopping or "stopped" in statuses:
            return Ended("stopped")
        if self._fault == "failed":
            return Ended("failed", message("its code raised an error"))
        if self._fault == "lost" or "" in statuses or status < 0:
            return Ended("lost", how_it_ended(status) if status < 0 else message("a rank of it was killed"))
        if KILLED.search(self._printed()):
            # Before it was connected: only its launcher saw how it ended.
            return Ended("lost", message("a rank of it was killed"))
        return Ended("failed", how_it_ended(status))
