"""Images in one folder a class.

    PATH/CLASS/image.png                          one fifth becomes the test part (the rule of `split.py`)
    PATH/train/CLASS/image.png, PATH/test/…       as they are; "val" or "valid" stands in where there is no "test"

Which folders are parts and classes, and what is passed over, is in `tree.py`. Classes are numbered in the order of
their folders' names. Colour, size and depth are made common as `images.py` says, over both parts together.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from calando.errors import DataError
from calando.records.files import read_plain
from calando.tasks.data.arrays import ArrayData, Part, with_test
from calando.tasks.data.cache import cached
from calando.tasks.data.images import decode_all
from calando.tasks.data.told import parts_told, repeats_told
from calando.tasks.data.tree import look

__all__ = ["read_folder"]

MOST_BYTES = 2**30


def read_folder(path: Path) -> ArrayData:
    """Read the images below a folder.

    Raises:
        DataError: missing, without class folders or images, a class without images, folders nested too deep, parts that
            do not fit each other, or a damaged image.
    """
    tree = look(path)
    listed = list(tree.parts.values())
    files = [file for part in listed for file, _ in part]
    labels = np.array([label for part in listed for _, label in part], dtype=np.int64)
    cut, notes = len(listed[0]), list[str]()

    def decode() -> np.ndarray:
        return decode_all(len(files), lambda i: _content(files[i]), lambda i: str(files[i]), fitted_on=cut, notes=notes)

    images = cached(files, decode, form=f"{cut}", notes=notes)
    if len(listed) == 1:
        data = with_test(Part(images, labels, str(path)), class_names=tree.classes)
    else:
        origins = [str(path / name) for name in tree.parts]
        data = ArrayData(
            Part(images[:cut], labels[:cut], origins[0]), Part(images[cut:], labels[cut:], origins[1]), tree.classes
        )
    names = list(tree.parts) if len(listed) == 2 else ["train", "test"]
    parts = {names[0]: data.train.labels, names[1]: data.test.labels}
    told = parts_told(str(path), parts, tree.classes, tree.passed_over, cut=len(listed) == 1)
    return replace(data, notes=(told, *notes, *repeats_told(data.train, data.test)))


def _content(file: Path) -> bytes:
    try:
        return read_plain(file, most=MOST_BYTES)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
