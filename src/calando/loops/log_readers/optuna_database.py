"""Optuna's file of SQLite, read by Optuna from a copy: it is asked to change nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from calando.language import message
from calando.loops.log_readers import LoggedRun, Reader
from calando.loops.optuna_trials import trials_in
from calando.loops.sqlite_logs import copied, has_tables, sqlite_files

__all__ = ["READER"]

TABLES = ("studies", "trials", "trial_params", "trial_intermediate_values")


def _read(file: Path) -> Iterator[LoggedRun]:
    from optuna.storages import RDBStorage

    folder = Path(tempfile.mkdtemp())
    try:
        storage = RDBStorage(f"sqlite:///{copied(file, folder / 'optuna.db')}")
        try:
            yield from trials_in(file, storage)
        finally:
            storage.engine.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


READER = Reader(
    form=message("a file of SQLite of Optuna"),
    is_of=lambda path: has_tables(path, TABLES),
    found=lambda folder: [file for file in sqlite_files(folder) if has_tables(file, TABLES)],
    read=_read,
    package="optuna",
    extra="tune",
    many=True,
    fails=RuntimeError,
)
