"""What was asked of the runs in a folder, what came of it, and the branches that were made: rows that stay.

    FOLDER/commands.sqlite    commands   one row an asking: key, when, who, which run, the line, the step that was seen
                              answers    one row an answer: accepted at a step, done, or refused and why
                              branches   one row a command that made one, or asked for it again: its spec, the run
                                         that it left, and where; the first counts

Anyone who may steer adds commands; the coordinator alone adds answers and branches. A row is never changed or deleted,
so the file is the audit, and the state of every run is a function of it:

    asked twice under one key  one command
    accepted                   the branch is stored in the same transaction: a coordinator killed then makes it later
    at rest                    a run whose last accepted command paused or stopped it, or made a branch of it
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, final

from calando.errors import CorruptFile, FileLocked, UsageError, quote, said_by
from calando.language import message
from calando.records.command import parse_command, verb_of
from calando.records.database import in_one_line, readable
from calando.records.files import noticing_full_disk
from calando.records.spec import RunSpec
from calando.records.task_spec import OwnTrainingSpec

__all__ = ["FILE_NAME", "WHOLE", "Asked", "Branch", "CommandLog", "State", "steered_in"]

FILE_NAME = "commands.sqlite"
WHOLE = ""
"""In the place of a run: all of them."""
PATIENCE_SECONDS = 10.0
MOST_LETTERS = 200
MOST_OPEN = 1000
"""Commands that may wait for an answer at a time."""
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")

State = Literal["asked", "accepted", "done", "refused"]

_TABLES = """
CREATE TABLE IF NOT EXISTS commands (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, at REAL NOT NULL, who TEXT NOT NULL,
    run TEXT NOT NULL, line TEXT NOT NULL, seen INTEGER);
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, command INTEGER NOT NULL, at REAL NOT NULL, state TEXT NOT NULL,
    run TEXT NOT NULL, step INTEGER, why TEXT NOT NULL, UNIQUE (command, state));
CREATE TABLE IF NOT EXISTS branches (
    digest TEXT NOT NULL, command INTEGER NOT NULL, parent TEXT NOT NULL, step INTEGER NOT NULL, spec TEXT NOT NULL,
    PRIMARY KEY (digest, command));
"""


_REMEDY = message(
    "restore a copy, or remove this file: runs and verdicts stay, what was steered goes on as it was planned"
)


def _in_one_line(path: Path) -> AbstractContextManager[None]:
    return in_one_line(path, remedy=_REMEDY)


@final
@dataclass(frozen=True, kw_only=True)
class Asked:
    """A command, and how far it has come.

    Args:
        number: its place among all.
        key: given by whoever asked: the same key again is the same command.
        at: when, in seconds since 1970.
        who: in words of whoever asked.
        run: a run's digest or a part that tells it, or a strategy's name; "": the only one in progress.
        line: the command.
        seen: the step at which the run was seen then; None: not known.
        state: its last answer, "asked" before the first.
        target: the digest of the run that it concerned, once that was looked up.
        step: where it took effect; the updates that the run had made.
        branch: the digest of the run that goes on instead; "": none.
        why: it was refused.
        answered: when its last answer came.
    """

    number: int
    key: str
    at: float
    who: str
    run: str
    line: str
    seen: int | None = None
    state: State = "asked"
    target: str = ""
    step: int | None = None
    branch: str = ""
    why: str = ""
    answered: float | None = None

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@final
@dataclass(frozen=True, kw_only=True)
class Branch:
    """A run that left another because a person changed its strategy.

    Args:
        spec: the branch's.
        parent: the digest of the run that it left.
        step: updates of the state of the parent that it starts from; 0: from the beginning.
        command: number of the command.
    """

    spec: RunSpec
    parent: str
    step: int
    command: int

    @property
    def digest(self) -> str:
        """Of its spec."""
        return self.spec.digest()

    def again(self, folder: Path) -> str:
        """What makes it again from the beginning; of a person's own code, what that code is to say."""
        if isinstance(self.spec.workload, OwnTrainingSpec):
            return f"calando.run({self.spec.strategy.text!r}, seed={self.spec.seed}) in {self.spec.workload.code}"
        return f"calando train {folder / 'branches' / self.digest}.json"


def steered_in(folder: Path) -> tuple[str, ...]:
    """The branches of a folder's runs, in sentences."""
    if not CommandLog.there(folder):
        return ()
    try:
        with CommandLog.open(folder, read_only=True) as log:
            lines = {one.number: one.line for one in log.rows()}
            branches = log.branches()
    except (CorruptFile, FileLocked) as error:
        # They take no part in verdicts, which stand without them.
        return (message("which runs were steered is not known: {why}", why=said_by(error)),)
    return tuple(
        message(
            "{name}, seed {seed}, was steered ({line!r}); the branch {digest} takes no part in "
            "verdicts; again: {again}",
            name=one.spec.strategy.name,
            seed=one.spec.seed,
            line=lines[one.command],
            digest=digest,
            again=one.again(folder),
        )
        for digest, one in branches.items()
    )


@final
class CommandLog:
    """The commands of a folder, open; a context manager.

    Raises:
        CorruptFile: the file is damaged.
        DiskFull: a write found no space.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self._connection = path, connection

    @staticmethod
    def there(folder: Path) -> bool:
        """Whether anything was ever asked there."""
        return (folder / FILE_NAME).exists()

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> CommandLog:
        """Open the commands of a folder; made where there are none, unless `read_only`."""
        path = folder / FILE_NAME
        if path.exists() and not path.is_file():
            raise CorruptFile(message("{path} is a pipe or a folder, not a file; remove it", path=path))
        with noticing_full_disk(path), _in_one_line(path):
            if read_only:
                connection = sqlite3.connect(readable(path), uri=True, timeout=PATIENCE_SECONDS)
            else:
                connection = sqlite3.connect(path, timeout=PATIENCE_SECONDS, isolation_level=None)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.executescript(_TABLES)
        return cls(path, connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def ask(self, line: str, *, run: str = WHOLE, key: str, who: str = "", seen: int | None = None) -> Asked:
        """Add a command; the same key again changes nothing and gives back what there is.

        Raises:
            UsageError: the line is no command, the key is none or stands for another command, too many wait.
        """
        line = parse_command(line).text
        if not _KEY.fullmatch(key):
            raise UsageError(
                message("a command's key is up to 64 letters, digits, - and _, got {key}", key=quote(key[:80]))
            )
        if len(run) > MOST_LETTERS or len(who) > MOST_LETTERS or not (run + who).isprintable():
            raise UsageError(message("run and who are printable texts of at most {most} letters", most=MOST_LETTERS))
        if seen is not None and not 0 <= seen < 2**53:
            raise UsageError(
                message("the step that was seen must be a whole number of 0 or more, got {seen}", seen=seen)
            )
        with self._writing() as file:
            there = file.execute("SELECT run, line FROM commands WHERE key = ?", (key,)).fetchone()
            if there is not None and tuple(there) != (run, line):
                raise UsageError(
                    message(
                        "command {key} was asked before, as {there}; give another key", key=key, there=quote(there[1])
                    )
                )
            if there is None:
                (waiting,) = file.execute(
                    "SELECT count(*) FROM commands WHERE number NOT IN (SELECT command FROM answers)"
                ).fetchone()
                if waiting >= MOST_OPEN:
                    raise UsageError(
                        message(
                            "{waiting} commands wait for an answer already; wait for it, or stop the training",
                            waiting=waiting,
                        )
                    )
                given = (key, time.time(), who, run, line, seen)
                file.execute("INSERT INTO commands (key, at, who, run, line, seen) VALUES (?, ?, ?, ?, ?, ?)", given)
        return next(one for one in self.rows() if one.key == key)

    def accept(self, asked: Asked, *, target: str, step: int, branch: Branch | None = None) -> None:
        """It takes effect at `step` of the run `target`; its branch, if any, is stored with that."""
        with self._writing() as file:
            self._answer(file, asked.number, "accepted", run=target, step=step)
            if branch is not None:
                known = (branch.digest, asked.number, branch.parent, branch.step, branch.spec.model_dump_json())
                file.execute("INSERT OR IGNORE INTO branches VALUES (?, ?, ?, ?, ?)", known)

    def done(self, asked: Asked) -> None:
        """It has taken effect."""
        with self._writing() as file:
            self._answer(file, asked.number, "done")

    def refuse(self, asked: Asked, why: str, *, target: str = "") -> None:
        """It cannot be."""
        with self._writing() as file:
            self._answer(file, asked.number, "refused", run=target, why=why)

    def rows(self) -> list[Asked]:
        """Every command with its last answer, in the order in which they were asked."""
        with _in_one_line(self.path):
            self._connection.execute("BEGIN")
            try:
                asked = self._connection.execute(
                    "SELECT number, key, at, who, run, line, seen FROM commands ORDER BY number"
                ).fetchall()
                answers = self._connection.execute(
                    "SELECT command, at, state, run, step, why FROM answers ORDER BY number"
                ).fetchall()
                branches = dict(self._connection.execute("SELECT command, digest FROM branches").fetchall())
            finally:
                self._connection.rollback()
            found = {
                number: Asked(number=number, key=key, at=at, who=who, run=run, line=line, seen=seen)
                for number, key, at, who, run, line, seen in asked
            }
            for number, at, state, run, step, why in answers:
                one = found[number]
                known = {**asdict(one), "state": state, "answered": at, "why": why}
                known |= {"target": run or one.target, "step": one.step if step is None else step}
                found[number] = Asked(**{**known, "branch": branches.get(number, "")})
        return list(found.values())

    def branches(self) -> dict[str, Branch]:
        """Every branch by its digest, in the order in which they were made."""
        with _in_one_line(self.path):
            rows = self._connection.execute(
                "SELECT spec, parent, step, command FROM branches ORDER BY rowid"
            ).fetchall()
            made = [
                Branch(spec=RunSpec.model_validate(json.loads(spec)), parent=parent, step=step, command=command)
                for spec, parent, step, command in rows
            ]
            # One that was asked for again is the same run, and starts where the first left it.
            first: dict[str, Branch] = {}
            for one in made:
                first.setdefault(one.digest, one)
            return first

    def at_rest(self) -> dict[str, Literal["paused", "stopped", "left"]]:
        """The runs that do not go on, and why: by their last accepted command."""
        found: dict[str, Literal["paused", "stopped", "left"]] = {}
        for one in self.rows():
            if one.state not in ("accepted", "done") or not one.target:
                continue
            verb, fork = verb_of(one.line)
            match verb:
                case "pause":
                    found[one.target] = "paused"
                case "stop":
                    found[one.target] = "stopped"
                case "resume":
                    found.pop(one.target, None)
                case "change":
                    if not fork:
                        found[one.target] = "left"
                    # What was left before and is steered to again goes on.
                    found.pop(one.branch, None)
        return found

    def _answer(
        self,
        file: sqlite3.Connection,
        number: int,
        state: State,
        *,
        run: str = "",
        step: int | None = None,
        why: str = "",
    ) -> None:
        # Answered so before it was killed: once is enough.
        given = (number, time.time(), state, run, step, why)
        file.execute(
            "INSERT OR IGNORE INTO answers (command, at, state, run, step, why) VALUES (?, ?, ?, ?, ?, ?)", given
        )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._as_ours():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            with self._as_ours():
                yield self._connection
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _as_ours(self) -> Iterator[None]:
        """SQLite's complaints in a line; what is refused in between stays what it is."""
        try:
            yield
        except sqlite3.Error as error:
            with _in_one_line(self.path):
                raise error
