"""CSV: a file a table, with a heading; numbers to the last digit, so that what is read back is what was written.

None    an empty cell
loss    the shortest text of the float32 that it is
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from calando.loops.exported.tables import TABLES, cells_of
from calando.records.files import replacing
from calando.records.kept_runs import KeptRun

__all__ = ["texts_of", "write"]


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
        for name, columns in TABLES.items():
            csv.writer(files[name], lineterminator="\n").writerow(columns)
        for run in runs:
            count += 1
            _add(run, files)
    return count


def texts_of(run: KeptRun) -> Mapping[str, str]:
    """The files of one run, by table, as `write` writes them."""
    files = {name: io.StringIO() for name in TABLES}
    for name, columns in TABLES.items():
        csv.writer(files[name], lineterminator="\n").writerow(columns)
    _add(run, files)
    return {name: file.getvalue() for name, file in files.items()}


def _add(run: KeptRun, files: Mapping[str, TextIO]) -> None:
    for name, cells in cells_of(run).items():
        csv.writer(files[name], lineterminator="\n").writerows(zip(*map(_texts, cells.values()), strict=True))


def _texts(values: Sequence[Any] | np.ndarray) -> Sequence[Any]:
    if not isinstance(values, np.ndarray):
        return values
    # By way of a double a float32 has digits that nobody measured.
    texts: list[Any] = (values.astype(str) if values.dtype == np.float32 else values).tolist()
    return texts
