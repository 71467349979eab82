"""Other programs' files of SQLite, looked at and never written to."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

__all__ = ["copied", "has_tables", "open_read_only", "sqlite_files"]

MAGIC = b"SQLite format 3\0"
SUFFIXES = (".db", ".sqlite", ".sqlite3")


def sqlite_files(folder: Path) -> Sequence[Path]:
    """Those in a folder that have a usual name."""
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())


def has_tables(path: Path, names: Sequence[str]) -> bool:
    """Whether it is a file of SQLite with all of these tables."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return False
        with closing(open_read_only(path)) as connection:
            there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return set(names) <= there
    except (OSError, sqlite3.Error):
        return False


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that can change nothing."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def copied(path: Path, to: Path) -> Path:
    """A copy of one moment of it, what its log holds included."""
    with closing(open_read_only(path)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)
    return to
