"""A SQLite file that checks what it reads, names what is wrong with it, and never makes readers wait.

    reading     one moment of the file, whatever is written meanwhile
    writing     all of it, or nothing
    table       all rows of a table, as many as its index has

Nothing is checked that is not read, so that a file opens as soon with ten thousand runs as with ten. What is read is
checked whole: each row by its seal (rows.py), each table by counting its rows a second time, in its index.

Is SQLite's write-ahead log whole? SQLite itself reads it up to the first damage and passes over the rest in silence.

    header    magic, version, page size, number, salt 1, salt 2, checksum          32 bytes
    frame     page, commit, salt 1, salt 2, checksum                               24 bytes, and a page
    commit    above 0 in the last frame of a transaction

    checksum  of all before it: (a, b) -> (a + b + x, a + 2 b + x + y) mod 2^32 for each pair of words x, y

A kill leaves a log that ends early: what follows is cut short, or of an older log, with other salts. Damage leaves
whole frames after one that is not, or a last frame of full length that is not whole.

Source: https://www.sqlite.org/fileformat2.html, section 4, *The Write-Ahead Log*.
"""

from __future__ import annotations

import functools
import os
import re
import sqlite3
import struct
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from calando.collector import nothing_collected
from calando.errors import CorruptFile, DiskFull, FileLocked, fault_of, said_by
from calando.host import free_bytes, status_of
from calando.language import message
from calando.records import rows
from calando.records.files import read_plain
from calando.records.migrate import SCHEMA_VERSION, bring_up_to_date, create_tables, in_memory, schema_of

__all__ = [
    "LONGEST_VALUE",
    "Database",
    "check_tables",
    "in_one_line",
    "lost_commits",
    "readable",
]


PATIENCE_SECONDS = 30.0
LEAST_ROOM = 64 * 1024
RESTORE = message("restore a copy or remove the study folder")
LONGEST_VALUE = 256 * 1024**2
_COMPUTED = re.compile(r"\b(VIRTUAL|GENERATED|AS|CHECK|WHERE)\b", re.IGNORECASE)


@final
class Database:
    """An open file of today's schema, whatever it was before; CorruptFile and DiskFull say what is wrong with it."""

    def __init__(self, path: Path, connection: sqlite3.Connection, held: ExitStack, *, is_copy: bool) -> None:
        self.path, self._is_copy = path, is_copy
        self._connection = connection
        self._held = held

    @staticmethod
    def create(path: Path, meta: Mapping[str, str]) -> None:
        """Make a file that holds `meta` and its schema; there must be none."""
        # Built under another name: a kill in between leaves no half-made file behind.
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        entries = [rows.sealed(*item) for item in {"schema": str(SCHEMA_VERSION), **meta}.items()]
        with in_one_line(path), closing(sqlite3.connect(fresh)) as connection, connection:
            connection.execute("BEGIN")
            create_tables(connection)
            connection.executemany(rows.insert("meta", rows.META), entries)
        for name in ("-wal", "-shm"):
            # Left by a file that was removed while it was in use: its log would be replayed into this one.
            path.with_name(f"{path.name}{name}").unlink(missing_ok=True)
        fresh.rename(path)

    @classmethod
    def open(cls, path: Path, *, read_only: bool) -> Database:
        """Open a file; one of an older schema is brought up to date, or read as if it were."""
        with in_one_line(path), ExitStack() as opened:
            connection = _connect(path, read_only=read_only)
            opened.callback(connection.close)
            # Never so much memory for one value, nor anything that works when it is read.
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
            check_tables(connection)
            schema = schema_of(connection)
            if schema not in {str(version) for version in range(1, SCHEMA_VERSION + 1)}:
                raise CorruptFile(
                    message(
                        "{path} has schema {schema!r}, this calando reads 1 to {newest}; use the one that made it",
                        path=path,
                        schema=schema,
                        newest=SCHEMA_VERSION,
                    )
                )
            is_copy = schema != str(SCHEMA_VERSION) and read_only
            if is_copy:
                # Nothing may be written next to it: a copy in memory is brought up to date, and read.
                connection = opened.enter_context(closing(in_memory(connection)))
                bring_up_to_date(connection, path=None)
            elif schema != str(SCHEMA_VERSION):
                bring_up_to_date(connection, path=path)
            return cls(path, connection, opened.pop_all(), is_copy=is_copy)

    def close(self) -> None:
        self._held.close()

    @property
    def version(self) -> object:
        """Another one after anybody else has written."""
        with in_one_line(self.path):
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            # A copy in memory does not hear of it.
            return version, self.path.stat().st_mtime_ns if self._is_copy else 0

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One moment of the file, whatever is written meanwhile."""
        with in_one_line(self.path), nothing_collected():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        with in_one_line(self.path), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def table(self, name: str, columns: Sequence[str]) -> list[rows.Row]:
        """All rows of a table, within `reading`."""
        found = self._connection.execute(f"SELECT {', '.join(columns)} FROM {name} ORDER BY rowid").fetchall()
        (count,) = self._connection.execute(f"SELECT count(*) FROM {name}").fetchone()
        if len({row[0] for row in found}) != count:
            raise rows.Damaged(message("some of its {name} are lost", name=name))
        return found


def check_tables(connection: sqlite3.Connection) -> None:
    """Raise Damaged where there is more than rows of tables: a view or a computed column can run for ever."""
    for kind, name, made in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        if kind not in ("table", "index") or (made and _COMPUTED.search(made)):
            raise rows.Damaged(
                message("it has the {kind} {name!r}, which calando did not make", kind=kind, name=str(name)[:40])
            )


def readable(path: Path) -> str:
    """The address of a file that is only read, for `sqlite3.connect(uri=True)`."""
    # On a read-only medium SQLite cannot make the files that write-ahead logging shares between readers.
    settled = not os.access(path.parent, os.W_OK) and not _bytes_of(path.with_name(f"{path.name}-wal"))
    return f"{path.resolve().as_uri()}?{'immutable=1' if settled else 'mode=ro'}"


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if read_only:
        # Whoever reads in several threads sees to it that one does at a time.
        return sqlite3.connect(readable(path), uri=True, timeout=PATIENCE_SECONDS, check_same_thread=False)
    connection = sqlite3.connect(path, timeout=PATIENCE_SECONDS)
    connection.execute("PRAGMA journal_mode = WAL")
    # A power cut may take the last records with it, never damage the file: they are made again from checkpoints.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@contextmanager
def in_one_line(path: Path, *, remedy: str = RESTORE) -> Iterator[None]:
    """SQLite's and pydantic's complaints as ours, naming the file and what to do with one that is damaged."""
    try:
        yield
    except CorruptFile:
        raise
    except sqlite3.OperationalError as error:
        # Where there is no room for the file that readers share, SQLite speaks of a disk I/O error.
        if "full" in str(error) or ("I/O" in str(error) and free_bytes(path.parent) < LEAST_ROOM):
            raise DiskFull(
                message("no space left for {path}; free some and run the same command again", path=path)
            ) from error
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise FileLocked(
                message(
                    "{path} is locked by another program (a database browser, a backup?); close that and run "
                    "the same command again",
                    path=path,
                )
            ) from error
        raise CorruptFile(
            message(
                "{path} cannot be used ({reason}); check its permissions, or restore a copy",
                path=path,
                reason=_one_line(error),
            )
        ) from error
    except sqlite3.DatabaseError as error:
        raise CorruptFile(
            message(
                "{path} is damaged or not calando's ({reason}); {remedy}",
                path=path,
                reason=_one_line(error),
                remedy=remedy,
            )
        ) from error
    except rows.Damaged as error:
        raise CorruptFile(
            message("{path} is damaged: {why}; {remedy}", path=path, why=said_by(error), remedy=remedy)
        ) from error
    except (ValueError, zlib.error, KeyError, TypeError, RecursionError, AssertionError) as error:
        raise CorruptFile(
            message("{path} holds something unreadable ({kind}); restore a copy", path=path, kind=fault_of(error))
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


Words = NDArray[np.uint32]

HEADER, FRAME = 32, 24
MAGIC, BIG_ENDIAN = 0x377F0682, 1
INDEX_VERSION, INDEX_BYTES = 3_007_000, 136
AGAIN_SECONDS = 0.05
LONGEST = 2**31


def lost_commits(path: Path) -> int:
    """How many transactions are lost to damage in the log of the store at `path`; 1 where nobody knows how many.

    0 for a log that is whole, ends early, or is not there; but where its index is left, as by a kill, a log shorter
    than the index says has lost something. May be called while others write.
    """
    log = path.with_name(f"{path.name}-wal")
    lost = _lost(log)
    if lost:
        # Read while somebody wrote it, it may look so; then it looks otherwise the next time.
        time.sleep(AGAIN_SECONDS)
        lost = min(lost, _lost(log))
    return lost


def _lost(log: Path) -> int:
    # The index first: who writes lengthens the log before the index says so.
    indexed = _bytes_indexed(log.with_name(f"{log.name.removesuffix('-wal')}-shm"))
    return _lost_within(log) or int(indexed > _bytes_of(log))


def _bytes_of(log: Path) -> int:
    there = status_of(log)
    return there.st_size if there else 0


def _bytes_indexed(index: Path) -> int:
    """How long a log is by its index, which SQLite keeps in memory that a kill leaves as a file; 0: it does not say.

    48 bytes, twice: version, …, page size (2 bytes at 14), frames (4 at 16), …; at 96 the frames that the store has.
    """
    try:
        data = index.read_bytes()[:INDEX_BYTES]
    except OSError:
        return 0
    if len(data) < INDEX_BYTES or data[:48] != data[48:96]:
        return 0
    (version,), (size, frames), (stored,) = (
        struct.unpack_from(form, data, place) for form, place in (("=I", 0), ("=HI", 14), ("=I", 96))
    )
    if version != INDEX_VERSION or frames <= stored:
        return 0
    return int(HEADER + frames * (FRAME + (65536 if size == 1 else size)))


def _lost_within(log: Path) -> int:
    try:
        data = read_plain(log, most=LONGEST)
    except OSError:
        return 0
    if len(data) <= HEADER:
        return 0
    magic, _, size, _, *salts = struct.unpack(">6I", data[:24])
    if magic | BIG_ENDIAN != MAGIC | BIG_ENDIAN or size & (size - 1) or not 512 <= size <= 65536:
        # Without a header nobody knows how many there were.
        return 1
    order = ">u4" if magic & BIG_ENDIAN else "<u4"
    before = struct.unpack(">2I", data[24:32])
    whole = _checksum(np.frombuffer(data[:24], order), (0, 0)) == before
    broken, after = 0, 0
    ends = len(data) - FRAME - size
    for start in range(HEADER, ends + 1, FRAME + size):
        _, commit, *rest = struct.unpack(">6I", data[start : start + FRAME])
        words = np.frombuffer(data[start : start + 8] + data[start + FRAME : start + FRAME + size], order)
        sound = rest[:2] == salts and _checksum(words, before) == tuple(rest[2:])
        if whole and not sound:
            if start == ends:
                return 1
            broken = int(commit > 0)
        whole = whole and sound
        if commit and sound and not whole:
            after += 1
        before = (rest[2], rest[3])
    # With nothing whole behind it, what is broken may be what a kill left in the midst of, over an older log.
    return broken + after if after else 0


def _checksum(words: NDArray[np.generic], before: tuple[int, ...]) -> tuple[int, int]:
    """Over an even number of words, from the checksum of what stands before them."""
    factors, (aa, ab, ba, bb) = _factors(len(words))
    own = (factors * words.astype(np.uint32)).sum(axis=1, dtype=np.uint32)
    a, b = before
    return (aa * a + ab * b + int(own[0])) % 2**32, (ba * a + bb * b + int(own[1])) % 2**32


@functools.cache
def _factors(count: int) -> tuple[Words, tuple[int, int, int, int]]:
    """How much each word counts in the sums a and b, and how much the sums before them do."""
    rows = np.zeros((2, count), dtype=np.uint32)
    aa, ab, ba, bb = 1, 0, 0, 1  # the matrix [[1, 1], [1, 2]] to the power of the pairs that follow
    for place in range(count - 2, -1, -2):
        rows[:, place] = (aa + ab) % 2**32, (ba + bb) % 2**32
        rows[:, place + 1] = ab, bb
        aa, ab, ba, bb = (one % 2**32 for one in (aa + ab, aa + 2 * ab, ba + bb, ba + 2 * bb))
    return rows, (aa, ab, ba, bb)
