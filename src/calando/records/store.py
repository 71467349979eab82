"""The study folder's memory: one SQLite file, written by the coordinator alone.

    STUDY/study.sqlite      meta      study spec as asked and as settled by range tests, these tests,
                                      data fingerprint, command line, schema version
                            runs      one row a finished run: spec, outcome, traces
                            tests     one row a test look
                            commands  what the web page asked for; the one table it may append to
    STUDY/checkpoints/      see training/checkpoint.py
    STUDY/report.html, STUDY/figures/

Write-ahead logging lets any number of readers look on while the coordinator writes; a lock held on
`study.lock` keeps a second coordinator out.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from calando.errors import CorruptFile, DiskFull, UsageError
from calando.records.files import noticing_full_disk
from calando.records.record import Evaluation, Event, RangeRecord, RunRecord, TestScore, range_record_of
from calando.records.spec import RunSpec, StudySpec

__all__ = ["SCHEMA_VERSION", "Store", "sole_coordinator"]

SCHEMA_VERSION = 2
FILE_NAME = "study.sqlite"
_RANGE = "range test "

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE runs (
    digest TEXT PRIMARY KEY, spec TEXT NOT NULL, outcome TEXT NOT NULL, steps_done INTEGER NOT NULL,
    losses BLOB NOT NULL, rates BLOB NOT NULL, evaluations TEXT NOT NULL, chance REAL NOT NULL,
    events TEXT NOT NULL, seconds REAL NOT NULL, host TEXT NOT NULL,
    skips TEXT NOT NULL DEFAULT '[]', undone INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE tests (
    digest TEXT PRIMARY KEY REFERENCES runs (digest), score REAL NOT NULL, loss REAL NOT NULL, n INTEGER NOT NULL
);
CREATE TABLE commands (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL);
"""


# What brings a store of that version to the next one.
_MIGRATIONS = {
    1: (
        "ALTER TABLE runs ADD COLUMN skips TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE runs ADD COLUMN undone INTEGER NOT NULL DEFAULT 0",
    )
}


class Store:
    """An open study store; a context manager.

    Made by `Store.create` (a new study) or `Store.open`. All reads check what they read.

    Raises:
        CorruptFile: the file is no store, is damaged, or was written by a newer calando.
        DiskFull: a write found no space; what was written before is intact.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection

    @classmethod
    def create(cls, folder: Path, study: StudySpec, *, fingerprint: str, command: str = "") -> Store:
        """Start a study in `folder`, which must not hold one."""
        path = folder / FILE_NAME
        assert not path.exists()
        with noticing_full_disk(path):
            folder.mkdir(parents=True, exist_ok=True)
        # Built under another name: a kill in between leaves no half-made store behind.
        fresh = folder / f".{FILE_NAME}.new"
        fresh.unlink(missing_ok=True)
        meta = {"schema": str(SCHEMA_VERSION), "study": study.model_dump_json(), "fingerprint": fingerprint}
        meta["command"] = command
        with _speaking_plainly(path):
            connection = sqlite3.connect(fresh)
            with connection:
                connection.executescript(_SCHEMA)
                connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            connection.close()
        fresh.rename(path)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> Store:
        """Open the study in `folder`."""
        path = folder / FILE_NAME
        if not path.is_file():
            raise UsageError(f"no study in {str(folder)!r} ({FILE_NAME} is not there); `calando compare` makes one")
        if path.stat().st_size == 0:
            raise CorruptFile(f"{path} is empty; restore a copy or remove the study folder")
        with _speaking_plainly(path):
            if read_only:
                # On a read-only medium SQLite cannot make the files that write-ahead logging shares between readers.
                log = path.with_name(f"{FILE_NAME}-wal")
                settled = not os.access(folder, os.W_OK) and not (log.exists() and log.stat().st_size)
                mode = "immutable=1" if settled else "mode=ro"
                connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=30)
            else:
                connection = sqlite3.connect(path, timeout=30)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA foreign_keys = ON")
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise CorruptFile(f"{path} fails SQLite's own check; restore a copy or remove the study folder")
            store = cls(folder, connection)
            schema = store._meta("schema")
        if schema not in {str(version) for version in range(1, SCHEMA_VERSION + 1)}:
            raise CorruptFile(
                f"{path} has schema {schema!r}, this calando reads 1 to {SCHEMA_VERSION}; use the one that made it"
            )
        if not read_only and int(schema) < SCHEMA_VERSION:
            store._migrate(int(schema))
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    @property
    def asked(self) -> StudySpec:
        """The question as it was asked."""
        with _speaking_plainly(self.folder / FILE_NAME):
            return StudySpec.model_validate_json(self._meta("study"))

    @property
    def study(self) -> StudySpec:
        """The question this study answers: as asked, its grids moved where range tests have settled them."""
        with _speaking_plainly(self.folder / FILE_NAME):
            return StudySpec.model_validate_json(self._meta("settled", default=self._meta("study")))

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the data the study was started on."""
        return self._meta("fingerprint")

    @property
    def command(self) -> str:
        """The command line that started the study, or "" where Python did."""
        return self._meta("command", default="")

    def runs(self) -> dict[str, RunRecord]:
        """Every finished run, by digest."""
        with _speaking_plainly(self.folder / FILE_NAME):
            rows = self._connection.execute("SELECT * FROM runs ORDER BY rowid").fetchall()
            return {row[0]: _read_run(row) for row in rows}

    def tests(self) -> dict[str, TestScore]:
        """Every test look, by run digest."""
        with _speaking_plainly(self.folder / FILE_NAME):
            rows = self._connection.execute("SELECT digest, score, loss, n FROM tests ORDER BY rowid").fetchall()
            return {digest: TestScore(score=score, loss=loss, n=n) for digest, score, loss, n in rows}

    def ranges(self) -> dict[str, RangeRecord]:
        """Every range test, by the digest of the run it was made for."""
        with _speaking_plainly(self.folder / FILE_NAME):
            rows = self._connection.execute("SELECT key, value FROM meta WHERE key LIKE ?", (f"{_RANGE}%",)).fetchall()
            return {key.removeprefix(_RANGE): range_record_of(json.loads(value)) for key, value in rows}

    def put_range(self, digest: str, record: RangeRecord) -> None:
        """Keep a range test; the first stays."""
        self._write("INSERT OR IGNORE INTO meta VALUES (?, ?)", (f"{_RANGE}{digest}", json.dumps(asdict(record))))

    def settle(self, study: StudySpec) -> None:
        """Keep the study with its grids moved, for good: what was found once stays."""
        self._write("INSERT OR IGNORE INTO meta VALUES ('settled', ?)", (study.model_dump_json(),))

    def put_run(self, record: RunRecord) -> None:
        """Keep a finished run; one that is there already stays as it is."""
        row = (
            record.spec.digest(), record.spec.model_dump_json(), record.outcome, record.steps_done,
            _pack(record.losses, "<f4"), _pack(record.rates, "<f8"),
            json.dumps([asdict(evaluation) for evaluation in record.evaluations]), record.chance,
            json.dumps([asdict(event) for event in record.events]), record.seconds, json.dumps(record.host),
            json.dumps(record.skips), record.undone,
        )  # fmt: skip
        self._write(f"INSERT OR IGNORE INTO runs VALUES ({', '.join('?' * len(row))})", row)

    def put_test(self, digest: str, test: TestScore) -> None:
        """Keep a test look; the first stays."""
        self._write("INSERT OR IGNORE INTO tests VALUES (?, ?, ?, ?)", (digest, test.score, test.loss, test.n))

    def post_command(self, text: str) -> None:
        """Ask the coordinator for something ("stop")."""
        self._write("INSERT INTO commands (text) VALUES (?)", (text,))

    def take_commands(self) -> list[str]:
        """What was asked since the last call, in order; asked once, answered once."""
        with _speaking_plainly(self.folder / FILE_NAME):
            asked = self._connection.execute("SELECT id, text FROM commands ORDER BY id").fetchall()
        if asked:
            self._write("DELETE FROM commands WHERE id <= ?", (asked[-1][0],))
        return [text for _, text in asked]

    def _migrate(self, version: int) -> None:
        """Bring an older store to this version; a copy of it as it was stays beside it."""
        path = self.folder / FILE_NAME
        with _speaking_plainly(path):
            with sqlite3.connect(path.with_name(f"{FILE_NAME}.v{version}")) as copy:
                self._connection.backup(copy)
            copy.close()
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                for step in range(version, SCHEMA_VERSION):
                    for statement in _MIGRATIONS[step]:
                        self._connection.execute(statement)
                self._connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(SCHEMA_VERSION),))

    def _meta(self, key: str, *, default: str | None = None) -> str:
        with _speaking_plainly(self.folder / FILE_NAME):
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None and default is not None:
            return default
        if row is None:
            raise CorruptFile(f"{self.folder / FILE_NAME} lacks its {key!r}; restore a copy or remove the study folder")
        return str(row[0])

    def _write(self, sql: str, row: tuple[object, ...]) -> None:
        with _speaking_plainly(self.folder / FILE_NAME), self._connection:
            self._connection.execute(sql, row)


@contextmanager
def sole_coordinator(folder: Path) -> Iterator[None]:
    """Hold the study for this process; the lock goes with the process, however it ends.

    Raises:
        UsageError: another process holds it; the message names its process id.
    """
    path = folder / "study.lock"
    with noticing_full_disk(path):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UsageError(
                f"study {str(folder)!r} is being run by process {holder}; wait for it or stop it"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def _speaking_plainly(path: Path) -> Iterator[None]:
    """SQLite's and pydantic's complaints as ours, naming the file."""
    try:
        yield
    except CorruptFile:
        raise
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise DiskFull(f"no space left for {path}; free some and run the same command again") from error
        raise CorruptFile(
            f"{path} cannot be used ({_one_line(error)}); check its permissions, or restore a copy"
        ) from error
    except sqlite3.DatabaseError as error:
        raise CorruptFile(
            f"{path} is damaged or no study ({_one_line(error)}); restore a copy or remove the study folder"
        ) from error
    except (ValueError, zlib.error, KeyError, TypeError) as error:
        raise CorruptFile(f"{path} holds something unreadable ({type(error).__name__}); restore a copy") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _read_run(row: tuple[object, ...]) -> RunRecord:
    # A store of the first version, opened for reading alone, has neither skips nor undone.
    padded = (*row, "[]", 0)[:13] if len(row) < 13 else row
    digest, spec, outcome, steps_done, losses, rates, evaluations, chance, events, seconds, host, skips, undone = padded
    run = RunSpec.model_validate_json(str(spec))
    if run.digest() != digest or outcome not in ("finished", "diverged", "died"):
        raise CorruptFile(f"run {digest} in the store does not match its own spec; restore a copy")
    return RunRecord(
        spec=run,
        outcome=outcome,
        steps_done=int(str(steps_done)),
        losses=_unpack(losses, "<f4"),
        rates=_unpack(rates, "<f8"),
        evaluations=tuple(Evaluation(**entry) for entry in json.loads(str(evaluations))),
        chance=float(str(chance)),
        events=tuple(Event(**entry) for entry in json.loads(str(events))),
        skips=tuple((int(step), int(count)) for step, count in json.loads(str(skips))),
        undone=int(str(undone)),
        seconds=float(str(seconds)),
        host=json.loads(str(host)),
    )


def _pack(values: np.ndarray, dtype: str) -> bytes:
    return zlib.compress(np.ascontiguousarray(values, dtype=dtype).tobytes())


def _unpack(blob: object, dtype: str) -> np.ndarray:
    assert isinstance(blob, bytes)
    return np.frombuffer(zlib.decompress(blob), dtype=dtype)
