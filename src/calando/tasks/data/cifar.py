"""CIFAR-10 in its two published layouts.

    binary     data_batch_1.bin … data_batch_5.bin, test_batch.bin: records of 1 label byte + 3072 bytes (3 x 32 x 32)
    pickled    data_batch_1 … data_batch_5, test_batch (torchvision's cifar-10-batches-py): read by `safe_pickle`

Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calando.errors import DataError
from calando.tasks.data.arrays import ArrayData, Part, content_of
from calando.tasks.data.safe_pickle import load_arrays

__all__ = ["CIFAR10_CLASSES", "has_binary", "has_pickled", "read_binary", "read_pickled"]

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_MOST_BYTES = 2**29  # 17 times the published files
_AGAIN = "fetch it again: calando data get cifar10"


def has_binary(folder: Path) -> bool:
    """Whether the folder holds the first file of the binary layout."""
    return (folder / "data_batch_1.bin").is_file()


def has_pickled(folder: Path) -> bool:
    """Whether the folder holds the first file of the pickled layout."""
    return (folder / "data_batch_1").is_file()


def read_binary(folder: Path) -> ArrayData:
    """The binary layout.

    Raises:
        DataError: a file is missing or is not a whole number of records.
    """
    train = [_binary_part(folder / f"{name}.bin") for name in _TRAIN]
    return ArrayData(_joined(train, str(folder)), _binary_part(folder / "test_batch.bin"), CIFAR10_CLASSES)


def read_pickled(folder: Path) -> ArrayData:
    """The pickled layout.

    Raises:
        DataError: a file is missing, damaged, or holds anything but what these files need.
    """
    train = [_pickled_part(folder / name) for name in _TRAIN]
    return ArrayData(_joined(train, str(folder)), _pickled_part(folder / "test_batch"), CIFAR10_CLASSES)


def _binary_part(path: Path) -> Part:
    content = content_of(path, most=_MOST_BYTES, advice=f"; {_AGAIN}")
    if not content or len(content) % (1 + _PIXELS):
        raise DataError(f"{path}: {len(content)} bytes are not a whole number of records of {1 + _PIXELS}; {_AGAIN}")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, 1 + _PIXELS)
    return Part(records[:, 1:].reshape(-1, *_SHAPE), records[:, 0].astype(np.int64), str(path))


def _pickled_part(path: Path) -> Part:
    batch = load_arrays(content_of(path, most=_MOST_BYTES, advice=f"; {_AGAIN}"), origin=str(path))
    pixels, labels = batch.get("data"), batch.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != _PIXELS or not len(pixels):
        raise DataError(f"{path}: holds no array 'data' of rows of {_PIXELS} bytes; {_AGAIN}")
    if not isinstance(labels, list) or len(labels) != len(pixels) or not all(type(label) is int for label in labels):
        raise DataError(f"{path}: holds no list 'labels' of {len(pixels)} whole numbers; {_AGAIN}")
    if not all(0 <= label < len(CIFAR10_CLASSES) for label in labels):
        raise DataError(f"{path}: labels must be 0 … 9, got {min(labels)} … {max(labels)}; {_AGAIN}")
    return Part(pixels.reshape(-1, *_SHAPE), np.array(labels, dtype=np.int64), str(path))


def _joined(parts: list[Part], origin: str) -> Part:
    return Part(np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]), origin)
