"""A SQLite file that checks what it reads, says plainly what is wrong with it, and never makes readers wait.

    reading     one moment of the file, whatever is written meanwhile
    writing     all of it, or nothing
    table       all rows of a table, as many as its index has

Nothing is checked that is not read, so that a file opens as soon with ten thousand runs as with ten. What is read is
checked whole: each row by its seal (rows.py), each table by counting its rows a second time, in its index.
"""

from __future__ import annotations

import gc
import os
import re
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import final

from calando.errors import CorruptFile, DiskFull, UsageError
from calando.host import free_bytes
from calando.records import rows
from calando.records.migrate import SCHEMA_VERSION, bring_up_to_date, create_tables, in_memory, schema_of

__all__ = ["Database", "speaking_plainly"]

PATIENCE_SECONDS = 30.0
LEAST_ROOM = 64 * 1024
LONGEST_VALUE = 256 * 1024**2
_COMPUTED = re.compile(r"\b(VIRTUAL|GENERATED|AS|CHECK|WHERE)\b", re.IGNORECASE)


@final
class Database:
    """An open file of today's schema, whatever it was before.

    Raises:
        CorruptFile: what is read is damaged, or was written by a newer calando.
        DiskFull: a write found no space; what was written before is intact.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, held: ExitStack) -> None:
        self.path = path
        self._connection = connection
        self._held = held

    @staticmethod
    def create(path: Path, meta: Mapping[str, str]) -> None:
        """Make a file that holds `meta` and its schema; there must be none."""
        # Built under another name: a kill in between leaves no half-made file behind.
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        told = [rows.meta_row(*item) for item in {"schema": str(SCHEMA_VERSION), **meta}.items()]
        with speaking_plainly(path), closing(sqlite3.connect(fresh)) as connection, connection:
            connection.execute("BEGIN")
            create_tables(connection)
            connection.executemany(rows.insert("meta", rows.META), told)
        for name in ("-wal", "-shm"):
            # Left by a file that was removed while it was in use: its log would be replayed into this one.
            path.with_name(f"{path.name}{name}").unlink(missing_ok=True)
        fresh.rename(path)

    @classmethod
    def open(cls, path: Path, *, read_only: bool) -> Database:
        """Open a file; one of an older schema is brought up to date, or read as if it were."""
        with speaking_plainly(path), ExitStack() as opened:
            connection = _connect(path, read_only=read_only)
            opened.callback(connection.close)
            # Never so much memory for one value, nor anything that works when it is read.
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
            _check_tables(connection)
            schema = schema_of(connection)
            if schema not in {str(version) for version in range(1, SCHEMA_VERSION + 1)}:
                raise CorruptFile(
                    f"{path} has schema {schema!r}, this calando reads 1 to {SCHEMA_VERSION}; use the one that made it"
                )
            if schema != str(SCHEMA_VERSION) and read_only:
                # Nothing may be written beside it: a copy in memory is brought up to date, and read.
                connection = opened.enter_context(closing(in_memory(connection)))
                bring_up_to_date(connection, path=None)
            elif schema != str(SCHEMA_VERSION):
                bring_up_to_date(connection, path=path)
            return cls(path, connection, opened.pop_all())

    def close(self) -> None:
        """Let go of the file."""
        self._held.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One moment of the file, whatever is written meanwhile."""
        with speaking_plainly(self.path), _nothing_collected():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All of it, or nothing."""
        with speaking_plainly(self.path), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def table(self, name: str, columns: Sequence[str]) -> list[rows.Row]:
        """All rows of a table, within `reading`."""
        found = self._connection.execute(f"SELECT {', '.join(columns)} FROM {name} ORDER BY rowid").fetchall()
        (count,) = self._connection.execute(f"SELECT count(*) FROM {name}").fetchone()
        if len({row[0] for row in found}) != count:
            raise rows.Damaged(f"some of its {name} are lost")
        return found


def _check_tables(connection: sqlite3.Connection) -> None:
    """See that what is read is rows of tables: a view or a computed column can run for ever.

    Raises:
        Damaged: there is something else.
    """
    for kind, name, made in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        if kind not in ("table", "index") or (made and _COMPUTED.search(made)):
            raise rows.Damaged(f"it has a {kind} {str(name)[:40]!r} that calando did not make")


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if read_only:
        # On a read-only medium SQLite cannot make the files that write-ahead logging shares between readers.
        log = path.with_name(f"{path.name}-wal")
        settled = not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
        mode = "immutable=1" if settled else "mode=ro"
        return sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=PATIENCE_SECONDS)
    connection = sqlite3.connect(path, timeout=PATIENCE_SECONDS)
    connection.execute("PRAGMA journal_mode = WAL")
    # A power cut may take the last records with it, never damage the file: they are made again from checkpoints.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Python's collector does not look for garbage meanwhile: among so many records that all stay it finds none."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def speaking_plainly(path: Path) -> Iterator[None]:
    """SQLite's and pydantic's complaints as ours, naming the file."""
    try:
        yield
    except CorruptFile:
        raise
    except sqlite3.OperationalError as error:
        # Where there is no room for the file that readers share, SQLite speaks of a disk I/O error.
        if "full" in str(error) or ("I/O" in str(error) and free_bytes(path.parent) < LEAST_ROOM):
            raise DiskFull(f"no space left for {path}; free some and run the same command again") from error
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise UsageError(
                f"{path} is locked by another program (a database browser, a backup?); close that and run the same "
                "command again"
            ) from error
        raise CorruptFile(
            f"{path} cannot be used ({_one_line(error)}); check its permissions, or restore a copy"
        ) from error
    except sqlite3.DatabaseError as error:
        raise CorruptFile(
            f"{path} is damaged or no study ({_one_line(error)}); restore a copy or remove the study folder"
        ) from error
    except rows.Damaged as error:
        raise CorruptFile(f"{path} is damaged: {error}; restore a copy or remove the study folder") from error
    except (ValueError, zlib.error, KeyError, TypeError, RecursionError, AssertionError) as error:
        raise CorruptFile(f"{path} holds something unreadable ({type(error).__name__}); restore a copy") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
