"""The IDX format of MNIST and Fashion-MNIST, plain or gzip-compressed.

    2 bytes 0, 1 byte type (8 = uint8), 1 byte number of axes, then each axis as big-endian uint32, then the data

Source: Y. LeCun, C. Cortes, "The MNIST database"; H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from calando.errors import DataError
from calando.records.files import open_plain
from calando.tasks.data.arrays import ArrayData, Part

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
_MOST_BYTES, _MOST_AXES = 2**29, 8  # eleven times Fashion-MNIST's largest file
_BLOCK = 2**20


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
    try:
        with open_plain(path) as file, _unpacked(file, path) as content:
            return _read(content, path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: is missing; fetch it, e.g. calando data get fashion-mnist") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{path}: cannot be read ({reason}); it is damaged: fetch it again") from error


def _read(content: BinaryIO, path: Path) -> np.ndarray:
    """What the header says and not a byte more is unpacked: it may go on without end."""
    head = content.read(_HEADER_BYTES)
    if len(head) < _HEADER_BYTES or head[:3] != b"\x00\x00\x08":
        raise DataError(f"{path}: not an IDX file of unsigned bytes (begins with {head.hex(' ')}); fetch it again")
    axes = head[3]
    sizes = content.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(f"{path}: ends within its header; fetch it again")
    shape = struct.unpack(f">{axes}I", sizes)
    wanted = math.prod(shape)
    if wanted > _MOST_BYTES or axes > _MOST_AXES:
        raise DataError(
            f"{path}: its header says {wanted} bytes of data in {axes} axes, more than the {_MOST_BYTES} that are "
            "read; fetch it again"
        )
    data, got = np.empty(wanted, np.uint8), 0
    while got < wanted and (block := content.read(min(_BLOCK, wanted - got))):
        data[got : got + len(block)] = np.frombuffer(block, np.uint8)
        got += len(block)
    more = len(content.read(1))
    if got + more != wanted:
        holds = f"more than {got}" if more else f"{got}"
        raise DataError(f"{path}: holds {holds} bytes of data where its header says {wanted}; fetch it again")
    return data.reshape(shape)


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


@contextmanager
def _unpacked(file: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    if path.suffix != ".gz":
        yield file
        return
    with gzip.open(file) as content:
        yield cast("BinaryIO", content)
