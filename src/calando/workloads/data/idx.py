"""The IDX format of MNIST and Fashion-MNIST, plain or gzip-compressed.

    2 bytes 0, 1 byte type (8 = uint8), 1 byte number of axes, then each axis as big-endian uint32, then the data

Source: Y. LeCun, C. Cortes, "The MNIST database"; H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from calando.errors import DataError
from calando.workloads.data.arrays import ArrayData, Part

__all__ = ["FASHION_CLASSES", "has_idx", "read_idx", "read_idx_folder"]

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_FILES = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
_HEADER_BYTES = 4


def has_idx(folder: Path) -> bool:
    """Whether the folder holds at least one of the four files."""
    return any(_file(folder, name).is_file() for pair in _FILES for name in pair)


def read_idx_folder(folder: Path, *, class_names: tuple[str, ...] | None = None) -> ArrayData:
    """The train and test files of one folder.

    Raises:
        DataError: a file is missing, damaged, or does not fit its partner.
    """
    train, test = (_part(_file(folder, images), _file(folder, labels)) for images, labels in _FILES)
    return ArrayData(train, test, class_names)


def read_idx(path: Path) -> np.ndarray:
    """One IDX file as a uint8 array.

    Raises:
        DataError: missing, truncated, or not IDX of uint8.
    """
    content = _content(path)
    if len(content) < _HEADER_BYTES or content[:3] != b"\x00\x00\x08":
        raise DataError(
            f"{path}: not an IDX file of unsigned bytes (begins with {content[:4].hex(' ')}); fetch it again"
        )
    axes = content[3]
    start = _HEADER_BYTES + 4 * axes
    if len(content) < start:
        raise DataError(f"{path}: ends within its header; fetch it again")
    shape = struct.unpack(f">{axes}I", content[_HEADER_BYTES:start])
    if len(content) - start != math.prod(shape):
        raise DataError(
            f"{path}: holds {len(content) - start} bytes of data where its header says {math.prod(shape)}; "
            "fetch it again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy()


def _part(images_path: Path, labels_path: Path) -> Part:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(
            f"{images_path}: {images.shape} images do not fit the {labels.shape} labels of {labels_path.name}"
        )
    return Part(images[:, None], labels.astype(np.int64), str(images_path))


def _file(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def _content(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except FileNotFoundError as error:
        raise DataError(f"{path}: is missing; fetch it, e.g. calando data get fashion-mnist") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); it is damaged: fetch it again") from error
