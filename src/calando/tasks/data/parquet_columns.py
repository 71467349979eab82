"""A column of a parquet file: found by its name, and read without unpacking more than data may hold.

What pyarrow raises for a damaged file becomes a DataError of one line (`reading`). A few bytes may repeat a long value
very often, so that a column is unpacked piece by piece, and refused where it grows beyond what pictures do
(`unpacked`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calando.errors import DataError, line_of
from calando.language import joined, message

__all__ = ["column_name", "read_words", "reading", "unpacked"]

_ALWAYS_BYTES, _MOST_RATIO = 2**28, 100  # encoded pictures are as long as they are; small files may do better
_MOST_ROWS, _ROWS_AT_ONCE = 50_000_000, 256


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn what pyarrow raises into a DataError of one line that names the file."""
    import pyarrow

    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(message("{file}: there is no such file", file=file)) from error
    except (pyarrow.ArrowException, OSError, MemoryError, ValueError) as error:
        reason = line_of(error)[:200]
        raise DataError(
            message("{file}: not a parquet file that can be read ({reason}); fetch it again", file=file, reason=reason)
        ) from error


def unpacked(file: Path, name: str) -> Any:
    """A column, a pyarrow ChunkedArray, unpacked piece by piece: a few bytes may repeat a long value very often."""
    import pyarrow
    import pyarrow.parquet

    chunks: list[Any] = []
    most = max(_ALWAYS_BYTES, _MOST_RATIO * file.stat().st_size)
    with pyarrow.parquet.ParquetFile(file) as source:
        facts = source.metadata
        groups = [facts.row_group(index) for index in range(facts.num_row_groups)]
        pieces = [group.column(place) for group in groups for place in range(group.num_columns)]
        size = sum(one.total_uncompressed_size for one in pieces if one.path_in_schema.split(".")[0] == name)
        if facts.num_rows > _MOST_ROWS:
            raise DataError(
                message(
                    "{file}: has {rows:,} rows, more than the {most:,} that are read; split it",
                    file=file,
                    rows=facts.num_rows,
                    most=_MOST_ROWS,
                )
            )
        _refuse_more(file, name, size, most)
        # What a column unpacks to is known only while it is: a dictionary-encoded value counts once in the metadata.
        size = 0
        for batch in source.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[name], use_threads=False):
            size += batch.nbytes
            _refuse_more(file, name, size, most)
            chunks.append(batch.column(0))
        return pyarrow.chunked_array(chunks, source.schema_arrow.field(name).type)


def _refuse_more(file: Path, name: str, size: int, most: int) -> None:
    if size > most:
        raise DataError(
            message(
                "{file}: column {name} unpacks to more than {most:,} MiB, which is no data set of "
                "pictures; write it again",
                file=file,
                name=name,
                most=most >> 20,
            )
        )


def column_name(present: Sequence[str], known: Sequence[str], *, what: str, file: Path, advice: str = "") -> str:
    """The first of the known names that is present; DataError, with the advice, where none is."""
    for name in known:
        if name in present:
            return name
    raise DataError(
        message(
            "{file}: has no {what} column ({known}); its columns are {present}; {advice}; audio:PATH reads recordings"
            if what == "image" and "audio" in present
            else "{file}: has no {what} column ({known}); its columns are {present}; {advice}",
            file=file,
            what=what,
            known=joined("{one} or {other}", known),
            present=", ".join(present),
            advice=advice,
        )
    )


def read_words(file: Path, name: str) -> list[Any]:
    """A column as Python has it; DataError where it is not there."""
    import pyarrow.parquet

    with reading(file):
        present = pyarrow.parquet.read_schema(file).names
        return list(
            unpacked(
                file, column_name(present, (name,), what=name, file=file, advice=message("name another file"))
            ).to_pylist()
        )
