"""A single run as a file: what `calando train` leaves next to the weights, read without torch and without the task.

FOLDER/record.json    {"version", "run", "traces", "test"}: the rows that a study's store would hold, sealed as there;
                      the two arrays in base64
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from calando.errors import CorruptFile, fault_of, said_by
from calando.language import message
from calando.records import rows
from calando.records.files import read_plain, write_atomically
from calando.records.record import RunRecord, TestScore

__all__ = ["RECORD_FILE", "read_run", "write_run"]

RECORD_FILE = "record.json"
VERSION = 1
LARGEST = 2**31
"""Bytes of a file: the longest runs, of ten million updates, take 160 million."""


def write_run(folder: Path, record: RunRecord, test: TestScore) -> None:
    """Write a run that has ended, and its look at the test part.

    Raises:
        DiskFull: no space left.
    """
    run = rows.run_row(record)
    digest, losses, rates, seal = rows.trace_row(run[0], record)
    traces = [digest, *(base64.b64encode(packed).decode() for packed in (losses, rates)), seal]
    written = {"version": VERSION, "run": run, "traces": traces, "test": rows.score_row(digest, test)}
    write_atomically(folder / RECORD_FILE, json.dumps(written).encode())


def read_run(folder: Path) -> tuple[RunRecord, TestScore]:
    """What `write_run` wrote; OSError where there is no such file.

    Raises:
        CorruptFile: it is damaged, or of a newer calando.
    """
    path = folder / RECORD_FILE
    try:
        written: dict[str, Any] = json.loads(read_plain(path, most=LARGEST))
        if written["version"] != VERSION:
            raise CorruptFile(
                message(
                    "{path} is of version {version!r}, this calando reads {newest}; use the one that made it",
                    path=path,
                    version=written["version"],
                    newest=VERSION,
                )
            )
        digest, losses, rates, seal = written["traces"]
        packed = (digest, *(base64.b64decode(text, validate=True) for text in (losses, rates)), seal)
        record = rows.RunReader().read(tuple(written["run"]), packed)
        return record, rows.read_score(tuple(written["test"]))[1]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, CorruptFile):
            raise
        why = said_by(error) if isinstance(error, rows.Damaged) else fault_of(error)
        raise CorruptFile(
            message(
                "{path} is damaged ({why}); the command that made the run writes it again, without training",
                path=path,
                why=why,
            )
        ) from error
