"""TensorBoard, by tensorboardX: a folder of event files a run, with its hyper-parameters.

    PLACE/NAME/events.out.tfevents.SECONDS.HOST.NANOSECONDS.calando

Records are written with tensorboardX's own writer of records, at once: its SummaryWriter keeps a queue, a thread and a
process's pipe for each run, and takes seven times as long a number (docs/LOG.md).
"""

from __future__ import annotations

import importlib
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from calando.loops.trackers import Point, Tracked, TrackedRun, register
from calando.records.files import file_name

__all__ = ["TensorBoard"]

VERSION = "brain.Event:2"
SUFFIX = ".calando"
JUDGED = ("validation/score", "test/score")
"""Of all numbers, those by which the table of hyper-parameters is sorted."""


@register(
    "tensorboard",
    package="tensorboardX",
    extra="tensorboard",
    place="tensorboard",
    see="tensorboard --logdir {place}",
)
@final
class TensorBoard:
    """See the top of this page."""

    def __init__(self, place: str, tracked: Tracked) -> None:
        importlib.import_module("tensorboardX")  # not when the first numbers come: it takes as long as torch
        self.place, self.tracked = Path(place), tracked
        self.files: dict[str, Any] = {}
        self.since: dict[str, int] = {}

    def begin(self, run: TrackedRun, *, since: int | None) -> None:
        """A new file; from `since` on what is in earlier ones of this run is hidden, or they are removed."""
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        earlier = list((self.place / file_name(run.name)).glob(f"events.out.tfevents.*{SUFFIX}"))
        # TensorBoard draws numbers in the order of the files: a line would go back to what is in an earlier one.
        self.since[run.key] = since or 0 if earlier else 0
        file = self._open(run, replaced=since is None)
        log = SessionLog(status=SessionLog.START)
        file.write(Event(wall_time=time.time(), step=since or 0, session_log=log).SerializeToString())

    def _open(self, run: TrackedRun, *, replaced: bool = False) -> Any:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter

        self._close(run)
        folder = self.place / file_name(run.name)
        folder.mkdir(parents=True, exist_ok=True)
        if replaced:
            for path in folder.glob(f"events.out.tfevents.*{SUFFIX}"):
                path.unlink()
        # By this name files are read in their order, also those of one second.
        seconds, rest = divmod(time.time_ns(), 10**9)
        name = f"events.out.tfevents.{seconds}.{socket.gethostname()}.{rest:09}{SUFFIX}"
        file = self.files[run.key] = RecordWriter(str(folder / name))
        file.write(Event(wall_time=time.time(), file_version=VERSION).SerializeToString())
        return file

    def points(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """Scalars."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        file, now = self.files[run.key], time.time()
        for step, numbers in points:
            if step < self.since.get(run.key, 0):
                continue
            values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
            file.write(Event(wall_time=now, step=step, summary=Summary(value=values)).SerializeToString())
        file.flush()

    def end(self, run: TrackedRun, outcome: str) -> None:
        """Hyper-parameters, with what it came to."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import hparams, text

        file, now = self.files[run.key], time.time()
        table = "\n".join(["|||", "|-|-|", *(f"|{name}|{_cell(value)}|" for name, value in run.parameters.items())])
        judged = hparams({**run.parameters, "outcome": outcome}, dict.fromkeys(JUDGED, 0.0))
        for summary in (*judged, text("run", f"{outcome}\n\n{table}")):
            file.write(Event(wall_time=now, summary=summary).SerializeToString())
        self._close(run)

    def leave(self, run: TrackedRun) -> None:
        """Nothing comes for now."""
        self._close(run)

    def late(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """In a file of its own."""
        self._open(run)
        self.points(run, points)
        self._close(run)

    def close(self) -> None:
        """Close what is open."""
        for file in self.files.values():
            file.close()
        self.files.clear()

    def _close(self, run: TrackedRun) -> None:
        if (file := self.files.pop(run.key, None)) is not None:
            file.close()


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
