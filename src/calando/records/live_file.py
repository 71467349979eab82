"""The picture of runs in progress: a SQLite file in the folder of a study, a tuning or a run.

    FOLDER/live.sqlite    meta      version, generation (another for each file), seq, how the whole stands,
                                    and the forms of its words and of notes (`calando.stored_words`)
                          runs      one row a run in progress: who makes it, how far it is
                          points    step, rate, loss of some of its updates
                          scores    its looks at the validation part
                          probes    what `calando.watch` saw, as JSON
                          notes     for the user
                          records   a whole run, where no store keeps it
    FOLDER/live.lock      held by who writes it, where no study.lock is

    seq     counts everything that is written, so that whoever has read up to one number asks for what came after it.
            A row of runs that changes gets a new one.

Whoever trains writes it and nobody else. It is written a few times a second, and never synced: losing it, or finding
it damaged, loses the picture and nothing else, and another is begun.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import IO, Any, final

from calando.host import lock
from calando.language import message
from calando.records import rows
from calando.records.database import LONGEST_VALUE, check_tables
from calando.records.record import RunRecord, TestScore
from calando.standing import Standing
from calando.stored_words import form_of

__all__ = ["FILE", "LOCK", "NOTE", "RUN_COLUMNS", "VERSION", "LiveFile", "RunRow", "hold"]

FILE = "live.sqlite"
LOCK = "live.lock"
NOTE = "note "  # before the number of a note: the key of its form
VERSION = "1"
COMMIT_SECONDS = 0.4
MOST_STRETCHES = 2000

_TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL)",
    """CREATE TABLE runs (
    seq INTEGER NOT NULL, digest TEXT PRIMARY KEY, spec TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,
    seed INTEGER NOT NULL, lr REAL, steps INTEGER, state TEXT NOT NULL, slot INTEGER NOT NULL, began REAL NOT NULL,
    step INTEGER NOT NULL, rate REAL, loss REAL, score REAL, score_loss REAL, start INTEGER
)""",
    "CREATE TABLE points (seq INTEGER PRIMARY KEY, run TEXT NOT NULL, step INTEGER NOT NULL, rate REAL, loss REAL)",
    "CREATE TABLE scores (seq INTEGER PRIMARY KEY, run TEXT NOT NULL, step INTEGER NOT NULL, score REAL, loss REAL)",
    "CREATE TABLE probes (seq INTEGER PRIMARY KEY, run TEXT NOT NULL, step INTEGER NOT NULL, row TEXT NOT NULL)",
    "CREATE TABLE notes (seq INTEGER PRIMARY KEY, at REAL NOT NULL, text TEXT NOT NULL)",
    f"CREATE TABLE records ({', '.join(rows.RUNS)}, losses, rates, traces_seal)",
    f"CREATE TABLE tests ({', '.join(rows.TESTS)})",
)
RUN_COLUMNS = (
    "seq", "digest", "spec", "name", "text", "seed", "lr", "steps", "state", "slot", "began", "step", "rate", "loss",
    "score", "score_loss", "start",
)  # fmt: skip
_REPLACE_RUN = f"REPLACE INTO runs ({', '.join(RUN_COLUMNS)}) VALUES ({', '.join('?' * len(RUN_COLUMNS))})"
Point = tuple[int, float, float]


@final
@dataclass(slots=True)
class RunRow:
    """A run as the picture shows it.

    Args:
        spec: its JSON; "" for code of one's own that no study asked.
        lr: the base rate; None: unknown.
        steps: planned; None: unknown.
        state: "running", "left" (put away unfinished), "finished", "diverged", "died".
        began: seconds since the epoch, when it was last taken up.
        start: updates made when that was first reported.
        rate, loss: of the last update; `score`, `score_loss`: of the last look at the validation part.
    """

    digest: str
    spec: str
    name: str
    text: str
    seed: int
    lr: float | None
    steps: int | None
    state: str = "running"
    slot: int = 0
    began: float = 0.0
    step: int = 0
    rate: float | None = None
    loss: float | None = None
    score: float | None = None
    score_loss: float | None = None
    start: int = 0


class _Thinned:
    """Of each stretch of a run's updates the points of least and of greatest loss, so that a long run stays small."""

    def __init__(self, steps: int | None) -> None:
        self._steps, self._stretch = steps or 1, -1
        self._held: list[Point] = []

    def add(self, step: int, rate: float, loss: float) -> list[Point]:
        """The points that are settled since."""
        width = max(self._steps, step) // MOST_STRETCHES
        if width <= 1:
            return [*self.rest(), (step, rate, loss)]
        before = self.rest() if step // width != self._stretch else []
        self._stretch = step // width
        self._held.append((step, rate, loss))
        if len(self._held) > 2:
            ordered = sorted(self._held, key=lambda one: math.inf if math.isnan(one[2]) else one[2])
            self._held = sorted((ordered[0], ordered[-1]))
        return before

    def rest(self) -> list[Point]:
        """The points of the stretch that is not over."""
        held, self._held = self._held, []
        return held


@final
class LiveFile:
    """The file, open for the one who writes it; the caller sees to it that there is one.

    Args:
        folder: of the study, tuning or run.

    Raises:
        sqlite3.Error, OSError: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._process = os.getpid()
        self._runs: dict[str, RunRow] = {}  # those in progress
        self._thinned: dict[str, _Thinned] = {}
        self._resumed: set[str] = set()  # taken up, without a report so far
        self._changed: dict[str, RunRow] = {}
        self._waiting: list[tuple[str, tuple[Any, ...]]] = []
        self._standing, self._stood_otherwise = Standing(""), False
        self._seq, self._committed, self._replaced = 0, -math.inf, False
        self._opened: sqlite3.Connection | None = None
        self._closed = False
        self._open()

    @property
    def _file(self) -> sqlite3.Connection:
        assert self._opened is not None
        return self._opened

    # What is written

    def began(self, row: RunRow) -> None:
        """A run is taken up."""
        row.began = time.time()
        self._runs[row.digest] = self._changed[row.digest] = row
        self._thinned[row.digest] = _Thinned(row.steps)
        self._resumed.add(row.digest)
        self._soon()

    def point(self, digest: str, step: int, rate: float, loss: float) -> None:
        """After an update, or some; those of a step that was reached before replace what followed it."""
        row = self._runs[digest]
        if digest in self._resumed or step <= row.step:
            if digest in self._resumed:
                self._resumed.discard(digest)
                row.start = step
            self._put_points(digest, [one for one in self._thinned[digest].rest() if one[0] < step])
            self._waiting.append(("DELETE FROM points WHERE run = ? AND step >= ?", (digest, step)))
            self._waiting.append(("DELETE FROM scores WHERE run = ? AND step > ?", (digest, step)))
        row.step, row.rate, row.loss = step, _number(rate), _number(loss)
        self._put_points(digest, self._thinned[digest].add(step, rate, loss))
        self._changed[digest] = row
        self._soon()

    def score(self, digest: str, step: int, score: float, loss: float) -> None:
        """A look at the validation part; one of the same update is replaced: who resumes reports them again."""
        row = self._changed[digest] = self._runs[digest]
        self._waiting.append(("DELETE FROM scores WHERE run = ? AND step = ?", (digest, step)))
        row.step, row.score, row.score_loss = max(row.step, step), _number(score), _number(loss)
        self._put("scores", digest, step, row.score, row.score_loss)
        self._soon()

    def probe(self, digest: str, step: int, row: str) -> None:
        """A look of `calando.watch`, as JSON."""
        self._waiting.append(("DELETE FROM probes WHERE run = ? AND step >= ?", (digest, step)))
        self._put("probes", digest, step, row)
        self._soon()

    def note(self, text: str) -> None:
        """A note for the user."""
        self._put("notes", time.time(), text)
        if form := form_of(text):
            self._waiting.append(("REPLACE INTO meta VALUES (?, ?)", (f"{NOTE}{self._seq}", json.dumps(form))))
        self._soon()

    def stands(self, standing: Standing) -> None:
        """How the whole stands, in the place of how it stood before."""
        if standing != self._standing:
            self._standing, self._stood_otherwise = standing, True
        self._soon()

    def put_away(self, digest: str, state: str = "left") -> None:
        """A run is not in progress any more; its points stay."""
        if (row := self._runs.pop(digest, None)) is not None:
            self._put_points(digest, self._thinned.pop(digest).rest())
            row.state = state
            self._changed[digest] = row
            self._soon()

    def drop(self, digest: str) -> None:
        """A run is over, and its store has the whole of it."""
        self._runs.pop(digest, None)
        self._changed.pop(digest, None)
        self._waiting += [
            (f"DELETE FROM {table} WHERE {column} = ?", (digest,))
            for table, column in (("runs", "digest"), ("points", "run"), ("scores", "run"), ("probes", "run"))
        ]
        self._soon()

    def keep(self, record: RunRecord) -> None:
        """The whole of a run that no store keeps, in the place of its points."""
        digest, losses, rates, seal = rows.trace_row(record.spec.digest(), record)
        self._waiting += [
            (f"DELETE FROM {table} WHERE {column} = ?", (digest,))
            for table, column in (("records", "digest"), ("points", "run"), ("scores", "run"))
        ]
        self._put_row("records", (*rows.run_row(record), losses, rates, seal))
        self.put_away(digest, record.outcome)

    def keep_test(self, digest: str, test: TestScore) -> None:
        """The test score of such a run."""
        self._waiting.append(("DELETE FROM tests WHERE digest = ?", (digest,)))
        self._put_row("tests", rows.score_row(digest, test))
        self._soon()

    @property
    def is_own(self) -> bool:
        """Whether this process has opened it: a forked one inherits the object, and must not touch the file."""
        return os.getpid() == self._process

    def close(self) -> None:
        """Write what waits; runs in progress are left. Again: nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            for digest in list(self._runs):
                self.put_away(digest)
            self.flush()
        finally:
            # An open file keeps its disk busy, a full one as well.
            if self.is_own:
                self._file.close()

    # How it is written

    def flush(self) -> None:
        """Write what waits."""
        if not self.is_own:
            return
        self._committed = time.monotonic()
        if not self._waiting and not self._changed and not self._stood_otherwise:
            return
        if not self._is_there():
            self._begin_again()
        try:
            self._write()
        except sqlite3.OperationalError:
            raise  # a full disk, no permission: whoever follows is dropped, and a note reports it
        except sqlite3.DatabaseError:
            if self._replaced:
                raise
            self._replaced = True
            self._begin_again(damaged=True)
            self._write()

    def _soon(self) -> None:
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self.flush()

    def _put(self, table: str, *values: Any) -> None:
        self._seq += 1
        self._put_row(table, (self._seq, *values))

    def _put_row(self, table: str, row: Sequence[Any]) -> None:
        self._waiting.append((f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", tuple(row)))

    def _put_points(self, digest: str, points: Sequence[Point]) -> None:
        for step, rate, loss in points:
            self._put("points", digest, step, _number(rate), _number(loss))

    def _write(self) -> None:
        with self._file:
            self._file.execute("BEGIN IMMEDIATE")
            for statement, values in self._waiting:
                self._file.execute(statement, values)
            for row in self._changed.values():
                self._seq += 1
                self._file.execute(_REPLACE_RUN, (self._seq, *astuple(row)))
            if self._stood_otherwise:
                text = json.dumps(asdict(self._standing))
                self._file.execute("REPLACE INTO meta VALUES ('standing', ?)", (text,))
                self._file.execute("REPLACE INTO meta VALUES ('said', ?)", (json.dumps(form_of(self._standing.words)),))
            self._file.execute("REPLACE INTO meta VALUES ('seq', ?)", (self._seq,))
        self._waiting.clear()
        self._changed.clear()
        self._stood_otherwise = False

    def _open(self) -> None:
        """The file that an earlier one left, or another."""
        try:
            self._opened, self._made = _connect(self.path)
            check_tables(self._file)
            known = dict(self._file.execute("SELECT key, value FROM meta"))
            if known["version"] != VERSION:
                raise sqlite3.DatabaseError(f"of version {known['version']}")
            self._seq = int(known["seq"])
            for row in self._file.execute(f"SELECT {', '.join(RUN_COLUMNS[1:])} FROM runs WHERE state = 'running'"):
                self._changed[row[0]] = replace(RunRow(*row), state="left")
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            self._begin_again()
        except (sqlite3.DatabaseError, rows.Damaged, KeyError, ValueError, TypeError):
            self._begin_again(damaged=True)
        # They are an earlier process's.
        self._waiting[:0] = [("DELETE FROM notes", ()), (f"DELETE FROM meta WHERE key LIKE '{NOTE}%'", ())]
        self.flush()

    def _begin_again(self, *, damaged: bool = False) -> None:
        if self._opened is not None:
            with suppress(sqlite3.Error):
                self._opened.close()
        for name in ("", "-wal", "-shm"):
            self.path.with_name(f"{FILE}{name}").unlink(missing_ok=True)
        self._opened, self._made = _connect(self.path)
        with self._file:
            self._file.execute("BEGIN")
            for statement in _TABLES:
                self._file.execute(statement)
            made = {
                "version": VERSION,
                "generation": os.urandom(8).hex(),
                "seq": 0,
                "standing": json.dumps(asdict(self._standing)),
            }
            self._file.executemany("INSERT INTO meta VALUES (?, ?)", made.items())
        self._changed = {**self._runs, **self._changed}
        if damaged:
            self._put(
                "notes",
                time.time(),
                message("{file} was damaged and is begun again; what is finished is kept elsewhere", file=FILE),
            )

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), self._made)
        except OSError:
            return False


def hold(folder: Path) -> IO[str] | None:
    """The right to write the file of a folder in which no coordinator is; None: another process has it.

    It goes with the file that is returned, or with the process.
    """
    file = (folder / LOCK).open("a+")
    if lock(file):
        return file
    file.close()
    return None


def _connect(path: Path) -> tuple[sqlite3.Connection, os.stat_result]:
    file = sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)
    file.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    try:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = OFF")
        return file, path.stat()
    except BaseException:
        file.close()
        raise


def _number(value: float) -> float | None:
    """SQLite has no NaN; infinity stays."""
    return None if value != value else float(value)
