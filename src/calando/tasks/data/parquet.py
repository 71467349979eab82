"""Parquet files as image data sets are published on the Hugging Face hub.

    image (or img)                          struct of bytes and path, or plain bytes: an encoded image
    label (or labels, fine_label, target)   a whole number, or a name

`parquet_files.py` finds which files hold which part. A single file, or files without a test part, give one fifth of
their samples as the test part; validation files are the test part where there is no other.

A file may name its classes, in the hub's metadata or by labels that are words. The first training file that does
numbers them; every other file is renumbered by name. A file with numbers alone is taken to use the same ones.

Colour, size and depth are made common as `images.py` does it, over both parts together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calando.errors import DataError, UsageError
from calando.tasks.data import DataEntry
from calando.tasks.data.arrays import ArrayData, as_labels
from calando.tasks.data.images import cached, decode_all
from calando.tasks.data.options import Option
from calando.tasks.data.parquet_files import Files, find_files, refuse_lone_shard
from calando.tasks.data.parts import data_in_parts, part_of, some

__all__ = [
    "ENTRIES",
    "Kind",
    "has_parquet",
    "labelled",
    "read_encoded",
    "read_parquet",
    "read_words",
    "reading",
    "unpacked",
]

_IMAGE_NAMES = ("image", "img")
_ALWAYS_BYTES, _MOST_RATIO = 2**28, 100  # encoded pictures are as long as they are; small files may do better
_MOST_ROWS, _ROWS_AT_ONCE = 50_000_000, 256
_LABEL_NAMES = ("label", "labels", "fine_label", "target")


@dataclass(frozen=True)
class Kind:
    """What the samples are.

    Args:
        what: in a sentence: "image".
        columns, labels: names of the columns of samples and of labels; the first that is there is read.
        option: that names another column.
        otherwise: what else to do where none is there.
    """

    what: str
    columns: tuple[str, ...]
    labels: tuple[str, ...] = _LABEL_NAMES
    option: str = "image"
    otherwise: str = ", or target=NAME if this is a table"

    def advice(self, option: str) -> str:
        """What to do where no column is there."""
        return f"write {option}=NAME behind the path{self.otherwise}"


def has_parquet(folder: Path) -> bool:
    """Whether the folder itself, not one below it, holds a parquet file named train*."""
    return any(part_of(path.stem)[0] == "train" for path in folder.glob("*.parquet"))


def read_parquet(path: Path, *, image: str | None = None, label: str | None = None) -> ArrayData:
    """A file or a folder of files.

    Args:
        image, label: the columns that hold them; None: by the names above.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: missing, damaged, without an image or label column, with an image that cannot be decoded, several
            data sets in one folder, a shard missing, or classes that differ between files.
    """
    try:
        import pyarrow  # noqa: F401  # to say in one line that it is missing
    except ModuleNotFoundError as error:
        raise UsageError(f"{path}: parquet files need pyarrow: pip install 'calando[parquet]'") from error
    if path.is_file():
        refuse_lone_shard(path)
        files = Files((path,), (), ())
    elif path.is_dir():
        files = find_files(path)
    else:
        raise DataError(f"{path}: there is no such file or folder")
    parts = [part for part in (files.train, files.test) if part]
    origins = [str(part[0] if len(part) == 1 else part[0].parent) for part in parts]
    image_names = _IMAGE_NAMES if image is None else (image,)
    label_names = _LABEL_NAMES if label is None else (label,)
    kind = Kind("image", image_names, label_names)
    labels, names, notes = labelled(parts, origins, kind=kind)
    notes += [*files.notes, *_chosen_columns(parts[0][0], image_names, label_names)]
    cut = len(labels[0])

    def decode() -> np.ndarray:
        images = read_encoded(parts, labels, origins, kind=kind)
        return decode_all(
            len(images),
            lambda i: images[i].as_py(),
            lambda i: f"{origins[0]}, row {i}" if i < cut else f"{origins[1]}, row {i - cut}",
            fitted_on=cut,
            notes=notes,
        )

    images = cached([file for part in parts for file in part], decode, form=f"{cut}{image or ''}", notes=notes)
    passed_over = files.passed_over
    return data_in_parts(path, images, labels, origins=origins, class_names=names, passed_over=passed_over, notes=notes)


def _chosen_columns(file: Path, image_names: Sequence[str], label_names: Sequence[str]) -> list[str]:
    """A sentence where several columns have a name that could be meant; none where one does."""
    import pyarrow.parquet

    with reading(file):
        present = pyarrow.parquet.read_schema(file).names
    notes = []
    for what, known in (("image", image_names), ("label", label_names)):
        found = [name for name in known if name in present]
        if len(found) > 1:
            notes.append(f"{what}s are read from column {found[0]}, not {some(found[1:])} (else {what}=NAME)")
    return notes


def labelled(
    parts: Sequence[Sequence[Path]], origins: Sequence[str], *, kind: Kind
) -> tuple[list[np.ndarray], tuple[str, ...] | None, list[str]]:
    """Labels int64[N] of each part, the training part first; the class names; what was renumbered, in sentences."""
    read = [[_read_labels(file, kind) for file in part] for part in parts]
    for files, origin in zip(read, origins, strict=True):
        if not any(len(labels.written) for labels in files):
            raise DataError(f"{origin}: holds no samples; fetch it again or name another file")
        for labels in files:
            words = sum(isinstance(label, str) for label in labels.written)
            bad = next((label for label in labels.written if isinstance(label, list | dict | bytes)), None)
            if bad is not None or words not in (0, len(labels.written)):
                shown = labels.written[0] if bad is None else bad
                raise DataError(f"{origin}: labels must be whole numbers or names, got e.g. {shown!r}")
    train = read[0]
    # Of the first file that has them in its metadata; else the words that occur, in order.
    names = next((labels.names for labels in train if labels.names is not None), None)
    if names is None and all(labels.are_words for labels in train):
        names = tuple(sorted({label for labels in train for label in labels.written}))
    by_words = any(labels.are_words for labels in train)
    notes: list[str] = []
    made = []
    for files, origin in zip(read, origins, strict=True):
        numbers = [number for labels in files for number in _numbers(labels, names, notes, words=by_words)]
        made.append(as_labels(np.array(numbers), origin=origin))
    return made, names, notes


def _numbers(labels: _Labels, names: tuple[str, ...] | None, notes: list[str], *, words: bool) -> Sequence[Any]:
    if labels.are_words:
        if names is None:
            raise DataError(
                f"{labels.file}: its labels are names ({labels.written[0]!r}), those of the training part numbers "
                "without names; write both alike"
            )
        return _by_name(labels, labels.written, names)
    if labels.names is None:
        if words and labels.written:
            raise DataError(
                f"{labels.file}: its labels are numbers without names, those of the training part names; "
                "write both alike"
            )
        return labels.written
    if names is None or labels.names == names:
        return labels.written
    if len(set(labels.names)) < len(labels.names) or len(set(names)) < len(names):
        raise DataError(f"{labels.file}: two of its classes, or of the training part's, share a name; write them apart")
    if outside := [label for label in labels.written if label not in range(len(labels.names))]:
        raise DataError(
            f"{labels.file}: label {outside[0]!r} is none of the {len(labels.names)} classes that it names; correct it"
        )
    made = _by_name(labels, [labels.names[int(label)] for label in labels.written], names)
    if list(made) != [int(label) for label in labels.written]:
        notes.append(f"{labels.file}: numbers the classes otherwise than the training part; renumbered by name")
    return made


def _by_name(labels: _Labels, words: Sequence[str], names: tuple[str, ...]) -> list[int]:
    number = {name: i for i, name in enumerate(names)}
    if unknown := sorted(set(words) - set(number)):
        raise DataError(f"{labels.file}: label {unknown[0]!r} is not among the training part's: {', '.join(number)}")
    return [number[word] for word in words]


@dataclass(frozen=True)
class _Labels:
    """The labels of one file as they are written, and its classes' names by number, where its metadata have them."""

    file: Path
    written: list[Any]
    names: tuple[str, ...] | None

    @property
    def are_words(self) -> bool:
        return bool(self.written) and isinstance(self.written[0], str)


def _read_labels(file: Path, kind: Kind) -> _Labels:
    """The labels of a file, each there."""
    import pyarrow.parquet

    with reading(file):
        schema = pyarrow.parquet.read_schema(file)
        _column(schema.names, kind.columns, what=kind.what, file=file, advice=kind.advice(kind.option))
        name = _column(schema.names, kind.labels, what="label", file=file, advice=kind.advice("label"))
        column = unpacked(file, name).to_pylist()
    if None in column:
        raise DataError(f"{file}: row {column.index(None)} has no label; remove it")
    return _Labels(file, column, _class_names(schema.metadata or {}, name))


def read_words(file: Path, name: str) -> list[Any]:
    """A column as Python has it; DataError where it is not there."""
    import pyarrow.parquet

    with reading(file):
        present = pyarrow.parquet.read_schema(file).names
        return list(
            unpacked(file, _column(present, (name,), what=name, file=file, advice="name another file")).to_pylist()
        )


def read_encoded(
    parts: Sequence[Sequence[Path]], labels: Sequence[np.ndarray], origins: Sequence[str], *, kind: Kind
) -> Any:
    """The encoded samples of all parts, one after the other: a pyarrow ChunkedArray of large_binary."""
    import pyarrow
    import pyarrow.parquet

    chunks: list[Any] = []
    for part, expected, origin in zip(parts, labels, origins, strict=True):
        before = sum(map(len, chunks))
        for file in part:
            with reading(file):
                name = _column(pyarrow.parquet.read_schema(file).names, kind.columns, what=kind.what, file=file)
                chunks += _encoded(unpacked(file, name), kind.what, file=file).chunks
        if (count := sum(map(len, chunks)) - before) != len(expected):
            raise DataError(f"{origin}: holds {count} {kind.what}s but {len(expected)} labels; fetch it again")
    return pyarrow.chunked_array(chunks, pyarrow.large_binary())


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
                f"{file}: has {facts.num_rows:,} rows, more than the {_MOST_ROWS:,} that are read; split it"
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
            f"{file}: column {name} unpacks to more than {most >> 20:,} MiB, which is no data set of pictures; write "
            "it again"
        )


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn what pyarrow raises into a DataError of one line that names the file."""
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


def _column(present: Sequence[str], known: Sequence[str], *, what: str, file: Path, advice: str = "") -> str:
    for name in known:
        if name in present:
            return name
    raise DataError(
        f"{file}: has no {what} column ({' or '.join(known)}); its columns are {', '.join(present)}; {advice}"
        + ("; audio:PATH reads recordings" if what == "image" and "audio" in present else "")
    )


def _encoded(column: Any, what: str, *, file: Path) -> Any:
    import pyarrow
    import pyarrow.compute

    remedy = f"save it with the {what}s embedded"
    if pyarrow.types.is_struct(column.type):
        if column.type.get_field_index("bytes") < 0:
            raise DataError(f"{file}: its {what}s are not stored inside it (no field 'bytes'); {remedy}")
        column = pyarrow.compute.struct_field(column, "bytes")
    if not (pyarrow.types.is_binary(column.type) or pyarrow.types.is_large_binary(column.type)):
        raise DataError(f"{file}: the {what} column must hold encoded {what}s as bytes, got {column.type}; {remedy}")
    if column.null_count:
        raise DataError(f"{file}: {column.null_count} of {len(column)} {what}s have no bytes; {remedy}")
    return column.cast(pyarrow.large_binary())


def _class_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...] | None:
    """From the hub's own metadata, or a plain list "classes"; None where neither is there."""
    try:
        if b"huggingface" in metadata:
            names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
            if isinstance(names, dict):  # {"0": "cat", "1": "dog"}
                names = [names[str(i)] for i in range(len(names))]
            return tuple(str(name) for name in names) if isinstance(names, list) else None
        return tuple(metadata[b"classes"].decode().split(",")) if b"classes" in metadata else None
    except (KeyError, TypeError, ValueError):
        return None


ENTRIES = (
    DataEntry(
        name="parquet:PATH",
        description="an image data set of the Hugging Face hub",
        read=read_parquet,
        options=(
            Option("image", f"the column of pictures; {' or '.join(_IMAGE_NAMES)}"),
            Option("label", f"the column of classes; {', '.join(_LABEL_NAMES)}"),
        ),
    ),
)
