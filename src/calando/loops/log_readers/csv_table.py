"""Lightning's metrics.csv by CSVLogger with LearningRateMonitor: step, lr-*, train_loss, val_*.

Any other .csv with columns step, and lr, learning_rate or lr-*, where it is named itself; with a column
run each of its values is a run.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from calando.errors import UsageError, quote
from calando.language import message
from calando.loops.log_readers import LoggedRun, Reader, Series

__all__ = ["READER", "series_of"]

RATES: Final = ("lr", "learning_rate", "learning rate", "rate")
STEPS: Final = ("step", "global_step", "trainer/global_step", "iteration")


def _read(file: Path) -> Iterator[LoggedRun]:
    # Spreadsheets write a mark of their own in front.
    with file.open(encoding="utf-8-sig", newline="") as lines:
        table = csv.DictReader(lines)
        columns = list(table.fieldnames or ())
        rows = list(enumerate(table, start=1))
    steps = next((column for column in columns if column.strip().lower() in STEPS), None)
    rated = [name for name in columns if name.strip().lower() in RATES or name.startswith("lr-")]
    if steps is None or not rated:
        raise UsageError(
            message(
                "{file} needs a column step and one of lr, learning_rate or lr-*, got {columns}",
                file=repr(str(file)),
                columns=quote(", ".join(columns)),
            )
        )
    rows = [(number, {**row, "step": row[steps]}) for number, row in rows]
    losses = next((name for name in columns if name in ("loss", "train_loss", "train/loss", "train_loss_step")), "")
    scored = [name for name in columns if name.startswith(("val_", "val/", "eval_"))]
    # As `calando export` writes them, one after another in a table.
    runs = dict[str, list[tuple[int, dict[str, Any]]]]()
    for number, row in rows:
        runs.setdefault(row.get("run") or "", []).append((number, row))
    for run, own in runs.items():
        for name in rated:
            if rates := series_of(own, name):
                yield LoggedRun(
                    " ".join([str(file), *([run] if len(runs) > 1 else []), *([name] if len(rated) > 1 else [])]),
                    rates,
                    None,
                    series_of(own, losses),
                    {key: series for key in scored if (series := series_of(own, key))},
                )


def series_of(rows: Iterable[tuple[int, dict[str, Any]]], key: str) -> Series:
    """(step, value) of the rows that have both; other rows log something else.

    Args:
        rows: each with its number in the file, from 1, for errors.
        key: of the value.

    Raises:
        ValueError: names the row.
    """
    found = []
    for row, entry in rows:
        step, value = entry.get("step"), entry.get(key)
        if step in (None, "") or value in (None, ""):
            continue
        place = _number(step, row, "step")
        if not place.is_integer():
            raise ValueError(message("row {row}: a step must be a whole number, got {step}", row=row, step=quote(step)))
        found.append((int(place), _number(value, row, key)))
    return found


def _number(text: Any, row: int, key: str) -> float:
    try:
        return float(text)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            message("row {row}: {key} must be a number, got {text}", row=row, key=key, text=quote(text))
        ) from None


READER = Reader(
    form=message("a metrics.csv of Lightning or any .csv with columns step and lr"),
    is_of=lambda path: path.suffix == ".csv",
    found=lambda folder: sorted(folder.rglob("metrics.csv")),
    read=_read,
    fails=csv.Error,
)
