"""Parquet files as image data sets are published on the Hugging Face hub.

    image (or img)                          struct of bytes and path, or plain bytes: an encoded image
    label (or labels, fine_label, target)   a whole number, or a name

Files are told apart by their names, or else by the folder they are in: train*, test*, and valid* or val* (used as the
test part only where there is no test file). A single file, or files without a test part, give one fifth of their
samples as the test part. Class names come from the file's own metadata where it has them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calando.errors import DataError
from calando.workloads.data.arrays import ArrayData, Part, as_labels, with_test
from calando.workloads.data.cache import cached
from calando.workloads.data.images import decode_all
from calando.workloads.data.parquet_columns import read_images, read_labels

__all__ = ["has_parquet", "read_parquet"]

_SPLIT = re.compile(r"(train|test|valid(?:ation)?|val)(?![a-z])")


def has_parquet(folder: Path) -> bool:
    """Whether the folder itself, not one below it, holds a parquet file named train*."""
    return any(_split(path, folder) == "train" for path in folder.glob("*.parquet"))


def read_parquet(path: Path) -> ArrayData:
    """A file or a folder of files.

    Raises:
        DataError: missing, damaged, without an image or label column, or with an image that cannot be decoded.
    """
    if path.is_file():
        whole, names = _part([path], None)
        return with_test(whole, class_names=names)
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder")
    found = sorted(path.rglob("*.parquet"))
    splits = {split: [file for file in found if _split(file, path) == split] for split in ("train", "test", "val")}
    if not splits["train"]:
        raise DataError(f"{path}: has no parquet file named train*.parquet; name a file, or a folder with such files")
    train, names = _part(splits["train"], None)
    test_files = splits["test"] or splits["val"]
    if not test_files:
        return with_test(train, class_names=names)
    return ArrayData(train, _part(test_files, names)[0], names)


def _split(path: Path, root: Path) -> str | None:
    """The split a file belongs to: by its name, else by the folder it is in."""
    for name in (path.name, path.parent.name if path.parent != root else ""):
        if found := _SPLIT.match(name.lower()):
            return "val" if found[1].startswith("val") else found[1]
    return None


def _part(files: Sequence[Path], names: tuple[str, ...] | None) -> tuple[Part, tuple[str, ...] | None]:
    """One part and its class names; `names` are those of the training part, where this is not it."""
    origin = str(files[0] if len(files) == 1 else files[0].parent)
    written, own_names = read_labels(files)
    if not written:
        raise DataError(f"{origin}: holds no samples; fetch it again or name another file")
    names = names or own_names
    if all(isinstance(label, str) for label in written):
        names = names or tuple(sorted(set(written)))
        written = _numbered(written, names, origin=origin)
    if any(isinstance(label, list | dict | str | bytes) for label in written):
        raise DataError(f"{origin}: labels must be whole numbers or names, got e.g. {written[0]!r}")

    def decode() -> np.ndarray:
        encoded = read_images(files)
        if len(encoded) != len(written):
            raise DataError(f"{origin}: holds {len(encoded)} images but {len(written)} labels; fetch it again")
        return decode_all(len(encoded), lambda i: encoded[i].as_py(), lambda i: f"{origin}, row {i}")

    return Part(cached(files, decode), as_labels(np.array(written), origin=origin), origin), names


def _numbered(labels: list[Any], names: tuple[str, ...], *, origin: str) -> list[int]:
    number = {name: i for i, name in enumerate(names)}
    if unknown := sorted(set(labels) - set(number)):
        raise DataError(f"{origin}: label {unknown[0]!r} is not among the training part's: {', '.join(number)}")
    return [number[label] for label in labels]
