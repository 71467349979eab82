"""Reads `live.sqlite`, while somebody writes it or after they have gone.

What cannot be read is no picture: a file that is missing, damaged or of another version looks as if nothing were in
progress, since whatever matters is kept elsewhere.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from calando.host import is_locked
from calando.records import rows
from calando.records.database import LONGEST_VALUE, check_tables, readable
from calando.records.live_file import FILE, LOCK, NOTE, RUN_COLUMNS, VERSION, RunRow
from calando.records.record import RunRecord, TestScore
from calando.standing import Standing

__all__ = ["LivePicture", "News", "is_conducted"]

Points = tuple[list[int], list[float | None], list[float | None]]
"""Steps, rates, losses."""

WRONG = (sqlite3.Error, rows.Damaged, KeyError, ValueError, TypeError, RecursionError)
LOCKS = ("study.lock", LOCK)
MOST_POINTS = 1_000_000


@final
@dataclass
class News:
    """What was written after a number.

    Args:
        generation: of the file; another one has numbers of its own. "": there is none.
        seq: the last number.
        runs: those in progress that changed, and those that were put away.
        points, scores: by digest; scores as steps, scores, losses.
        said, forms: of the words of `standing`, and of each note, as `calando.stored_words.restored` takes them.
    """

    generation: str = ""
    seq: int = 0
    runs: list[RunRow] = field(default_factory=list)
    there: set[str] = field(default_factory=set)  # digests of all rows
    points: dict[str, Points] = field(default_factory=dict)
    scores: dict[str, Points] = field(default_factory=dict)
    probes: list[tuple[str, int]] = field(default_factory=list)
    standing: Standing | None = None
    said: object = None
    notes: list[str] = field(default_factory=list)
    forms: list[object] = field(default_factory=list)


@final
class LivePicture:
    """The picture of a folder; it follows the file where that is replaced. Threads wait for each other."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._file: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None
        self._version: object = None
        # Two threads in one connection end the process.
        self._lock = threading.RLock()

    def has_changed(self) -> bool:
        """Whether anything was written since the last time this was asked; it costs some microseconds."""
        now = None
        with self._reading() as file:
            if file is not None:
                (version,) = file.execute("PRAGMA data_version").fetchone()
                now = (version, id(file))
        changed, self._version = now != self._version, now
        return changed

    def since(self, seq: int, *, generation: str = "") -> News:
        """What was written after `seq`, of one moment; of a file of another generation, all of it."""
        news = News()
        with self._reading() as file:
            if file is None:
                return news
            known = dict(file.execute("SELECT key, value FROM meta"))
            news.generation, news.seq = str(known["generation"]), int(known["seq"])
            seq = seq if generation == news.generation else 0
            found = f"SELECT {', '.join(RUN_COLUMNS[1:])} FROM runs WHERE seq > ? ORDER BY seq"
            news.runs = [RunRow(*row) for row in file.execute(found, (seq,))]
            news.there = {digest for (digest,) in file.execute("SELECT digest FROM runs")}
            for into, table, first, second in (
                (news.points, "points", "rate", "loss"),
                (news.scores, "scores", "score", "loss"),
            ):
                found = (
                    f"SELECT run, step, {first}, {second} FROM {table} WHERE seq > ? ORDER BY seq LIMIT {MOST_POINTS}"
                )
                for run, step, one, other in file.execute(found, (seq,)):
                    _add(into.setdefault(run, ([], [], [])), step, one, other)
            news.probes = list(file.execute("SELECT run, step FROM probes WHERE seq > ? ORDER BY seq", (seq,)))
            standing = Standing(**json.loads(known["standing"]))
            news.standing = standing if standing.words else None
            news.said = json.loads(known.get("said", "null"))
            notes = file.execute("SELECT seq, text FROM notes ORDER BY seq LIMIT 1000").fetchall()
            news.notes = [text for _seq, text in notes]
            news.forms = [json.loads(known.get(f"{NOTE}{seq}", "null")) for seq, _text in notes]
            return news
        return News()

    def curve(self, digest: str) -> Points:
        """Steps, rates and losses that are known of a run in progress."""
        return self._curve("SELECT step, rate, loss FROM points WHERE run = ? ORDER BY step", digest)

    def looks(self, digest: str) -> Points:
        """Steps, scores and losses of its looks at the validation part."""
        return self._curve("SELECT step, score, loss FROM scores WHERE run = ? ORDER BY step", digest)

    def probes(self, digest: str) -> list[dict[str, Any]]:
        """What `calando.watch` saw of it."""
        with self._reading() as file:
            if file is not None:
                found = file.execute("SELECT row FROM probes WHERE run = ? ORDER BY step", (digest,))
                return [json.loads(row) for (row,) in found]
        return []

    def records(self) -> tuple[dict[str, RunRecord], dict[str, TestScore]]:
        """Whole runs, and their test scores, that no store keeps."""
        with self._reading() as file:
            if file is not None:
                columns, reader = ", ".join(rows.RUNS), rows.RunReader()
                found = file.execute(f"SELECT {columns}, losses, rates, traces_seal FROM records").fetchall()
                records = {row[0]: reader.read(row[:-3], (row[0], *row[-3:])) for row in found}
                tests = map(rows.read_score, file.execute(f"SELECT {', '.join(rows.TESTS)} FROM tests").fetchall())
                return records, dict(tests)
        return {}, {}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                with suppress(sqlite3.Error):
                    self._file.close()
            self._file = self._opened = None

    def _curve(self, select: str, digest: str) -> Points:
        found: Points = ([], [], [])
        with self._reading() as file:
            if file is not None:
                for point in file.execute(select, (digest,)):
                    _add(found, *point)
        return found

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """One moment of the file; None where there is none. What is wrong with it ends the block."""
        with self._lock:
            file = None
            try:
                file = self._current()
                if file is not None:
                    file.execute("BEGIN")
            except (OSError, *WRONG):
                self.close()
                file = None
            if file is None:
                yield None
                return
            try:
                yield file
            except WRONG:
                self.close()
            finally:
                with suppress(sqlite3.Error):
                    file.rollback()

    def _current(self) -> sqlite3.Connection | None:
        """The connection to the file that is there now."""
        try:
            there = self.path.stat()
        except OSError:
            self.close()
            return None
        if self._file is not None and self._opened is not None and os.path.samestat(there, self._opened):
            return self._file
        self.close()
        file = sqlite3.connect(
            readable(self.path),
            uri=True,
            timeout=0.5,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            file.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
            check_tables(file)
            (version,) = file.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
            if version != VERSION:
                raise ValueError(f"of version {version!r}")
        except BaseException:
            file.close()
            raise
        self._file, self._opened = file, there
        return file


def _add(points: Points, step: int, one: float | None, other: float | None) -> None:
    points[0].append(step)
    points[1].append(one)
    points[2].append(other)


def is_conducted(folder: Path) -> bool:
    """Whether a process is at work in a folder: one that trains for a study, a tuning or a run in it."""
    for name in LOCKS:
        try:
            with (folder / name).open() as file:
                if is_locked(file):
                    return True
        except OSError:
            continue
    return False
