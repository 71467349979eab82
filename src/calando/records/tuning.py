"""What a tuning is asked and what was trained for it: the question, the pieces of its arms, and the file of both.

    FOLDER/tune.sqlite     meta(key, value, seal)                          the question, data, identity, test score
                           pieces(digest, stop, piece, losses, seal)       one row for each stage of an arm

A piece is a stage [start, stop) of one run. Its losses are those of the updates from `since` on, which is 0 for the
first piece of a run that starts from another run's checkpoint, so that a run's losses are whole without the other's.
Every decision of a tuning is a function of its question and its pieces: killed anywhere, it goes on.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, final

import numpy as np
from pydantic import Field, PositiveInt, SerializerFunctionWrapHandler, model_serializer

from calando.errors import CorruptFile
from calando.language import message
from calando.records import rows
from calando.records.database import PATIENCE_SECONDS, in_one_line
from calando.records.fields import Spec, Worded
from calando.records.record import Evaluation, Event, TestScore
from calando.records.spec import LARGEST_SEED, Lane, RunSpec, Steps
from calando.records.strategy_spec import StrategySpec
from calando.records.task_spec import AnyTask, OwnTrainingSpec
from calando.schedules.text import parse

__all__ = ["LEAST_BUDGET", "MOST_BUDGET", "Also", "Piece", "TuneSpec", "TuneStore"]

VERSION = "1"
LEAST_BUDGET, MOST_BUDGET = 1.0, 1000.0
FILE = "tune.sqlite"
PIECES = ("digest", "stop", "piece", "losses", "seal")


Also = Literal["weight_decay", "momentum", "warmup"]
WARMS_FROM = 0.01
"""Of the rate, at the first update of a warmup."""


class TuneSpec(Spec):
    """A question: at which rate, and with which weights, should this task be trained?

    Args:
        strategy: method, options and schedules; its `lr` is where the race begins.
        open: the schedule is ours: the rate is held for half of the run, then falls to zero. So it may be shortened.
        steps: updates of one run.
        budget: how many runs all of it may cost.
        chance: the training loss of a network that ignores its inputs; None: unknown.
        look_cost: an evaluation, in updates.
        per_update: the most that an update is charged.
        measured: the update from on which it is `passes`.
        passes: what an update of a run that is left alone is charged: 2 where its method takes a second pass.
        also, own: other hyper-parameters for which values are proposed once the rate is settled, and the strategy's.
        sums: its momentum sums gradients up, so that the length of a step depends on it.
    """

    workload: AnyTask
    strategy: StrategySpec
    open: bool = False
    steps: Steps
    steps_per_epoch: PositiveInt
    evaluate_every: PositiveInt
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)]
    budget: Annotated[
        float,
        Field(ge=LEAST_BUDGET, le=MOST_BUDGET, allow_inf_nan=False),
        Worded(remark=message("in runs, everything included")),
    ]
    chance: Annotated[float, Field(allow_inf_nan=False)] | None = None
    look_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    per_update: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    measured: Annotated[int, Field(ge=0)] = 0
    passes: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    lane: Lane = Lane()
    also: tuple[Also, ...] = ()
    own: dict[str, float] = Field(default_factory=dict)
    sums: bool = False

    @model_serializer(mode="wrap")
    def _without_what_is_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A question of the rate alone is written, and digested, as it was before there were others."""
        written: dict[str, Any] = write(self)
        if not self.also:
            for name in ("also", "own", "sums"):
                written.pop(name, None)
        return written

    @property
    def whole(self) -> bool:
        """Whether arms are whole runs: a person's own code trains them, which cannot be forked at any update."""
        return isinstance(self.workload, OwnTrainingSpec)

    @property
    def run_cost(self) -> float:
        """What one run is charged, in updates: the unit of the budget."""
        return self.steps * self.passes

    def run(
        self,
        rate: float,
        *,
        steps: int,
        cuts: tuple[tuple[int, float], ...] = (),
        also: tuple[tuple[str, float], ...] = (),
    ) -> RunSpec:
        """The run of an arm.

        Args:
            steps: its length.
            cuts: from these updates on, the rate is such a share of the planned one.
            also: other hyper-parameters: options of the method; "warmup" in percent of the run.
        """
        others = dict(also)
        text = self.strategy.schedules["lr"]
        if steps < self.steps:
            assert self.open
            assert cuts
            text = f"constant(1, over='{max(steps // 2, cuts[-1][0])} steps') >> linear(1, 0)"
        if cuts:
            ends = (*(step for step, _ in cuts[1:]), None)
            stairs = [f"constant(1, over='{cuts[0][0]} steps')"] if cuts[0][0] else []
            for (step, factor), end in zip(cuts, ends, strict=True):
                over = "" if end is None else f", over='{end - step} steps'"
                stairs.append(f"constant({factor!r}{over})")
            text = f"({text}) * ({' >> '.join(stairs)})"
        if warmup := others.pop("warmup", 0.0):
            text = f"({text}) * (linear({WARMS_FROM}, 1, over='{warmup:g}%') >> constant(1))"
        schedules = {**self.strategy.schedules, "lr": str(parse(text))}
        settled = {"lr": rate, "schedules": schedules, "horizon": "", "options": {**self.strategy.options, **others}}
        strategy = self.strategy.model_copy(update=settled)
        return RunSpec(
            workload=self.workload,
            strategy=strategy,
            steps=steps,
            steps_per_epoch=self.steps_per_epoch,
            evaluate_every=self.evaluate_every,
            seed=self.seed,
            lane=self.lane,
        )


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Piece:
    """A stage of an arm that was trained.

    Args:
        spec: the run.
        start, stop: updates; `stop` is where it ended, before `until` only where it diverged.
        since: the update of the first of `losses`.
        losses: float32[stop - since], and that which ended a run that diverged.
        evaluations, events: of its updates.
        charged: the run's updates up to here as `RunRecord.updates` counts them, those before `start` included.
        diverged: it ended for good.
        seconds: wall-clock.
    """

    spec: RunSpec
    start: int
    stop: int
    until: int
    since: int
    losses: np.ndarray
    evaluations: tuple[Evaluation, ...] = ()
    events: tuple[Event, ...] = ()
    charged: int = 0
    diverged: bool = False
    seconds: float = 0.0


@final
class TuneStore:
    """The file of a tuning; one process writes to it."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder, self.path, self._connection = folder, folder / FILE, connection

    @staticmethod
    def there(folder: Path) -> bool:
        """Whether the folder holds a tuning."""
        return (folder / FILE).exists()

    @classmethod
    def create(cls, folder: Path, spec: TuneSpec, *, fingerprint: str, identity: str, command: str) -> TuneStore:
        """A new file; there must be none."""
        path = folder / FILE
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        known = {"version": VERSION, "question": spec.model_dump_json(), "fingerprint": fingerprint}
        known |= {"identity": identity, "command": command}
        with in_one_line(path), closing(sqlite3.connect(fresh)) as connection, connection:
            connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER NOT NULL)")
            connection.execute(
                "CREATE TABLE pieces (digest TEXT NOT NULL, stop INTEGER NOT NULL, piece TEXT NOT NULL, "
                "losses BLOB NOT NULL, seal INTEGER NOT NULL, PRIMARY KEY (digest, stop))"
            )
            connection.executemany(rows.insert("meta", rows.META), [rows.sealed(*item) for item in known.items()])
        fresh.rename(path)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> TuneStore:
        """The file there is.

        Raises:
            CorruptFile: it is damaged, or of a newer calando.
        """
        path = folder / FILE
        with in_one_line(path):
            where = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
            store = cls(folder, sqlite3.connect(where, uri=True, timeout=PATIENCE_SECONDS, isolation_level=None))
            found = store.meta("version")
        if found != VERSION:
            raise CorruptFile(
                message(
                    "{path} is of version {version!r}, this calando reads {newest}; use the one that made it",
                    path=path,
                    version=found,
                    newest=VERSION,
                )
            )
        return store

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> TuneStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def spec(self) -> TuneSpec:
        """The question."""
        with in_one_line(self.path):
            return TuneSpec.model_validate_json(self.meta("question"))

    def meta(self, key: str) -> str:
        """What is kept under a key; "" where there is nothing."""
        with in_one_line(self.path):
            row = self._connection.execute(f"SELECT {', '.join(rows.META)} FROM meta WHERE key = ?", (key,)).fetchone()
            return "" if row is None else str(rows.unsealed(tuple(row))[1])

    def put_meta(self, key: str, value: str) -> None:
        """Keep a value under a key, in the place of what was there."""
        with in_one_line(self.path), self._connection:
            columns = ", ".join(rows.META)
            self._connection.execute(f"REPLACE INTO meta ({columns}) VALUES (?, ?, ?)", rows.sealed(key, value))

    @property
    def test(self) -> TestScore | None:
        """The look at the test part, once it was made."""
        text = self.meta("test")
        return TestScore(**json.loads(text)) if text else None

    def put_test(self, digest: str, score: TestScore) -> None:
        self.put_meta("test", json.dumps(asdict(score)))
        self.put_meta("tested", digest)

    @property
    def proposals(self) -> list[tuple[tuple[str, float], ...]]:
        """Values of other hyper-parameters that were proposed so far, in their order."""
        text = self.meta("proposals")
        return [tuple((str(name), float(value)) for name, value in one) for one in json.loads(text)] if text else []

    def put_proposal(self, values: tuple[tuple[str, float], ...]) -> None:
        """Keep one more."""
        self.put_meta("proposals", json.dumps([*self.proposals, values]))

    def put(self, piece: Piece) -> None:
        """Keep a piece; one that is there stays."""
        written = asdict(piece) | {"spec": piece.spec.model_dump(mode="json")}
        del written["losses"]
        losses = zlib.compress(np.ascontiguousarray(piece.losses, "<f4").tobytes())
        text = json.dumps(written)
        row = (piece.spec.digest(), piece.until, text, losses)
        with in_one_line(self.path), self._connection:
            self._connection.execute(rows.insert("pieces", PIECES), (*row, _seal(*row)))

    def pieces(self) -> list[Piece]:
        """Every piece, in the order in which they came."""
        with in_one_line(self.path):
            found = self._connection.execute(f"SELECT {', '.join(PIECES)} FROM pieces ORDER BY rowid").fetchall()
            return [_piece(*row) for row in found]


def _seal(digest: str, stop: int, text: str, losses: bytes) -> int:
    return zlib.crc32(losses, zlib.crc32(f"{digest} {stop} {text}".encode()))


def _piece(digest: str, stop: int, text: str, losses: bytes, seal: int) -> Piece:
    if seal != _seal(digest, stop, text, losses):
        raise rows.Damaged(
            message("the piece of {digest} up to update {stop} is not what was written", digest=digest, stop=stop)
        )
    read: dict[str, Any] = json.loads(text)
    return Piece(
        **{
            **read,
            "spec": RunSpec.model_validate(read["spec"]),
            "losses": np.frombuffer(zlib.decompress(losses), "<f4"),
            "evaluations": tuple(Evaluation(**look) for look in read["evaluations"]),
            "events": tuple(Event(**event) for event in read["events"]),
        }
    )
