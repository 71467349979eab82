"""Parquet: a file a table, by pyarrow; as many runs in a row group as make a hundred thousand rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from calando.errors import UsageError
from calando.language import message
from calando.loops.exported.tables import TABLES, Cells, cells_of
from calando.records.files import replacing
from calando.records.kept_runs import KeptRun

if TYPE_CHECKING:
    import pyarrow

__all__ = ["write"]

GROUP_ROWS = 100_000


def write(runs: Iterable[KeptRun], folder: Path) -> int:
    """Write the tables of runs into a folder; how many runs there were.

    Raises:
        UsageError: pyarrow is not installed.
        DiskFull: no space; files that were there are as they were.
    """
    if find_spec("pyarrow") is None:
        raise UsageError(message("parquet files need pyarrow: pip install 'calando[parquet]'; CSV needs nothing more"))
    count = 0
    with ExitStack() as opened:
        files = {name: opened.enter_context(_Table(name, folder, opened)) for name in TABLES}
        for run in runs:
            count += 1
            for name, cells in cells_of(run).items():
                files[name].add(cells)
    return count


@final
class _Table:
    """One of the files."""

    def __init__(self, name: str, folder: Path, opened: ExitStack) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {"text": pa.string(), "whole": pa.int64(), "number": pa.float64()}
        # A loss is a float32 and no more.
        columns = {
            column: pa.float32() if (name, column) == ("trace", "loss") else kinds[kind]
            for column, kind in TABLES[name].items()
        }
        self.schema = pa.schema(list(columns.items()))
        path = opened.enter_context(replacing(folder / f"{name}.parquet"))
        self.file = pq.ParquetWriter(path, self.schema, compression="zstd")
        self.waiting: list[pyarrow.RecordBatch] = []
        self.rows = 0

    def __enter__(self) -> _Table:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
        self.file.close()

    def add(self, cells: Cells) -> None:
        """Take rows in."""
        import pyarrow as pa

        columns = [
            pa.array(_plain(values), field.type) for values, field in zip(cells.values(), self.schema, strict=True)
        ]
        self.waiting.append(pa.RecordBatch.from_arrays(columns, schema=self.schema))
        self.rows += len(columns[0])
        if self.rows >= GROUP_ROWS:
            self._write()

    def _write(self) -> None:
        import pyarrow as pa

        self.file.write_table(pa.Table.from_batches(self.waiting, self.schema))
        self.waiting, self.rows = [], 0


def _plain(values: Sequence[Any] | np.ndarray) -> Sequence[Any] | np.ndarray:
    return np.ascontiguousarray(values) if isinstance(values, np.ndarray) else values
