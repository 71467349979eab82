"""TensorBoard's event files, by tensorboardX's messages: a run a folder, its files in the order of their names.

file      records, one after the other
record    length (8 bytes), CRC of it (4), an Event of that length, CRC of it (4); a kill may cut the last one short
Event     step, and scalars: simple_value, or a tensor of one number as TensorFlow 2 writes
          or a session's start: what was logged from that step on is void
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from calando.errors import UsageError, quote
from calando.language import message
from calando.loops.log_readers import LoggedRun, Reader, Series, runs_of_series

__all__ = ["READER"]

FILES = "*tfevents*"
FLOAT, DOUBLE = 1, 2  # of TensorFlow's DataType
START = 1  # of SessionLog's status


def _is_of(path: Path) -> bool:
    return "tfevents" in path.name and not path.is_dir()


def _found(folder: Path) -> Sequence[Path]:
    """One file of each run; the others are read with it."""
    first: dict[Path, Path] = {}
    for file in sorted(path for path in folder.rglob(FILES) if path.is_file()):
        first.setdefault(file.parent, file)
    return list(first.values())


def _read(file: Path) -> Iterator[LoggedRun]:
    series: dict[str, Series] = {}
    for part in sorted(path for path in file.parent.glob(FILES) if path.is_file()):
        for event in _events(part):
            if event.session_log.status == START:
                series = {tag: [pair for pair in pairs if pair[0] < event.step] for tag, pairs in series.items()}
            for value in event.summary.value:
                if (number := _number(value)) is not None:
                    series.setdefault(value.tag, []).append((event.step, number))
    runs = list(runs_of_series(str(file.parent), series))
    if not runs:
        scalars = ", ".join(sorted(series)) or "none"
        raise UsageError(
            message(
                "{parent} logs no rate, under no usual name; its scalars: {scalars}",
                parent=quote(str(file.parent)),
                scalars=quote(scalars),
            )
        )
    yield from runs


def _events(file: Path) -> Iterator[Any]:
    from google.protobuf.message import DecodeError
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    with file.open("rb") as records:
        while len(head := records.read(12)) == 12:
            length, check = struct.unpack("<QI", head)
            if masked_crc32c(head[:8]) != check:
                raise UsageError(message("{file} is no event file, or damaged", file=repr(str(file))))
            data, end = records.read(length), records.read(4)
            if len(data) < length or len(end) < 4:
                return
            if masked_crc32c(data) != struct.unpack("<I", end)[0]:
                raise UsageError(
                    message(
                        "{file} is damaged before byte {byte}; restore a copy",
                        file=repr(str(file)),
                        byte=records.tell(),
                    )
                )
            try:
                event = Event.FromString(data)
            except DecodeError:
                raise UsageError(
                    message("{file} holds records that are no events of TensorBoard", file=repr(str(file)))
                ) from None
            yield event


def _number(value: Any) -> float | None:
    found: float | None = None
    if value.WhichOneof("value") == "simple_value":
        found = value.simple_value
    elif value.WhichOneof("value") == "tensor" and not value.tensor.tensor_shape.dim:
        tensor = value.tensor
        if tensor.dtype == FLOAT:
            found = tensor.float_val[0] if tensor.float_val else _unpacked("<f", tensor.tensor_content)
        elif tensor.dtype == DOUBLE:
            found = tensor.double_val[0] if tensor.double_val else _unpacked("<d", tensor.tensor_content)
    return found if found is not None and math.isfinite(found) else None


def _unpacked(form: str, data: bytes) -> float | None:
    return float(struct.unpack(form, data)[0]) if len(data) == struct.calcsize(form) else None


READER = Reader(
    form=message("event files of TensorBoard"),
    is_of=_is_of,
    found=_found,
    read=_read,
    package="tensorboardX",
    extra="tensorboard",
    many=True,
)
