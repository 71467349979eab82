"""Records as rows of the store's tables and back, each sealed, so that what is read is what was written.

    seal of a row       CRC-32 of its values as text, its key among them
    runs, traces        one row each a run: what is small, and the two long arrays; a table that is read without its
                        traces is not even passed over them
    evaluations         JSON, [{"step", "loss", "score", and "raw_loss", "raw_score" where there are any}, …]
    events              JSON, [{"step", "kind", "text"}, …]
    losses, rates       zlib of little-endian float32, float64

SQLite checks how its pages hang together, not what is in them; a seal notices a changed byte in any value.
"""

from __future__ import annotations

import functools
import json
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeVar, final, get_args

import numpy as np
from pydantic import TypeAdapter

from calando.language import message
from calando.records.family import SpecReader
from calando.records.record import Evaluation, Event, RunOutcome, RunRecord, TestScore

__all__ = [
    "META",
    "RUNS",
    "TESTS",
    "TRACES",
    "Damaged",
    "RunReader",
    "insert",
    "packed_trace_row",
    "read_score",
    "run_row",
    "score_row",
    "sealed",
    "trace_row",
    "unpacked",
    "unsealed",
]

T = TypeVar("T")
Row = tuple[Any, ...]

META = ("key", "value", "seal")
RUNS = (
    "digest", "spec", "outcome", "steps_done", "evaluations", "chance", "events", "skips", "undone", "second_passes",
    "seconds", "inherited", "inherited_seconds", "host", "seal",
)  # fmt: skip
TRACES = ("digest", "losses", "rates", "seal")
TESTS = ("digest", "score", "loss", "n", "seal")

_OUTCOMES = frozenset(get_args(RunOutcome))
NO_LOSSES, NO_RATES = np.empty(0, "<f4"), np.empty(0, "<f8")
NO_LOSSES.setflags(write=False)
NO_RATES.setflags(write=False)


class Damaged(ValueError):
    """Something read is not what was written; the store names the file."""


def insert(table: str, columns: Sequence[str]) -> str:
    """The statement that puts a row; one that is there stays."""
    return f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def run_row(record: RunRecord) -> Row:
    return sealed(
        record.spec.digest(),
        record.spec.model_dump_json(),
        record.outcome,
        record.steps_done,
        _json(
            [{key: value for key, value in asdict(look).items() if value is not None} for look in record.evaluations]
        ),
        float(record.chance),
        _json([asdict(event) for event in record.events]),
        _json(record.skips),
        record.undone,
        record.second_passes,
        float(record.seconds),
        record.inherited,
        float(record.inherited_seconds),
        _json(record.host),
    )


def trace_row(digest: str, record: RunRecord) -> Row:
    losses = zlib.compress(np.ascontiguousarray(record.losses, "<f4").tobytes())
    rates = zlib.compress(np.ascontiguousarray(record.rates, "<f8").tobytes())
    return packed_trace_row(digest, losses, rates)


def packed_trace_row(digest: str, losses: bytes, rates: bytes) -> Row:
    """A row of `traces` from compressed arrays."""
    return digest, losses, rates, _seal_of_traces(digest, losses, rates)


def score_row(digest: str, test: TestScore) -> Row:
    """A row of `tests`; SQLite has no NaN, and no sign of zero."""
    return sealed(digest, float(test.score), None if math.isnan(test.loss) else test.loss + 0.0, test.n)


def read_score(row: Row) -> tuple[str, TestScore]:
    """Digest and score from a row of `tests`; Damaged where it is not what was written."""
    digest, score, loss, n = unsealed(row)
    return digest, TestScore(score=score, loss=math.nan if loss is None else loss, n=n)


@final
class RunReader:
    """Records from rows; what many rows have in common is parsed once."""

    def __init__(self) -> None:
        self._specs = SpecReader()
        self._hosts: dict[str, dict[str, str]] = {}

    def read(self, row: Row, traces: Row | None) -> RunRecord:
        """A record from a row of `runs`, and one of `traces`, if given; ValueError where it is not what was written."""
        (
            digest, spec, outcome, steps_done, evaluations, chance, events, skips, undone, second_passes,
            seconds, inherited, inherited_seconds, host,
        ) = unsealed(row)  # fmt: skip
        run, theirs = self._specs.read(spec)
        if theirs != digest or outcome not in _OUTCOMES:
            raise Damaged(message("run {digest} does not match its own spec", digest=digest))
        looks = _reader(Evaluation).validate_json(evaluations)
        happened = () if events == "[]" else _reader(Event).validate_json(events)
        if outcome != "diverged" and looks and not math.isfinite(looks[-1].loss):
            # Earlier versions looked at training losses alone, which are those before each update.
            outcome = "diverged"
            text = message("validation loss is {loss} at the end: this counts as diverged", loss=looks[-1].loss)
            happened = (*happened, Event(step=max(0, steps_done - 1), kind="diverged", text=text))
        if host not in self._hosts:
            self._hosts[host] = json.loads(host)
        seen = steps_done + (outcome == "diverged")  # the loss that ended the run, though no update followed it
        losses, rates = (NO_LOSSES, NO_RATES) if traces is None else unpacked(digest, traces, seen=seen)
        return RunRecord(
            spec=run,
            outcome=outcome,
            steps_done=steps_done,
            losses=losses,
            rates=rates,
            evaluations=looks,
            chance=chance,
            events=happened,
            skips=() if skips == "[]" else tuple((step, count) for step, count in json.loads(skips)),
            undone=undone,
            second_passes=second_passes,
            seconds=seconds,
            inherited=inherited,
            inherited_seconds=inherited_seconds,
            host=dict(self._hosts[host]),
        )


def unsealed(row: Row) -> Row:
    """A row's values; Damaged where its seal does not fit."""
    values = row[:-1]
    if _seal(values) != row[-1]:
        raise Damaged(message("{name!r} is not what was written", name=str(row[0])[:40]))
    return values


# pydantic reads floats, and makes records of them, several times as fast as json and a constructor do.
@functools.cache
def _reader(kind: type[T]) -> TypeAdapter[tuple[T, ...]]:
    return TypeAdapter(tuple[kind, ...])  # type: ignore[valid-type]


def sealed(*values: object) -> Row:
    """A row of any table but `traces`."""
    return (*values, _seal(values))


def _seal(values: Iterable[object]) -> int:
    return zlib.crc32("\n".join(map(str, values)).encode())


def _seal_of_traces(digest: str, losses: bytes, rates: bytes) -> int:
    return zlib.crc32(rates, zlib.crc32(losses, zlib.crc32(digest.encode())))


def unpacked(
    digest: str, row: Row, *, seen: int, only: Literal["losses", "rates"] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Losses and rates from a row of `traces`, of at most `seen` updates; with `only` the other array is empty."""
    theirs, losses, rates, seal = row
    if theirs != digest or _seal_of_traces(digest, losses, rates) != seal:
        raise Damaged(message("the traces of run {digest} are not what was written", digest=digest))
    return (
        NO_LOSSES if only == "rates" else _inflated(losses, "<f4", most=seen),
        NO_RATES if only == "losses" else _inflated(rates, "<f8", most=seen),
    )


def _inflated(data: bytes, kind: str, *, most: int) -> np.ndarray:
    """At most so many numbers: a few bytes can be made to inflate to gigabytes."""
    reader = zlib.decompressobj()
    found = reader.decompress(data, max(1, most * np.dtype(kind).itemsize))
    if reader.unconsumed_tail or not reader.eof:
        raise Damaged(message("a trace holds more than its run's {most} losses", most=most))
    return np.frombuffer(found, kind)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
