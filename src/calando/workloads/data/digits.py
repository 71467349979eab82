"""scikit-learn's handwritten digits: 1,797 grey images of 8x8, embedded in scikit-learn.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998. Pixels 0 … 16 are scaled to
0 … 255. It comes without a test part: one fifth (360 images) is cut off by the rule of `split.py`.
"""

from __future__ import annotations

import numpy as np

from calando.workloads.data.arrays import ArrayData, Part, with_test

__all__ = ["read_digits"]


def read_digits() -> ArrayData:
    """Needs no files.

    >>> data = read_digits()
    >>> data.train.images.shape[1:], len(data.train.labels) + len(data.test.labels)
    ((1, 8, 8), 1797)
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    whole = Part(images, labels.astype(np.int64), "digits")
    return with_test(whole, class_names=tuple("0123456789"))
