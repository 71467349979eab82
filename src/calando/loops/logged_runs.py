"""Runs that others logged: steps, rates, losses and scores, read from their files.

trainer_state.json    Transformers' Trainer: step, learning_rate, loss, eval_*
metrics.csv           Lightning's CSVLogger with LearningRateMonitor: step, lr-*, train_loss, val_*
any other .csv        step, and lr, learning_rate or lr-*
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from calando.errors import UsageError, quote

__all__ = ["LoggedRun", "logged_runs"]

RATES: Final = ("lr", "learning_rate", "learning rate", "rate")
STEPS: Final = ("step", "global_step", "trainer/global_step", "iteration")
LARGEST: Final = 500_000_000  # bytes of a file
FORMS: Final = "a trainer_state.json of Transformers, a metrics.csv of Lightning, or a .csv with columns step and lr"

Series = list[tuple[int, float]]


@final
@dataclass(frozen=True)
class LoggedRun:
    """A run as a log has it.

    Args:
        name: its file, and which rate of it where there are several.
        rates: (step, rate), in the order in which they were logged.
        total_steps: updates that it was planned for, where the log says so.
        losses: (step, training loss).
        scores: name -> (step, score on validation).
    """

    name: str
    rates: Series
    total_steps: int | None = None
    losses: Series = field(default_factory=list)
    scores: Mapping[str, Series] = field(default_factory=dict)


def logged_runs(path: Path) -> Iterator[LoggedRun]:
    """The runs in a file, or in all files of a folder that can be read.

    Raises:
        UsageError: no such path, nothing in it that is a log with rates, or a file that does not parse.
    """
    if path.is_dir():
        files = _logs(path)
        if not files:
            raise UsageError(f"{quote(str(path))} holds no log that is read here; give {FORMS}")
        for file in files:
            yield from _read(file)
    elif path.is_file():
        yield from _read(path)
    else:
        raise UsageError(f"there is no file or folder {quote(str(path))}; give {FORMS}")


def _logs(folder: Path) -> list[Path]:
    """Each run's files once: of the checkpoints of one training, the last has all that the others have."""
    latest: dict[Path, Path] = {}
    for file in sorted(folder.rglob("trainer_state.json")):
        run = file.parent.parent if file.parent.name.startswith("checkpoint-") else file.parent
        if run not in latest or _order(file) > _order(latest[run]):
            latest[run] = file
    return sorted([*latest.values(), *folder.rglob("metrics.csv")])


def _order(file: Path) -> float:
    number = file.parent.name.removeprefix("checkpoint-")
    return int(number) if number.isdecimal() else math.inf


def _read(file: Path) -> Iterator[LoggedRun]:
    if file.stat().st_size > LARGEST:
        raise UsageError(f"{quote(str(file))} is larger than {LARGEST} bytes, which no log of rates is")
    try:
        if file.suffix == ".json":
            yield _trainer_state(file)
        elif file.suffix == ".csv":
            yield from _table(file)
        else:
            raise UsageError(f"{quote(str(file))} is no log that is read here; give {FORMS}")
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{quote(str(file))} does not parse: {error}") from None


def _trainer_state(file: Path) -> LoggedRun:
    state = json.loads(file.read_text(encoding="utf-8"))
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list):
        raise UsageError(f"{quote(str(file))} has no log_history, so it is no trainer_state.json of Transformers")
    rows = [row for row in history if isinstance(row, dict)]
    rates = _series(rows, "learning_rate")
    if not rates:
        raise UsageError(f"{quote(str(file))} has no learning_rate in its log_history; train with logging_steps")
    planned = state.get("max_steps")
    scored = sorted({key for row in rows for key in row if key.startswith("eval_")})
    return LoggedRun(
        str(file),
        rates,
        planned if isinstance(planned, int) and planned > 0 else None,
        _series(rows, "loss"),
        {key: series for key in scored if (series := _series(rows, key))},
    )


def _table(file: Path) -> Iterator[LoggedRun]:
    with file.open(encoding="utf-8", newline="") as lines:
        table = csv.DictReader(lines)
        columns = list(table.fieldnames or ())
        rows = list(table)
    steps = next((column for column in columns if column.strip().lower() in STEPS), None)
    rated = [name for name in columns if name.strip().lower() in RATES or name.startswith("lr-")]
    if steps is None or not rated:
        raise UsageError(
            f"{quote(str(file))} needs a column step and one of lr, learning_rate or lr-*, "
            f"got {quote(', '.join(columns))}"
        )
    rows = [{**row, "step": row[steps]} for row in rows]
    losses = next((name for name in columns if name in ("loss", "train_loss", "train/loss", "train_loss_step")), "")
    scored = [name for name in columns if name.startswith(("val_", "val/", "eval_"))]
    for name in rated:
        if rates := _series(rows, name):
            yield LoggedRun(
                f"{file} {name}" if len(rated) > 1 else str(file),
                rates,
                None,
                _series(rows, losses),
                {key: series for key in scored if (series := _series(rows, key))},
            )


def _series(rows: list[dict[str, Any]], key: str) -> Series:
    """(step, value) of the rows that have both; other rows log something else."""
    found = []
    for row in rows:
        step, value = row.get("step"), row.get(key)
        if step in (None, "") or value in (None, ""):
            continue
        number = float(step)
        if number != int(number):
            raise UsageError(f"a step must be a whole number, got {quote(step)}")
        found.append((int(number), float(value)))
    return found
