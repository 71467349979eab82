"""CSV: a file a table, with a heading; numbers to the last digit, so that what is read back is what was written.

None    an empty cell
loss    the shortest text of the float32 that it is
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from calando.loops.trackers.tables import TABLES, cells_of
from calando.loops.trackers.written_whole import replacing
from calando.records.kept_runs import KeptRun

__all__ = ["write"]


def write(runs: Iterable[KeptRun], folder: Path) -> int:
    """Write the tables of runs into a folder; how many runs there were.

    Raises:
        DiskFull: no space; files that were there are as they were.
    """
    count = 0
    with ExitStack() as opened:
        paths = {name: opened.enter_context(replacing(folder / f"{name}.csv")) for name in TABLES}
        files = {
            name: opened.enter_context(path.open("w", encoding="utf-8", newline="")) for name, path in paths.items()
        }
        writers = {name: csv.writer(file, lineterminator="\n") for name, file in files.items()}
        for name, columns in TABLES.items():
            writers[name].writerow(columns)
        for run in runs:
            count += 1
            for name, cells in cells_of(run).items():
                writers[name].writerows(zip(*map(_texts, cells.values()), strict=True))
    return count


def _texts(values: Sequence[Any] | np.ndarray) -> Sequence[Any]:
    if not isinstance(values, np.ndarray):
        return values
    # By way of a double a float32 has digits that nobody measured.
    texts: list[Any] = (values.astype(str) if values.dtype == np.float32 else values).tolist()
    return texts
