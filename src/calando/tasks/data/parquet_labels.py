"""The labels of parquet files -> numbers that mean the same class in every file.

A file may say its classes' names, in the hub's metadata or as labels that are words. The first training file that does
so numbers them; every other file is renumbered by name. A file that says numbers alone is taken to use the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calando.errors import DataError
from calando.tasks.data.arrays import as_labels
from calando.tasks.data.parquet_columns import Labels, read_labels

__all__ = ["numbered"]


def numbered(
    parts: Sequence[Sequence[Path]], *, origins: Sequence[str]
) -> tuple[list[np.ndarray], tuple[str, ...] | None, list[str]]:
    """Labels int64[N] of each part, the class names, and what was renumbered, in sentences.

    Args:
        parts: the files of each part; the training part first.
        origins: what to call each part in an error.

    Raises:
        DataError: no samples, labels that are neither numbers nor names, or a class that the training part has not.
    """
    read = [[read_labels(file) for file in part] for part in parts]
    for files, origin in zip(read, origins, strict=True):
        if not any(len(labels.written) for labels in files):
            raise DataError(f"{origin}: holds no samples; fetch it again or name another file")
        _check_kind(files, origin=origin)
    names = _names(read[0])
    words = any(labels.are_words for labels in read[0])
    notes: list[str] = []
    made = []
    for files, origin in zip(read, origins, strict=True):
        numbers = [number for labels in files for number in _numbers(labels, names, notes, words=words)]
        made.append(as_labels(np.array(numbers), origin=origin))
    return made, names, notes


def _check_kind(files: Sequence[Labels], *, origin: str) -> None:
    for labels in files:
        words = sum(isinstance(label, str) for label in labels.written)
        bad = next((label for label in labels.written if isinstance(label, list | dict | bytes)), None)
        if bad is not None or words not in (0, len(labels.written)):
            shown = labels.written[0] if bad is None else bad
            raise DataError(f"{origin}: labels must be whole numbers or names, got e.g. {shown!r}")


def _names(train: Sequence[Labels]) -> tuple[str, ...] | None:
    """Of the first file that says them in its metadata; else the words that occur, in order."""
    for labels in train:
        if labels.names is not None:
            return labels.names
    if all(labels.are_words for labels in train):
        return tuple(sorted({label for labels in train for label in labels.written}))
    return None


def _numbers(labels: Labels, names: tuple[str, ...] | None, notes: list[str], *, words: bool) -> Sequence[Any]:
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
    outside = [label for label in labels.written if not (_whole(label) and 0 <= label < len(labels.names))]
    if outside:
        raise DataError(
            f"{labels.file}: label {outside[0]!r} is none of the {len(labels.names)} classes that it names; correct it"
        )
    made = _by_name(labels, [labels.names[int(label)] for label in labels.written], names)
    if list(made) != [int(label) for label in labels.written]:
        notes.append(f"{labels.file}: numbers the classes otherwise than the training part; renumbered by name")
    return made


def _by_name(labels: Labels, words: Sequence[str], names: tuple[str, ...]) -> list[int]:
    number = {name: i for i, name in enumerate(names)}
    if unknown := sorted(set(words) - set(number)):
        raise DataError(f"{labels.file}: label {unknown[0]!r} is not among the training part's: {', '.join(number)}")
    return [number[word] for word in words]


def _whole(label: object) -> bool:
    return isinstance(label, int) or (isinstance(label, float) and label.is_integer())
