"""The study folder's memory: one SQLite file, written by the coordinator alone.

    STUDY/study.sqlite      meta      study spec as asked and as settled by range tests, these tests,
                                      data fingerprint, what network and loss are, command line,
                                      schema version
                            runs      one row a finished run: spec, outcome, evaluations, cost
                            traces    its losses and rates
                            tests     one row a test look
                            commands  empty since commands have a file of their own (command_log.py)
    STUDY/checkpoints/      see training/checkpoint.py
    STUDY/report.html, STUDY/figures/

Write-ahead logging lets any number of readers look on while the coordinator writes; a lock held on
`study.lock` keeps a second coordinator out.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from calando.errors import CorruptFile, UsageError
from calando.host import lock, status_of
from calando.language import message
from calando.records import rows
from calando.records.database import Database, lost_commits
from calando.records.files import noticing_full_disk
from calando.records.record import RangeRecord, RunRecord, TestScore, range_record_of
from calando.records.spec import StudySpec

__all__ = ["Added", "Store", "StoredStudy", "sole_coordinator", "studies_in"]

FILE_NAME = "study.sqlite"
_RANGE = "range test "


def studies_in(folder: Path) -> list[Path]:
    """The study folders that lie in a folder which is none itself, the one last written to first."""
    if (folder / FILE_NAME).exists() or not folder.is_dir():
        return []
    found = [(path, status_of(path)) for path in folder.glob(f"*/{FILE_NAME}")]
    there = sorted((-one.st_mtime, str(path)) for path, one in found if one and stat.S_ISREG(one.st_mode))
    return [Path(name).parent for _, name in there]


@dataclass(frozen=True, eq=False)
class StoredStudy:
    """What a store held at one moment: everything that the answer and the page need."""

    study: StudySpec  # its grids moved where range tests have settled them
    runs: dict[str, RunRecord]  # by digest
    tests: dict[str, TestScore]  # by the run's digest
    fingerprint: str  # of the data
    command: str  # the line that started the study, or "" where Python did


@dataclass
class Added:
    """What a store got.

    Args:
        study: JSON of the question as it is now.
        run, test: row numbers of the last ones.
    """

    study: str
    run: int
    test: int
    runs: dict[str, RunRecord] = field(default_factory=dict)
    tests: dict[str, TestScore] = field(default_factory=dict)


class Store:
    """An open study store; a context manager.

    `Store.create` makes one for a new study, `Store.open` opens one. Whatever is read is checked.

    Raises:
        CorruptFile: the file is no store, is damaged, or was written by a newer calando.
        DiskFull: the disk is full; what was written before is intact.
    """

    def __init__(self, folder: Path, file: Database, *, lost: int = 0) -> None:
        self.folder = folder
        self._file = file
        self._lost = lost

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the store, in sentences."""
        if not self._lost:
            return ()
        note = message(
            "the log of {path} is damaged: its last changes ({lost} or more) are lost; the runs "
            "that they held are made again by the command that made the study",
            path=self.folder / FILE_NAME,
            lost=self._lost,
        )
        return (note,)

    @classmethod
    def create(
        cls, folder: Path, study: StudySpec, *, fingerprint: str, identity: str = "", command: str = ""
    ) -> Store:
        path = folder / FILE_NAME
        assert not path.exists()
        if (folder / "tune.sqlite").exists():
            raise UsageError(message("{folder!r} holds a tuning; name another folder=", folder=str(folder)))
        with noticing_full_disk(path):
            folder.mkdir(parents=True, exist_ok=True)
        known = {"fingerprint": fingerprint, "identity": identity, "command": command}
        Database.create(path, {"study": study.model_dump_json(), **known})
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> Store:
        path = folder / FILE_NAME
        if path.is_dir():
            raise CorruptFile(message("{path} is a folder; restore a copy or remove the study folder", path=path))
        if not path.is_file():
            if (folder / "tune.sqlite").exists():
                raise UsageError(
                    message(
                        "{folder!r} holds a tuning, not a comparison; `calando show` and `calando report` read it",
                        folder=str(folder),
                    )
                )
            inside = studies_in(folder)
            remedy = (
                message("it holds {count}: name one, as {first!r}", count=len(inside), first=str(inside[0]))
                if inside
                else message("`calando compare` makes one")
            )
            raise UsageError(
                message(
                    "no study in {folder!r} ({FILE_NAME} is not there); {remedy}",
                    folder=str(folder),
                    FILE_NAME=FILE_NAME,
                    remedy=remedy,
                )
            )
        if path.stat().st_size == 0:
            raise CorruptFile(message("{path} is empty; restore a copy or remove the study folder", path=path))
        for companion in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            # Asked once: another process may remove it between two questions.
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(companion.stat().st_mode):
                    raise CorruptFile(
                        message("{companion} is a pipe or a folder, not a file; remove it", companion=companion)
                    )
        # Before SQLite reads the log, which passes over damage in silence.
        lost = lost_commits(path)
        return cls(folder, Database.open(path, read_only=read_only), lost=lost)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    @property
    def asked(self) -> StudySpec:
        with self._file.reading():
            return StudySpec.model_validate_json(_known(self._all_meta(), "study"))

    @property
    def study(self) -> StudySpec:
        """The question this study answers, with its rate grids moved to where range tests have centred them."""
        with self._file.reading():
            return _study(self._all_meta())

    @property
    def fingerprint(self) -> str:
        with self._file.reading():
            return _known(self._all_meta(), "fingerprint")

    @property
    def identity(self) -> str:
        """Description of network and loss, as `calando.training.identity` writes it; "": not known yet."""
        with self._file.reading():
            return self._all_meta().get("identity", "")

    @property
    def place(self) -> Path | None:
        """Where the files of its data lie; None: no path names them, or an older calando made it."""
        with self._file.reading():
            place = self._all_meta().get("place", "")
        return self.folder / place if place else None

    def keep_place(self, place: str) -> None:
        """Keep where the files of its data lie, relative to its folder."""
        self._replace({"place": place})

    def identify(self, text: str) -> None:
        self._replace({"identity": text})

    @property
    def command(self) -> str:
        with self._file.reading():
            return self._all_meta().get("command", "")

    def runs(self, *, traces: bool = True) -> dict[str, RunRecord]:
        """Every finished run by digest, in the order of writing. Without `traces`, the records have empty arrays.

        Traces are most of a store; without them, none of them is read.
        """
        with self._file.reading() as file:
            return self._runs(file, traces=traces)

    @property
    def version(self) -> object:
        """A value that changes when another connection has written; takes some microseconds."""
        return self._file.version

    def after(self, *, run: int, test: int) -> Added:
        """What was added after these row numbers of runs and tests; records come without traces."""
        with self._file.reading() as file:
            reader, added = rows.RunReader(), Added(run=run, test=test, study=_text(self._all_meta()))
            for number, *row in file.execute(f"SELECT rowid, {', '.join(rows.RUNS)} FROM runs WHERE rowid > ?", (run,)):
                added.run, added.runs[row[0]] = number, reader.read(tuple(row), None)
            found = f"SELECT rowid, {', '.join(rows.TESTS)} FROM tests WHERE rowid > ?"
            for number, *row in file.execute(found, (test,)):
                digest, score = rows.read_score(tuple(row))
                added.test, added.tests[digest] = number, score
            return added

    def traces(
        self, digests: Sequence[str], *, only: Literal["losses", "rates"] | None = None
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Digest, losses and rates of existing runs; with `only`, the other array is empty."""
        with self._file.reading() as file:
            for digest in digests:
                found = file.execute("SELECT steps_done, outcome FROM runs WHERE digest = ?", (digest,)).fetchone()
                if found is None:
                    raise rows.Damaged(message("run {digest} is lost", digest=digest))
                seen = found[0] + (found[1] == "diverged")
                yield digest, *rows.unpacked(digest, _traces(file, digest), seen=seen, only=only)

    def run(self, digest: str) -> RunRecord:
        with self._file.reading() as file:
            row = file.execute(f"SELECT {', '.join(rows.RUNS)} FROM runs WHERE digest = ?", (digest,)).fetchone()
            if row is None:
                raise rows.Damaged(message("run {digest} is lost", digest=digest))
            return rows.RunReader().read(tuple(row), _traces(file, digest))

    def tests(self) -> dict[str, TestScore]:
        with self._file.reading():
            return self._tests()

    def read(self, *, traces: bool = True) -> StoredStudy:
        """Everything that the answer and the page need, read at one moment; `traces` as for `runs`."""
        with self._file.reading() as file:
            meta = self._all_meta()
            return StoredStudy(
                study=_study(meta),
                runs=self._runs(file, traces=traces),
                tests=self._tests(),
                fingerprint=_known(meta, "fingerprint"),
                command=meta.get("command", ""),
            )

    def ranges(self) -> dict[str, RangeRecord]:
        """Every range test, by the digest of its run."""
        with self._file.reading():
            found = {key: value for key, value in self._all_meta().items() if key.startswith(_RANGE)}
            return {key.removeprefix(_RANGE): range_record_of(json.loads(value)) for key, value in found.items()}

    def put_range(self, digest: str, record: RangeRecord) -> None:
        self._put("meta", rows.META, rows.sealed(f"{_RANGE}{digest}", json.dumps(asdict(record))))

    def settle(self, study: StudySpec) -> None:
        self._replace({"settled": study.model_dump_json()})

    def enlarge(self, *, asked: StudySpec, study: StudySpec, command: str) -> None:
        """Replace the question by a larger one; `study` is the larger one with its grids moved so far."""
        self._replace({"study": asked.model_dump_json(), "settled": study.model_dump_json(), "command": command})

    def put_run(self, record: RunRecord) -> None:
        row = rows.run_row(record)
        traces = rows.trace_row(row[0], record)
        with self._file.writing() as file:
            file.execute(rows.insert("runs", rows.RUNS), row)
            file.execute(rows.insert("traces", rows.TRACES), traces)

    def put_test(self, digest: str, test: TestScore) -> None:
        self._put("tests", rows.TESTS, rows.score_row(digest, test))

    def _runs(self, file: sqlite3.Connection, *, traces: bool) -> dict[str, RunRecord]:
        reader = rows.RunReader()
        found = self._file.table("runs", rows.RUNS)
        return {row[0]: reader.read(row, _traces(file, row[0]) if traces else None) for row in found}

    def _tests(self) -> dict[str, TestScore]:
        return dict(map(rows.read_score, self._file.table("tests", rows.TESTS)))

    def _all_meta(self) -> dict[str, str]:
        # All, since a key that is looked up in a damaged index may seem not to be there.
        return dict(map(rows.unsealed, self._file.table("meta", rows.META)))

    def _put(self, table: str, columns: Sequence[str], row: rows.Row) -> None:
        with self._file.writing() as file:
            file.execute(rows.insert(table, columns), row)

    def _replace(self, meta: Mapping[str, str]) -> None:
        with self._file.writing() as file:
            for key, value in meta.items():
                file.execute("DELETE FROM meta WHERE key = ?", (key,))
                file.execute(rows.insert("meta", rows.META), rows.sealed(key, value))


def _known(meta: Mapping[str, str], *keys: str) -> str:
    """The value of the first of these keys that there is."""
    for key in keys:
        if key in meta:
            return meta[key]
    raise rows.Damaged(message("it lacks its {key!r}", key=keys[-1]))


def _text(meta: Mapping[str, str]) -> str:
    return _known(meta, "settled", "study")


def _study(meta: Mapping[str, str]) -> StudySpec:
    return StudySpec.model_validate_json(_text(meta))


def _traces(file: sqlite3.Connection, digest: str) -> rows.Row:
    found = file.execute(f"SELECT {', '.join(rows.TRACES)} FROM traces WHERE digest = ?", (digest,)).fetchone()
    if found is None:
        raise rows.Damaged(message("the traces of run {digest} are lost", digest=digest))
    return tuple(found)


@contextmanager
def sole_coordinator(folder: Path) -> Iterator[None]:
    """Hold the study for this process, however it ends; UsageError where another does, with its process id."""
    path = folder / "study.lock"
    with noticing_full_disk(path):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UsageError(
                message(
                    "{folder!r} is a file or lies in one; name another path, or change its permissions",
                    folder=str(folder),
                )
            ) from None
        if path.exists() and not path.is_file():
            raise CorruptFile(message("{path} is a pipe or a folder, not a file; remove it", path=path))
        file = path.open("a+")
    with file:
        if not lock(file):
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UsageError(
                message(
                    "study {folder!r} is being run by process {holder}; wait for it or stop it",
                    folder=str(folder),
                    holder=holder,
                )
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
