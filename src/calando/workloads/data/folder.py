"""Images in one folder a class.

    PATH/CLASS/image.png                          one fifth becomes the test part (the rule of `split.py`)
    PATH/train/CLASS/image.png, PATH/test/…       as they are; "val" or "valid" stands in where there is no "test"

Classes are numbered in the order of their folders' names; hidden files and files that are not images by their ending
are passed over. Colour and size are made common as `images.py` says, over both parts together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calando.errors import DataError
from calando.workloads.data.arrays import ArrayData, Part, with_test
from calando.workloads.data.cache import cached
from calando.workloads.data.images import EXTENSIONS, decode_all

__all__ = ["read_folder"]

_TEST_NAMES = ("test", "val", "valid", "validation")


def read_folder(path: Path) -> ArrayData:
    """Read the images below a folder.

    Raises:
        DataError: missing, without class folders or images, a class missing from a part, or a damaged image.
    """
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder")
    train, test = path / "train", next((path / name for name in _TEST_NAMES if (path / name).is_dir()), None)
    if train.is_dir() and test is None:
        raise DataError(f"{path}: has train/ but no test/; add one, or name {train} to have a fifth of it cut off")
    parts = [train, test] if train.is_dir() and test is not None else [path]
    names = _class_names(parts[0])
    listed = [_listed(part, names) for part in parts]
    files = [file for part in listed for file, _ in part]
    if not files:
        raise DataError(f"{path}: holds no images ({', '.join(EXTENSIONS)}) in its class folders")
    images = cached(files, lambda: decode_all(len(files), lambda i: _content(files[i]), lambda i: str(files[i])))
    labels = np.array([label for part in listed for _, label in part], dtype=np.int64)
    if len(listed) == 1:
        return with_test(Part(images, labels, str(path)), class_names=names)
    cut = len(listed[0])
    return ArrayData(
        Part(images[:cut], labels[:cut], str(parts[0])), Part(images[cut:], labels[cut:], str(parts[1])), names
    )


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")))
    if not names:
        raise DataError(f"{folder}: has no class folders; put each class's images in a folder of its own")
    return names


def _listed(folder: Path, names: Sequence[str]) -> list[tuple[Path, int]]:
    other = {child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")} - set(names)
    if other:
        raise DataError(f"{folder}: class {min(other)!r} is not among the training part's: {', '.join(names)}")
    return [
        (file, label)
        for label, name in enumerate(names)
        for file in sorted((folder / name).rglob("*"))
        if file.suffix.lower() in EXTENSIONS and not file.name.startswith(".") and file.is_file()
    ]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
