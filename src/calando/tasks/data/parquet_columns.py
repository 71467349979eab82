"""The image and label columns of parquet files, with every fault told as a DataError that names the file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calando.errors import DataError

__all__ = ["Labels", "read_images", "read_labels"]

_IMAGE_NAMES = ("image", "img")
_ALWAYS_BYTES, _MOST_RATIO = 2**28, 100  # encoded pictures are as long as they are; small files may do better
_MOST_ROWS, _ROWS_AT_ONCE = 50_000_000, 256
_LABEL_NAMES = ("label", "labels", "fine_label", "target")


@dataclass(frozen=True)
class Labels:
    """The labels of one file.

    Args:
        file: where they are from.
        written: as they are written.
        names: of the classes, by number, where the file's metadata say them.
    """

    file: Path
    written: list[Any]
    names: tuple[str, ...] | None

    @property
    def are_words(self) -> bool:
        """Names, not numbers."""
        return bool(self.written) and isinstance(self.written[0], str)


def read_labels(file: Path) -> Labels:
    """The labels of a file.

    Raises:
        DataError: missing, damaged, without an image or label column, or a row without a label.
    """
    import pyarrow.parquet

    with _reading(file):
        schema = pyarrow.parquet.read_schema(file)
        _column(schema.names, _IMAGE_NAMES, kind="image", file=file)
        name = _column(schema.names, _LABEL_NAMES, kind="label", file=file)
        column = _unpacked(file, name).to_pylist()
    if None in column:
        raise DataError(f"{file}: row {column.index(None)} has no label; remove it")
    return Labels(file, column, _class_names(schema.metadata or {}, name))


def read_images(files: Sequence[Path]) -> Any:
    """The encoded images: a pyarrow ChunkedArray of large_binary.

    Raises:
        DataError: missing, damaged, or without encoded images inside the file.
    """
    import pyarrow
    import pyarrow.parquet

    chunks = []
    for file in files:
        with _reading(file):
            name = _column(pyarrow.parquet.read_schema(file).names, _IMAGE_NAMES, kind="image", file=file)
            chunks += _encoded(_unpacked(file, name), file=file).chunks
    return pyarrow.chunked_array(chunks, pyarrow.large_binary())


def _unpacked(file: Path, name: str) -> Any:
    """A column, a pyarrow ChunkedArray, unpacked piece by piece: a few bytes may say a long value very often.

    Raises:
        DataError: it unpacks to much more than the file is long.
    """
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
                f"{file}: has {facts.num_rows:,} rows, more than the {_MOST_ROWS:,} that are read; split it"
            )
        _refuse_more(file, name, size, most)
        size = 0
        for batch in source.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[name], use_threads=False):
            size += batch.nbytes
            _refuse_more(file, name, size, most)
            chunks.append(batch.column(0))
        return pyarrow.chunked_array(chunks, source.schema_arrow.field(name).type)


def _refuse_more(file: Path, name: str, size: int, most: int) -> None:
    if size > most:
        raise DataError(
            f"{file}: column {name} unpacks to more than {most >> 20:,} MiB, which is no data set of pictures; write "
            "it again"
        )


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{file}: there is no such file") from error
    except (pyarrow.ArrowException, OSError, MemoryError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{file}: not a parquet file that can be read ({reason}); fetch it again") from error


def _column(present: Sequence[str], known: Sequence[str], *, kind: str, file: Path) -> str:
    for name in known:
        if name in present:
            return name
    raise DataError(f"{file}: has no {kind} column ({' or '.join(known)}); its columns are {', '.join(present)}")


def _encoded(column: Any, *, file: Path) -> Any:
    import pyarrow
    import pyarrow.compute

    remedy = "save it with the images embedded"
    if pyarrow.types.is_struct(column.type):
        if column.type.get_field_index("bytes") < 0:
            raise DataError(f"{file}: its images are not stored inside it (no field 'bytes'); {remedy}")
        column = pyarrow.compute.struct_field(column, "bytes")
    if not (pyarrow.types.is_binary(column.type) or pyarrow.types.is_large_binary(column.type)):
        raise DataError(f"{file}: the image column must hold encoded images as bytes, got {column.type}; {remedy}")
    if column.null_count:
        raise DataError(f"{file}: {column.null_count} of {len(column)} images have no bytes; {remedy}")
    return column.cast(pyarrow.large_binary())


def _class_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...] | None:
    """From the hub's own metadata, or a plain list "classes"; None where neither says them."""
    try:
        if b"huggingface" in metadata:
            names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
            if isinstance(names, dict):  # {"0": "cat", "1": "dog"}
                names = [names[str(i)] for i in range(len(names))]
            return tuple(str(name) for name in names) if isinstance(names, list) else None
        return tuple(metadata[b"classes"].decode().split(",")) if b"classes" in metadata else None
    except (KeyError, TypeError, ValueError):
        return None
