"""Transformers' trainer_state.json: step, learning_rate, loss, eval_*."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from calando.errors import UsageError
from calando.language import message
from calando.loops.log_readers import LoggedRun, Reader
from calando.loops.log_readers.csv_table import series_of

__all__ = ["READER"]


def _found(folder: Path) -> Sequence[Path]:
    """Each run's once: of the checkpoints of one training, the last has all that the others have."""
    latest: dict[Path, Path] = {}
    for file in sorted(folder.rglob("trainer_state.json")):
        run = file.parent.parent if file.parent.name.startswith("checkpoint-") else file.parent
        if run not in latest or _order(file) > _order(latest[run]):
            latest[run] = file
    return sorted(latest.values())


def _order(file: Path) -> float:
    number = file.parent.name.removeprefix("checkpoint-")
    return int(number) if number.isdecimal() else math.inf


def _read(file: Path) -> Iterator[LoggedRun]:
    state = json.loads(file.read_text(encoding="utf-8"))
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list):
        raise UsageError(
            message("{file} has no log_history, so it is no trainer_state.json of Transformers", file=repr(str(file)))
        )
    rows = [(number, row) for number, row in enumerate(history, start=1) if isinstance(row, dict)]
    rates = series_of(rows, "learning_rate")
    if not rates:
        raise UsageError(
            message("{file} has no learning_rate in its log_history; train with logging_steps", file=repr(str(file)))
        )
    planned = state.get("max_steps")
    scored = sorted({key for _number, row in rows for key in row if key.startswith("eval_")})
    yield LoggedRun(
        str(file),
        rates,
        planned if isinstance(planned, int) and planned > 0 else None,
        series_of(rows, "loss"),
        {key: series for key in scored if (series := series_of(rows, key))},
    )


READER = Reader(
    form=message("a trainer_state.json of Transformers"),
    is_of=lambda path: path.suffix == ".json",
    found=_found,
    read=_read,
)
