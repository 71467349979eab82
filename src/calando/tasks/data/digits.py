"""Handwritten digits: 1,797 grey images of 8x8, which come with calando as `digits.npy.gz`.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (CC BY 4.0), as scikit-learn has
them; `digits.LICENSE.txt` says more. Pixels 0 … 16 are scaled to 0 … 255. It comes without a test part: one fifth (359
images) is cut off by the rule of `split.py`.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from calando.tasks.data.arrays import ArrayData, Part, with_test

__all__ = ["read_digits"]

FILE = Path(__file__).with_name("digits.npy.gz")


def read_digits() -> ArrayData:
    """Needs no files of the user's.

    >>> data = read_digits()
    >>> data.train.images.shape[1:], len(data.train.labels) + len(data.test.labels)
    ((1, 8, 8), 1797)
    """
    with gzip.open(FILE) as file:
        table: np.ndarray = np.load(file, allow_pickle=False)  # uint8[1797, 65]: 64 pixels and the label
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    whole = Part(images, table[:, -1].astype(np.int64), "digits")
    return with_test(whole, class_names=tuple("0123456789"))
