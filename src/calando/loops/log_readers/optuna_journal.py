"""Optuna's journal file: lines of JSON, read by Optuna."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from calando.language import message
from calando.loops.log_readers import LoggedRun, Reader
from calando.loops.optuna_trials import trials_in

__all__ = ["READER"]

SUFFIXES = (".journal", ".log", ".jsonl")


def _is_of(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline(65536))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"op_code", "worker_id"} <= first.keys()


def _found(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file() and _is_of(path))


def _read(file: Path) -> Iterator[LoggedRun]:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    yield from trials_in(file, JournalStorage(JournalFileBackend(str(file))))


READER = Reader(
    form=message("a journal of Optuna"),
    is_of=_is_of,
    found=_found,
    read=_read,
    package="optuna",
    extra="tune",
    many=True,
)
