"""Files of tables: csv:FILE, a folder with train.csv and test.csv, and parquet files with a column to predict.

    csv:houses.csv,target=price                 one file: a fifth of its rows is the test part
    csv:titanic,target=Survived,missing=mean    a folder with train.csv and test.csv
    parquet:houses.parquet,target=price         the same of parquet, whose cells have types

Which file is which part is found as for parquet data sets (`parquet_files`). What a table's cells are read as is in
`columns` and `table`; a parquet cell goes through its text, which keeps every digit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from calando.errors import DataError, UsageError, quote
from calando.language import message
from calando.tasks.data import DataEntry
from calando.tasks.data.csv_file import DELIMITERS, ENCODINGS, MOST_CELLS, Table, read_csv
from calando.tasks.data.options import Option, Value
from calando.tasks.data.parquet_files import find_files, passed_over_in, refuse_lone_shard
from calando.tasks.data.parts import some
from calando.tasks.data.samples import SampleData
from calando.tasks.data.table import TABLE_OPTIONS, table_data

__all__ = ["ENTRIES", "read_csv_data", "read_parquet_table"]

_CSV_OPTIONS = (
    Option("delimiter", "what separates cells", choices=tuple(DELIMITERS)),
    Option("encoding", "of the file", choices=ENCODINGS),
    Option("header", "whether the first line names the columns", choices=("yes", "no")),
)


def read_csv_data(path: Path, **options: Value) -> SampleData:
    """A csv file, or a folder with one for training and one for testing; the options are those of its entry.

    Raises:
        DataError: missing, damaged, cells that are empty or may be read two ways, a target that is not there.
    """
    of_file = {option.name for option in _CSV_OPTIONS}
    given = {name: str(value) for name, value in options.items() if name in of_file}
    read = partial(
        read_csv,
        delimiter=given.get("delimiter"),
        encoding=given.get("encoding"),
        header=given.get("header") != "no",
    )
    return _read("csv", path, read, {name: value for name, value in options.items() if name not in of_file})


def read_parquet_table(path: Path, **options: Value) -> SampleData:
    """A parquet file of plain columns, or a folder of such files.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: as of `read_csv_data`.
    """
    return _read("parquet", path, _parquet, options)


def _read(form: str, path: Path, read: Callable[[Path], Table], options: dict[str, Value]) -> SampleData:
    notes: list[str] = []
    if path.is_file():
        refuse_lone_shard(path)
        parts: list[tuple[Path, ...]] = [(path,)]
    elif path.is_dir():
        files = find_files(path, ending=form)
        parts = [part for part in (files.train, files.test) if part]
        notes += [*passed_over_in(path, files), *files.notes]
    else:
        options_follow = "," in path.name and path.with_name(path.name.split(",")[0]).exists()
        raise DataError(
            message(
                "{path}: there is no such file or folder; write options as NAME=VALUE"
                if options_follow
                else "{path}: there is no such file or folder",
                path=path,
            )
        )
    tables = [_joined([read(file) for file in part]) for part in parts]
    made = table_data(f"{form}:{path}", tables[0], tables[1] if len(tables) > 1 else None, options)
    return replace(made, notes=(*made.notes, *notes))


def _joined(tables: Sequence[Table]) -> Table:
    """Files of one part, one after the other."""
    first = tables[0]
    if len(tables) == 1:
        return first
    for other in tables[1:]:
        if differ := sorted(set(first.columns) ^ set(other.columns)):
            raise DataError(
                message(
                    "{origin}: its columns differ from those of {first}: {names}",
                    origin=other.origin,
                    first=first.origin,
                    names=some([quote(n) for n in differ]),
                )
            )
    columns = {name: [cell for table in tables for cell in table.columns[name]] for name in first.columns}
    notes = tuple(note for table in tables for note in table.notes)
    typed = {name: kind for table in tables for name, kind in table.typed.items()}
    return Table(columns, range(sum(map(len, tables))), "row", str(Path(first.origin).parent), notes, typed)


def _parquet(path: Path) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise UsageError(
            message("{path}: parquet files need pyarrow: pip install 'calando[parquet]'", path=path)
        ) from error
    from calando.tasks.data.parquet_columns import reading, unpacked

    with reading(path):
        facts = pyarrow.parquet.read_metadata(path)
        schema = facts.schema.to_arrow_schema()
        nested = [one.name for one in schema if pyarrow.types.is_nested(one.type) or _is_bytes(one.type)]
        kept = [name for name in schema.names if name not in nested]
        if "" in schema.names:
            raise DataError(
                message(
                    "{path}: column {number} has no name; give it one", path=path, number=schema.names.index("") + 1
                )
            )
        if not kept:
            raise DataError(
                message("{path}: has no column of plain values; it has {names}", path=path, names=some(schema.names))
            )
        if len(set(kept)) < len(kept):
            raise DataError(message("{path}: two columns share a name; name them apart", path=path))
        if len(kept) * facts.num_rows > MOST_CELLS:
            raise DataError(
                message(
                    "{path}: has more than {most:,} cells; give a smaller file, or a torch Dataset",
                    path=path,
                    most=MOST_CELLS,
                )
            )
        if not facts.num_rows:
            raise DataError(message("{path}: holds no rows", path=path))
        categorical = _categorical(schema.metadata or {})
        columns: dict[str, list[str]] = {}
        typed: dict[str, Literal["categories", "texts"]] = {}
        notes: list[str] = []
        for name in kept:
            column = unpacked(path, name)
            kind = pyarrow.types
            if kind.is_dictionary(column.type) or name in categorical:
                typed[name] = "categories"
            elif kind.is_string(column.type) or kind.is_large_string(column.type) or kind.is_string_view(column.type):
                typed[name] = "texts"
            elif kind.is_duration(column.type):
                notes.append(message("{path}: column {name} is times that pass, read as seconds", path=path, name=name))
            columns[name] = _cells(column, message("{path}: column {name}", path=path, name=name))
            if len(columns[name]) != facts.num_rows:  # pyarrow reads a damaged column as far as it goes
                raise DataError(
                    message(
                        "{path}: column {name} has {count} of {rows} rows: the file is damaged; write or "
                        "fetch it again",
                        path=path,
                        name=name,
                        count=len(columns[name]),
                        rows=facts.num_rows,
                    )
                )
    if nested:
        notes.append(
            message(
                "{path}: columns of lists, structs or bytes are passed over: {names}", path=path, names=some(nested)
            )
        )
    return Table(columns, range(facts.num_rows), "row", str(path), tuple(notes), typed)


def _is_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    found = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    return any(is_one(kind) for is_one in found)


def _categorical(metadata: Mapping[bytes, bytes]) -> set[str]:
    """Columns that pandas wrote as categories: parquet itself keeps that of texts alone."""
    try:
        return {
            one["name"] for one in json.loads(metadata[b"pandas"])["columns"] if one["pandas_type"] == "categorical"
        }
    except (KeyError, TypeError, ValueError):
        return set()


def _cells(column: Any, origin: str) -> list[str]:
    """Each as text; below a microsecond, which Python's moments do not have, times are cut off."""
    import pyarrow

    kind = column.type
    if getattr(kind, "unit", None) == "ns" and not pyarrow.types.is_duration(kind):
        coarse = pyarrow.timestamp("us", kind.tz) if pyarrow.types.is_timestamp(kind) else pyarrow.time64("us")
        column = column.cast(coarse, safe=False)
    elif pyarrow.types.is_duration(kind):
        unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        return [_cell(None if one is None else one / unit) for one in column.cast(pyarrow.int64()).to_pylist()]
    try:
        return [_cell(value) for value in column.to_pylist()]
    except OverflowError as error:
        raise DataError(
            message(
                "{origin} has a date outside the years 1 to 9999; correct it, or leave the column out of the file",
                origin=origin,
            )
        ) from error


def _cell(value: object) -> str:
    """As text: None and NaN as nothing, a number with all its digits."""
    if value is None or value != value:
        return ""
    return str(value).strip()  # a date as 2024-03-01, a moment as 2024-03-01 12:30:00


ENTRIES = (
    DataEntry(
        name="csv:FILE",
        description="a table: csv:houses.csv,target=price; or a folder with train.csv and test.csv",
        model="mlp-128-128",
        batch_size=32,
        epochs=30,
        read=read_csv_data,
        options=(*TABLE_OPTIONS, *_CSV_OPTIONS),
        endings=("csv", "tsv"),
    ),
    DataEntry(
        name="parquet:FILE,target=COLUMN",
        description="a table in parquet: parquet:houses.parquet,target=price",
        model="mlp-128-128",
        batch_size=32,
        epochs=30,
        read=read_parquet_table,
        options=TABLE_OPTIONS,
        chosen_by="target",
    ),
)
