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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calando.errors import DataError, UsageError
from calando.language import message
from calando.tasks.data import DataEntry
from calando.tasks.data.arrays import ArrayData, as_labels
from calando.tasks.data.images import cached, decode_all
from calando.tasks.data.options import Option
from calando.tasks.data.parquet_columns import column_name, reading, unpacked
from calando.tasks.data.parquet_files import Files, find_files, refuse_lone_shard
from calando.tasks.data.parts import data_in_parts, part_of, some

__all__ = [
    "ENTRIES",
    "Kind",
    "has_parquet",
    "labelled",
    "read_encoded",
    "read_parquet",
]

_IMAGE_NAMES = ("image", "img")
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
    otherwise: str = message(", or target=NAME if this is a table")

    def advice(self, option: str) -> str:
        """What to do where no column is there."""
        return message("write {option}=NAME behind the path{otherwise}", option=option, otherwise=self.otherwise)


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
        raise UsageError(
            message("{path}: parquet files need pyarrow: pip install 'calando[parquet]'", path=path)
        ) from error
    if path.is_file():
        refuse_lone_shard(path)
        files = Files((path,), (), ())
    elif path.is_dir():
        files = find_files(path)
    else:
        raise DataError(message("{path}: there is no such file or folder", path=path))
    parts = [part for part in (files.train, files.test) if part]
    origins = [str(part[0] if len(part) == 1 else part[0].parent) for part in parts]
    image_names = _IMAGE_NAMES if image is None else (image,)
    label_names = _LABEL_NAMES if label is None else (label,)
    kind = Kind(message("image"), image_names, label_names)
    labels, names, notes = labelled(parts, origins, kind=kind)
    notes += [*files.notes, *_chosen_columns(parts[0][0], image_names, label_names)]
    cut = len(labels[0])

    def decode() -> np.ndarray:
        images = read_encoded(parts, labels, origins, kind=kind)
        return decode_all(
            len(images),
            lambda i: images[i].as_py(),
            lambda i: (
                message("{origin}, row {row}", origin=origins[0], row=i)
                if i < cut
                else message("{origin}, row {row}", origin=origins[1], row=i - cut)
            ),
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
    notes: list[str] = []
    for option, what, known in (
        ("image", message("image"), image_names),
        ("label", message("label"), label_names),
    ):
        found = [name for name in known if name in present]
        if len(found) > 1:
            notes.append(
                message(
                    "{what}s are read from column {name}, not {others} (else {option}=NAME)",
                    what=what,
                    name=found[0],
                    others=some(found[1:]),
                    option=option,
                )
            )
    return notes


def labelled(
    parts: Sequence[Sequence[Path]], origins: Sequence[str], *, kind: Kind
) -> tuple[list[np.ndarray], tuple[str, ...] | None, list[str]]:
    """Labels int64[N] of each part, the training part first; the class names; what was renumbered, in sentences."""
    read = [[_read_labels(file, kind) for file in part] for part in parts]
    for files, origin in zip(read, origins, strict=True):
        if not any(len(labels.written) for labels in files):
            raise DataError(message("{origin}: holds no samples; fetch it again or name another file", origin=origin))
        for labels in files:
            words = sum(isinstance(label, str) for label in labels.written)
            bad = next((label for label in labels.written if isinstance(label, list | dict | bytes)), None)
            if bad is not None or words not in (0, len(labels.written)):
                shown = labels.written[0] if bad is None else bad
                raise DataError(
                    message(
                        "{origin}: labels must be whole numbers or names, got e.g. {shown}",
                        origin=origin,
                        shown=repr(shown),
                    )
                )
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
                message(
                    "{file}: its labels are names ({label!r}), those of the training part numbers without "
                    "names; write both alike",
                    file=labels.file,
                    label=labels.written[0],
                )
            )
        return _by_name(labels, labels.written, names)
    if labels.names is None:
        if words and labels.written:
            raise DataError(
                message(
                    "{file}: its labels are numbers without names, those of the training part names; write both alike",
                    file=labels.file,
                )
            )
        return labels.written
    if names is None or labels.names == names:
        return labels.written
    if len(set(labels.names)) < len(labels.names) or len(set(names)) < len(names):
        raise DataError(
            message(
                "{file}: two of its classes, or of the training part's, share a name; write them apart",
                file=labels.file,
            )
        )
    if outside := [label for label in labels.written if label not in range(len(labels.names))]:
        raise DataError(
            message(
                "{file}: label {label!r} is none of the {count} classes that it names; correct it",
                file=labels.file,
                label=outside[0],
                count=len(labels.names),
            )
        )
    made = _by_name(labels, [labels.names[int(label)] for label in labels.written], names)
    if list(made) != [int(label) for label in labels.written]:
        notes.append(
            message(
                "{file}: numbers the classes otherwise than the training part; renumbered by name", file=labels.file
            )
        )
    return made


def _by_name(labels: _Labels, words: Sequence[str], names: tuple[str, ...]) -> list[int]:
    number = {name: i for i, name in enumerate(names)}
    if unknown := sorted(set(words) - set(number)):
        raise DataError(
            message(
                "{file}: label {label!r} is not among the training part's: {names}",
                file=labels.file,
                label=unknown[0],
                names=", ".join(number),
            )
        )
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
        column_name(schema.names, kind.columns, what=kind.what, file=file, advice=kind.advice(kind.option))
        name = column_name(schema.names, kind.labels, what=message("label"), file=file, advice=kind.advice("label"))
        column = unpacked(file, name).to_pylist()
    if None in column:
        raise DataError(message("{file}: row {row} has no label; remove it", file=file, row=column.index(None)))
    return _Labels(file, column, _class_names(schema.metadata or {}, name))


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
                name = column_name(pyarrow.parquet.read_schema(file).names, kind.columns, what=kind.what, file=file)
                chunks += _encoded(unpacked(file, name), kind.what, file=file).chunks
        if (count := sum(map(len, chunks)) - before) != len(expected):
            raise DataError(
                message(
                    "{origin}: holds {count} {what}s but {labels} labels; fetch it again",
                    origin=origin,
                    count=count,
                    what=kind.what,
                    labels=len(expected),
                )
            )
    return pyarrow.chunked_array(chunks, pyarrow.large_binary())


def _encoded(column: Any, what: str, *, file: Path) -> Any:
    import pyarrow
    import pyarrow.compute

    remedy = message("save it with the {what}s embedded", what=what)
    if pyarrow.types.is_struct(column.type):
        if column.type.get_field_index("bytes") < 0:
            raise DataError(
                message(
                    "{file}: its {what}s are not stored inside it (no field 'bytes'); {remedy}",
                    file=file,
                    what=what,
                    remedy=remedy,
                )
            )
        column = pyarrow.compute.struct_field(column, "bytes")
    if not (pyarrow.types.is_binary(column.type) or pyarrow.types.is_large_binary(column.type)):
        raise DataError(
            message(
                "{file}: the {what} column must hold encoded {what}s as bytes, got {type}; {remedy}",
                file=file,
                what=what,
                type=str(column.type),
                remedy=remedy,
            )
        )
    if column.null_count:
        raise DataError(
            message(
                "{file}: {lacking} of {count} {what}s have no bytes; {remedy}",
                file=file,
                lacking=column.null_count,
                count=len(column),
                what=what,
                remedy=remedy,
            )
        )
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
