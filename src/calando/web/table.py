"""The table of runs: filtered, sorted and cut into pages on the server; and all of it as CSV.

filter    words, each of which is in the run's digest, its strategy, "seed N" or its state
sort      a column's name, with "-" before it for descending; rows without a value come last
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from calando.errors import UnknownName, UsageError
from calando.language import message
from calando.records.record import RunRecord, TestScore

__all__ = ["Row", "as_csv", "selected", "states"]


@dataclass(slots=True)
class Row:
    """A run in the table.

    Args:
        state: "queued", "running", "paused" (put away unfinished), "finished", "diverged" or "died".
        score, loss: of the last look at the validation part; None: there was none.
        test: score on the test part.
        seconds: its training took; None while it goes on.
        slot: of the worker that makes it, from 1; None: none does.
        steered: its rate was changed by hand.
    """

    run: str
    strategy: str
    seed: int
    lr: float | None
    steps: int | None
    step: int
    state: str
    score: float | None = None
    loss: float | None = None
    test: float | None = None
    seconds: float | None = None
    slot: int | None = None
    steered: bool = False

    @classmethod
    def of_record(cls, digest: str, record: RunRecord, test: TestScore | None) -> Row:
        """Of a run that is over."""
        run, last = record.spec, record.evaluations[-1] if record.evaluations else None
        return cls(
            run=digest,
            strategy=run.strategy.name,
            seed=run.seed,
            lr=run.lr,
            steps=run.steps,
            step=record.steps_done,
            state=record.outcome,
            score=record.score if last is not None or record.outcome == "diverged" else None,
            loss=None if last is None else last.loss,
            test=None if test is None else test.score,
            seconds=record.seconds,
        )


COLUMNS = tuple(field.name for field in fields(Row))
STATES = ("running", "finished", "diverged", "died", "queued", "paused", "steered")


def selected(rows: Sequence[Row], *, sort: str = "", text: str = "", state: str = "") -> list[Row]:
    """Those that fit, in order; `sort` "": as they came.

    Raises:
        UsageError: no such column or state.
    """
    if state and state not in STATES:
        raise UnknownName("state", state, STATES)
    found = [row for row in rows if not state or (row.steered if state == "steered" else row.state == state)]
    for word in text.lower().split():
        found = [row for row in found if (word in _exact(row) if "=" in word else word in _words(row))]
    column = sort.removeprefix("-")
    if not column:
        return found
    if column not in COLUMNS:
        raise UnknownName("sort", column, COLUMNS)
    value = attrgetter(column)
    known = [row for row in found if value(row) is not None and value(row) == value(row)]
    # Equal ones keep their order, which the digest makes the same from page to page.
    known.sort(key=attrgetter("run"))
    known.sort(key=value, reverse=sort.startswith("-"))
    there = {row.run for row in known}
    return known + [row for row in found if row.run not in there]


def _words(row: Row) -> str:
    return f"{row.run} {row.strategy} {row.state}{' steered' * row.steered}".lower()


def _exact(row: Row) -> tuple[str, str]:
    return f"seed={row.seed}", "" if row.lr is None else f"lr={row.lr:g}"


def states(rows: Sequence[Row]) -> dict[str, int]:
    """How many there are of each state."""
    found: dict[str, int] = {}
    for row in rows:
        found[row.state] = found.get(row.state, 0) + 1
    return found


def as_csv(rows: Sequence[Row]) -> str:
    """All of them, with a line of names; a text that a spreadsheet would take for a formula gets a "'" before it."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    write.writerow(COLUMNS)
    for row in rows:
        write.writerow(_cell(getattr(row, name)) for name in COLUMNS)
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value[:1] in tuple("=+-@\t\r"):
        return f"'{value}"
    return "" if value is None else value


def whole_number(given: str | None, name: str, usual: int, *, least: int, most: int) -> int:
    """A number from a request.

    Raises:
        UsageError: it is none, or out of range.
    """
    if given is None or given == "":
        return usual
    if not given.removeprefix("-").isdecimal() or len(given) > 12 or not least <= int(given) <= most:
        raise UsageError(
            message(
                "{name} must be a whole number from {least} to {most}, got {given!r}",
                name=name,
                least=least,
                most=most,
                given=given[:20],
            )
        )
    return int(given)
