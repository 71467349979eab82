"""Between a run in a process of its own and the study that started it: what it is asked, and what it reports.

    asked       an `Assignment`, in the JSON file that the environment variable CALANDO_RUN names
    reported    lines of JSON over a local socket, from every rank; a rank's last line is "ended"
    commanded   "stop"; and the end of file: the study is gone, so the process ends at once

A socket rather than a pipe: launchers such as torchrun close the pipes of the ranks that they start, and each rank can
connect by name. A rank that goes without its last line was killed.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, final

from calando.errors import UsageError, fault_of
from calando.language import message

__all__ = [
    "VARIABLE",
    "Alone",
    "Assignment",
    "Channel",
    "Connected",
    "Direct",
    "Report",
    "assigned",
    "connect",
    "listen",
]

VARIABLE = "CALANDO_RUN"

Report = Mapping[str, Any]
"""What a run reports: "kind" says which, see `Run`."""


@final
@dataclass(frozen=True)
class Assignment:
    """What a run is asked to be.

    Args:
        strategy: `StrategySpec` as JSON, its rate settled.
        seed: for every generator.
        total_steps, steps_per_epoch: its length, as the study knows it; None: the code says it, at the first look.
        epochs, steps: the length that was asked for in words of the command; None: the code's own.
        folder: the run's own, for its checkpoint and its result; "": nothing is written.
        goal, unit: what a score means; "": the code says it.
        look: end after so many updates and report a digest of the weights; 0: make the whole run.
        leave: save what is kept at the last update too: the study takes the weights from there.
        address: of the study's socket; "": none.
    """

    strategy: str
    seed: int
    total_steps: int | None = None
    steps_per_epoch: int | None = None
    epochs: float | None = None
    steps: int | None = None
    folder: str = ""
    goal: str = ""
    unit: str = ""
    look: int = 0
    leave: bool = False
    address: str = ""

    def to_json(self) -> str:
        """As the file that CALANDO_RUN names holds it."""
        return json.dumps(asdict(self))


class Channel(Protocol):
    """The way from a run to the study."""

    def send(self, report: Report) -> None:
        """Report something; never fails."""
        ...

    def is_asked_to_stop(self) -> bool:
        """Whether the run should save its state and end."""
        ...


@final
class Alone:
    """No study: the code runs by itself."""

    def send(self, report: Report) -> None:
        """Nobody listens."""

    def is_asked_to_stop(self) -> bool:
        """Never."""
        return False


@final
class Direct:
    """The study's own process, or a worker's: `hear` takes each report; True asks to stop."""

    def __init__(self, hear: Callable[[Report], bool]) -> None:
        self._hear, self._stopping = hear, False

    def send(self, report: Report) -> None:
        """Report something."""
        self._stopping = self._hear(report) or self._stopping

    def is_asked_to_stop(self) -> bool:
        """What the last report was answered with."""
        return self._stopping


@final
class Connected:
    """A socket to the study. A thread waits for what it commands."""

    def __init__(self, address: str) -> None:
        self._socket, self._stopping, self._over = connect(address), False, False
        self._sending = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, report: Report) -> None:
        """Report something; where the study is gone, the listening thread ends the process."""
        self._over = self._over or report["kind"] == "ended"
        with self._sending, suppress(OSError):
            self._socket.sendall((json.dumps(report) + "\n").encode())

    def is_asked_to_stop(self) -> bool:
        """Whether "stop" came."""
        return self._stopping

    def _listen(self) -> None:
        try:
            while command := self._socket.recv(64):
                self._stopping = self._stopping or b"stop" in command
        except OSError:
            pass
        if not self._over:
            # Nobody is left to take the result; the checkpoint is whole at any moment.
            os._exit(1)


def assigned() -> Assignment | None:
    """What this process is asked, if a study started it.

    Raises:
        UsageError: the variable names no such file.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return None
    try:
        return Assignment(**json.loads(Path(name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            message(
                "{variable} names {name!r}, which is not what a study wrote ({kind}); unset it to run this "
                "script by itself",
                variable=VARIABLE,
                name=name,
                kind=fault_of(error),
            )
        ) from None


def listen(folder: Path) -> tuple[socket.socket, str]:
    """A socket that runs connect to, and its address: a file in `folder`, or a port where there are no such sockets."""
    if hasattr(socket, "AF_UNIX"):
        server = socket.socket(socket.AF_UNIX)
        path = str(folder / "study")
        server.bind(path)
        address = f"unix:{path}"
    else:
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        address = f"port:{server.getsockname()[1]}"
    server.listen()
    return server, address


def connect(address: str) -> socket.socket:
    """Connect to what `listen` gave.

    Raises:
        UsageError: the study is gone.
    """
    kind, _, place = address.partition(":")
    try:
        if kind == "unix":
            # mypy knows no AF_UNIX where the platform has none.
            made = socket.socket(socket.AF_UNIX)
            made.connect(place)
            return made
        return socket.create_connection(("127.0.0.1", int(place)))
    except OSError as error:
        print("calando: the study that started this run is gone", file=sys.stderr)
        raise UsageError(
            message("the study that started this run cannot be reached ({strerror})", strerror=error.strerror)
        ) from None
