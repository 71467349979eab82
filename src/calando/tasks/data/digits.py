"""scikit-learn's handwritten digits: 1,797 grey images of 8x8, embedded in scikit-learn.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998. Pixels 0 … 16 are scaled to
0 … 255. It comes without a test part: one fifth (360 images) is cut off by the rule of `split.py`.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from calando.tasks.data.arrays import ArrayData, Part, with_test

__all__ = ["read_digits"]


def read_digits() -> ArrayData:
    """Needs no files.

    >>> data = read_digits()
    >>> data.train.images.shape[1:], len(data.train.labels) + len(data.test.labels)
    ((1, 8, 8), 1797)
    """
    table = _table()
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    whole = Part(images, table[:, -1].astype(np.int64), "digits")
    return with_test(whole, class_names=tuple("0123456789"))


def _table() -> np.ndarray:
    """float64[1797, 65]: 64 pixels and the label of each image."""
    # The file alone: to import scikit-learn takes each worker longer than several short runs.
    found = find_spec("sklearn")
    assert found is not None, "scikit-learn is a dependency"
    assert found.origin is not None
    path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        with gzip.open(path, "rt") as file:
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return np.column_stack([pixels, labels])
