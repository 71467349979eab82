"""Parquet files as image data sets are published on the Hugging Face hub.

    image (or img)                          struct of bytes and path, or plain bytes: an encoded image
    label (or labels, fine_label, target)   a whole number, or a name

Which files are which part is in `parquet_files.py`. A single file, or files without a test part, give one fifth of
their samples as the test part; validation files are the test part where there is no other. Classes are known by their
names where a file says them: one that numbers them otherwise is renumbered, see `parquet_labels.py`.

Colour, size and depth are made common as `images.py` says, over both parts together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from calando.errors import DataError, UsageError
from calando.tasks.data.arrays import ArrayData, Part, with_test
from calando.tasks.data.cache import cached
from calando.tasks.data.images import decode_all
from calando.tasks.data.parquet_columns import read_images
from calando.tasks.data.parquet_files import Files, find_files, refuse_lone_shard
from calando.tasks.data.parquet_labels import numbered
from calando.tasks.data.part_names import part_of
from calando.tasks.data.told import parts_told, repeats_told

__all__ = ["has_parquet", "read_parquet"]


def has_parquet(folder: Path) -> bool:
    """Whether the folder itself, not one below it, holds a parquet file named train*."""
    return any(part_of(path.stem)[0] == "train" for path in folder.glob("*.parquet"))


def read_parquet(path: Path) -> ArrayData:
    """A file or a folder of files.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: missing, damaged, without an image or label column, with an image that cannot be decoded, several
            data sets in one folder, a shard missing, or classes that differ between files.
    """
    try:
        import pyarrow  # noqa: F401  # the columns' readers import it again
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
    labels, names, notes = numbered(parts, origins=origins)
    images = _images(parts, labels, origins, notes)
    cut = len(labels[0])
    if len(parts) == 1:
        data = with_test(Part(images, labels[0], origins[0]), class_names=names)
    else:
        data = ArrayData(Part(images[:cut], labels[0], origins[0]), Part(images[cut:], labels[1], origins[1]), names)
    counted = {"train": data.train.labels, "test": data.test.labels}
    told = parts_told(str(path), counted, names, files.passed_over, cut=len(parts) == 1)
    return replace(data, notes=(told, *notes, *repeats_told(data.train, data.test)))


def _images(
    parts: Sequence[Sequence[Path]], labels: Sequence[np.ndarray], origins: Sequence[str], notes: list[str]
) -> np.ndarray:
    files = [file for part in parts for file in part]
    cut = len(labels[0])

    def name(i: int) -> str:
        return f"{origins[0]}, row {i}" if i < cut else f"{origins[1]}, row {i - cut}"

    def decode() -> np.ndarray:
        encoded = [read_images(part) for part in parts]
        for column, part, origin in zip(encoded, labels, origins, strict=True):
            if len(column) != len(part):
                raise DataError(f"{origin}: holds {len(column)} images but {len(part)} labels; fetch it again")

        def content(i: int) -> bytes:
            found: bytes = (encoded[0][i] if i < cut else encoded[1][i - cut]).as_py()
            return found

        return decode_all(sum(map(len, labels)), content, name, fitted_on=cut, notes=notes)

    return cached(files, decode, form=f"{cut}", notes=notes)
