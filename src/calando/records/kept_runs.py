"""The runs that a folder holds, one at a time: of a study, of a tuning, or the one of `calando train`.

    study       each finished run, with its look at the test part
    tuning      each arm, its pieces joined: also those that were dropped
    training    one

A study of ten thousand runs takes the memory of one: traces are read when their run's turn comes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from calando.errors import CorruptFile, UsageError
from calando.language import message
from calando.records.command_log import Branch, CommandLog
from calando.records.files import read_plain
from calando.records.record import Evaluation, Event, RunRecord, TestScore
from calando.records.run_file import RECORD_FILE, read_run
from calando.records.spec import RunSpec
from calando.records.store import FILE_NAME, Store, studies_in
from calando.records.tuning import Piece, TuneStore
from calando.schedules import Horizon
from calando.schedules.text import parse

__all__ = ["KeptFolder", "KeptRun", "Kind", "joined", "kind_of", "open_kept"]

Kind = Literal["study", "tuning", "training"]
DROPPED = "dropped"


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class KeptRun:
    """A run as it is kept.

    Args:
        spec: what was run; `digest` is its key.
        outcome: as of `RunRecord`; an arm of a tuning that did not come to its horizon is "dropped".
        steps_done: updates made.
        losses, rates: float32 and float64, of each update; of an arm that started from another's checkpoint, losses
            before that are nan. Rates are nan where nothing kept says them.
        score, loss: on validation, at the end; None where it was not evaluated.
        updates: charged for it, as `RunRecord.updates`.
        updates_spent, seconds_spent: without what it started from.
        record: the whole of it, of a run that has one.
        branch: how it left another run, of one that a person steered; None: it is no branch.
    """

    spec: RunSpec
    outcome: str
    steps_done: int
    losses: np.ndarray
    rates: np.ndarray
    evaluations: tuple[Evaluation, ...]
    events: tuple[Event, ...]
    score: float | None
    loss: float | None
    test: TestScore | None
    updates: int
    updates_spent: int
    seconds_spent: float
    host: dict[str, str]
    record: RunRecord | None = None
    branch: Branch | None = None

    @property
    def digest(self) -> str:
        """Its key."""
        return self.spec.digest()

    def whole(self) -> RunRecord:
        """As the record of a whole run; an arm's says what its pieces do.

        Raises:
            UsageError: an arm that was dropped, which is no whole run.
        """
        if self.record is not None:
            return self.record
        if self.outcome not in ("finished", "diverged"):
            raise UsageError(
                message(
                    "run {digest} is an arm of a tuning that was {outcome} at update {step}; choose "
                    "one that came to its end, as runs.csv says",
                    digest=self.digest,
                    outcome=message(self.outcome),
                    step=self.steps_done,
                )
            )
        return RunRecord(
            spec=self.spec,
            outcome="finished" if self.outcome == "finished" else "diverged",
            steps_done=self.steps_done,
            losses=self.losses,
            rates=self.rates,
            evaluations=self.evaluations,
            chance=float("nan"),
            events=self.events,
            seconds=self.seconds_spent,
        )

    def __repr__(self) -> str:
        """Which run, and how it ended."""
        return f"<run {self.digest} of {self.spec.strategy.name}, seed {self.spec.seed}: {self.outcome}>"


@final
class KeptFolder:
    """What a folder holds, open for reading.

    Args:
        question: what was asked, as JSON has it: a study's spec, a tuning's, a run's.
        title: what was trained.
        fingerprint: of the data.
        identity: of network and loss; "" where nobody looked.
        command: the line that made it; "": unknown.
        notes: what whoever reads it should know.
    """

    def __init__(
        self,
        folder: Path,
        kind: Kind,
        source: Store | TuneStore | tuple[RunRecord, TestScore],
        *,
        question: dict[str, Any],
        title: str,
        fingerprint: str,
        identity: str,
        command: str,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.folder, self.kind, self.question, self.title = folder, kind, question, title
        self.fingerprint, self.identity, self.command, self.notes = fingerprint, identity, command, notes
        self._source = source
        self._branches: dict[str, Branch] = {}
        if CommandLog.there(folder):
            with CommandLog.open(folder, read_only=True) as log:
                self._branches = log.branches()

    def runs(self, *, traces: bool = True, only: Collection[str] | None = None) -> Iterator[KeptRun]:
        """The runs, in the order in which they ended; without `traces`, with empty arrays.

        Args:
            only: digests; None: all.

        Raises:
            CorruptFile: one of them is damaged.
        """
        for run in self._runs(traces, only):
            yield replace(run, branch=self._branches.get(run.digest)) if self._branches else run

    def _runs(self, traces: bool, only: Collection[str] | None) -> Iterator[KeptRun]:
        match self._source:
            case Store() as store:
                tests = store.tests()
                for digest, record in store.runs(traces=False).items():
                    if only is None or digest in only:
                        yield _of_record(store.run(digest) if traces else record, tests.get(digest))
            case TuneStore() as store:
                tested, test = store.meta("tested"), store.test
                arms: dict[str, list[Piece]] = {}
                for piece in store.pieces():
                    arms.setdefault(piece.spec.digest(), []).append(piece)
                for digest, pieces in arms.items():
                    if only is None or digest in only:
                        yield joined(pieces, test if digest == tested else None, traces=traces)
            case record, test:
                if only is None or record.spec.digest() in only:
                    yield _of_record(record, test)


def kind_of(folder: Path) -> Kind | None:
    """What a folder holds; None: none of these."""
    if TuneStore.there(folder):
        return "tuning"
    if (folder / FILE_NAME).exists():
        return "study"
    return "training" if (folder / "spec.json").exists() or (folder / RECORD_FILE).exists() else None


@contextmanager
def open_kept(folder: Path) -> Iterator[KeptFolder]:
    """What a folder holds.

    Raises:
        UsageError: nothing of these, or several studies; a training that has not come to its end.
        CorruptFile: it is damaged, or of a newer calando.
    """
    match kind_of(folder):
        case "study":
            with Store.open(folder, read_only=True) as store:
                study = store.study
                yield KeptFolder(
                    folder,
                    "study",
                    store,
                    question=study.model_dump(mode="json"),
                    title=study.workload.title,
                    fingerprint=store.fingerprint,
                    identity=store.identity,
                    command=store.command,
                    notes=store.notes,
                )
        case "tuning":
            with TuneStore.open(folder, read_only=True) as tuning:
                yield KeptFolder(
                    folder,
                    "tuning",
                    tuning,
                    question=tuning.spec.model_dump(mode="json"),
                    title=tuning.spec.workload.title,
                    fingerprint=tuning.meta("fingerprint"),
                    identity=tuning.meta("identity"),
                    command=tuning.meta("command"),
                )
        case "training":
            yield _training(folder)
        case None:
            raise UsageError(_nothing(folder))


def _training(folder: Path) -> KeptFolder:
    if not (folder / RECORD_FILE).exists():
        raise UsageError(
            message(
                "the run in {folder!r} has not come to its end, or an older calando made it "
                "({file} is not there); the command that made it goes on, and writes it",
                folder=str(folder),
                file=RECORD_FILE,
            )
        )
    record, test = read_run(folder)
    try:
        known = json.loads(read_plain(folder / "spec.json", most=2**20))
        fingerprint, identity = str(known["data"]), str(known.get("identity", ""))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(
            message("{path} is damaged; the run can be made again in another folder", path=folder / "spec.json")
        ) from error
    spec = record.spec
    return KeptFolder(
        folder,
        "training",
        (record, test),
        question=spec.model_dump(mode="json"),
        title=spec.workload.title,
        fingerprint=fingerprint,
        identity=identity,
        command="",
    )


def _nothing(folder: Path) -> str:
    inside = studies_in(folder)
    if inside:
        return message(
            "{folder!r} holds {count} studies: name one, as {first!r}",
            folder=str(folder),
            count=len(inside),
            first=str(inside[0]),
        )
    if (folder / "result.json").exists():
        return message(
            "{folder!r} holds what your own code reported of one run, in result.json and traces.npz "
            "(for NumPy); runs made by `calando compare` are exported from the study's folder",
            folder=str(folder),
        )
    return message(
        "no study, tuning or run in {folder!r}; `calando compare`, `tune` and `train` make them", folder=str(folder)
    )


def _of_record(record: RunRecord, test: TestScore | None) -> KeptRun:
    return KeptRun(
        spec=record.spec,
        outcome=record.outcome,
        steps_done=record.steps_done,
        losses=record.losses,
        rates=record.rates,
        evaluations=record.evaluations,
        events=record.events,
        score=record.score,
        loss=record.loss,
        test=test,
        updates=record.updates,
        updates_spent=record.updates_spent,
        seconds_spent=record.seconds_spent,
        host=record.host,
        record=record,
    )


def joined(pieces: Iterable[Piece], test: TestScore | None = None, *, traces: bool = True) -> KeptRun:
    """A tuning's arm from its pieces, one at least."""
    pieces = sorted(pieces, key=lambda piece: piece.until)
    first, last = pieces[0], pieces[-1]
    losses = np.concatenate([np.full(first.since, np.nan, np.float32), *(piece.losses for piece in pieces)])
    looks = tuple(look for piece in pieces for look in piece.evaluations)
    whole = "finished" if last.stop == last.spec.steps else DROPPED
    return KeptRun(
        spec=last.spec,
        outcome="diverged" if last.diverged else whole,
        steps_done=last.stop,
        losses=losses if traces else losses[:0],
        rates=_planned_rates(last.spec, len(losses)) if traces else np.empty(0),
        evaluations=looks,
        events=tuple(event for piece in pieces for event in piece.events),
        score=looks[-1].score if looks else None,
        loss=looks[-1].loss if looks else None,
        test=test,
        updates=last.charged,
        updates_spent=sum(piece.stop - piece.start for piece in pieces),
        seconds_spent=sum(piece.seconds for piece in pieces),
        host={},
    )


def _planned_rates(spec: RunSpec, count: int) -> np.ndarray:
    """The rates of a run that its schedule alone decides; nan where controllers or groups have a say."""
    schedule = parse(spec.strategy.schedules.get("lr", "constant(1)"))
    if spec.strategy.controllers or schedule.group_names:
        return np.full(count, np.nan)
    horizon: Horizon = spec.horizon
    curve = schedule.bind(horizon.total_steps, steps_per_epoch=horizon.steps_per_epoch)
    return spec.lr * curve.sample()[:count]
