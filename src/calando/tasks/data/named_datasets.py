"""The data sets known by name: digits, Fashion-MNIST and CIFAR-10, as they lie on people's disks.

    digits          1,797 grey images of 8x8, which come with calando as `digits.npy.gz`; pixels 0 … 16 are scaled to
                    0 … 255. They have no test part: one fifth (359 images) is cut off by the rule of `labels`
    fashion-mnist   IDX files, plain or gzip-compressed: 2 bytes 0, 1 byte type (8 = uint8), 1 byte number of axes, then
                    each axis as big-endian uint32, then the data
    cifar10         binary: data_batch_1.bin … data_batch_5.bin, test_batch.bin, records of 1 label byte + 3072 bytes
                    (3 x 32 x 32); pickled: data_batch_1 … (torchvision's cifar-10-batches-py), read by `safe_pickle`;
                    or the hub's parquet files

Sources: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (CC BY 4.0), as scikit-learn has
them, see `digits.LICENSE.txt`; Y. LeCun, C. Cortes, "The MNIST database"; H. Xiao, K. Rasul, R. Vollgraf,
"Fashion-MNIST", arXiv:1708.07747; A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from calando.errors import DataError
from calando.language import message
from calando.records.files import open_plain
from calando.tasks.data import DataEntry, Download, Layout
from calando.tasks.data.arrays import ArrayData, Part, content_of, with_test
from calando.tasks.data.parquet import has_parquet, read_parquet
from calando.tasks.data.parts import summed_up

__all__ = ["CIFAR10_CLASSES", "DIGITS_FILE", "ENTRIES", "read_digits", "read_idx", "read_idx_folder"]

DIGITS_FILE = Path(__file__).with_name("digits.npy.gz")


_FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_FILES = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
_HEADER_BYTES, _MOST_AXES = 4, 8
_MOST_BYTES = 2**29  # eleven times Fashion-MNIST's largest file, 17 times CIFAR-10's

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
_SHAPE, _PIXELS = (3, 32, 32), 3 * 32 * 32
_AGAIN = message("fetch it again: calando data get cifar10")


def read_digits() -> ArrayData:
    """Needs no files of the user's.

    >>> data = read_digits()
    >>> data.train.images.shape[1:], len(data.train.labels) + len(data.test.labels)
    ((1, 8, 8), 1797)
    """
    with gzip.open(DIGITS_FILE) as file:
        table: np.ndarray = np.load(file, allow_pickle=False)  # uint8[1797, 65]: 64 pixels and the label
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    whole = Part(images, table[:, -1].astype(np.int64), "digits")
    return summed_up("digits", with_test(whole, class_names=tuple("0123456789")), look_for_repeats=False)


def read_idx_folder(folder: Path) -> ArrayData:
    """The train and test files of one folder; DataError where one is missing, damaged, or does not fit its partner."""
    train, test = (_part(_file(folder, images), _file(folder, labels)) for images, labels in _FILES)
    return summed_up(folder, ArrayData(train, test, _FASHION_CLASSES), look_for_repeats=False)


def read_idx(path: Path) -> np.ndarray:
    """One IDX file as a uint8 array; DataError where it is missing, truncated, or not IDX of uint8."""
    try:
        with open_plain(path) as file:
            return _read(cast("BinaryIO", gzip.open(file)) if path.suffix == ".gz" else file, path)
    except FileNotFoundError as error:
        raise DataError(
            message("{path}: is missing; fetch it, e.g. calando data get fashion-mnist", path=path)
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(
            message("{path}: cannot be read ({reason}); it is damaged: fetch it again", path=path, reason=reason)
        ) from error


def _read(content: BinaryIO, path: Path) -> np.ndarray:
    """No more is unpacked than the header states: the content may have no end."""
    head = content.read(_HEADER_BYTES)
    if len(head) < _HEADER_BYTES or head[:3] != b"\x00\x00\x08":
        raise DataError(
            message(
                "{path}: not an IDX file of unsigned bytes (begins with {begins}); fetch it again",
                path=path,
                begins=head.hex(" "),
            )
        )
    axes = head[3]
    sizes = content.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(message("{path}: ends within its header; fetch it again", path=path))
    shape = struct.unpack(f">{axes}I", sizes)
    wanted = math.prod(shape)
    if wanted > _MOST_BYTES or axes > _MOST_AXES:
        raise DataError(
            message(
                "{path}: its header says {wanted} bytes of data in {axes} axes, more than the {most} that "
                "are read; fetch it again",
                path=path,
                wanted=wanted,
                axes=axes,
                most=_MOST_BYTES,
            )
        )
    # Memory is taken as it is written to, so a header that promises too much costs nothing.
    data, got = np.empty(wanted, np.uint8), 0
    while got < wanted and (read := content.readinto(data[got : got + 2**20])):  # type: ignore[attr-defined]
        got += read
    more = len(content.read(1))
    if got + more != wanted:
        holds = message("more than {count}", count=got) if more else f"{got}"
        raise DataError(
            message(
                "{path}: holds {holds} bytes of data where its header says {wanted}; fetch it again",
                path=path,
                holds=holds,
                wanted=wanted,
            )
        )
    return data.reshape(shape)


def _part(images_path: Path, labels_path: Path) -> Part:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(
            message(
                "{images_path}: {shape} images do not fit the {label_shape} labels of {name}",
                images_path=images_path,
                shape=images.shape,
                label_shape=labels.shape,
                name=labels_path.name,
            )
        )
    return Part(images[:, None], labels.astype(np.int64), str(images_path))


def _file(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def _has(*names: str) -> Callable[[Path], bool]:
    """Whether a folder holds one of these files."""
    return lambda folder: any(_file(folder, name).is_file() for name in names)


def _read_cifar10(folder: Path, *, ending: str) -> ArrayData:
    part = _binary_part if ending else _pickled_part
    train = [part(folder / f"{name}{ending}") for name in _TRAIN]
    joined = Part(np.concatenate([p.images for p in train]), np.concatenate([p.labels for p in train]), str(folder))
    data = ArrayData(joined, part(folder / f"test_batch{ending}"), CIFAR10_CLASSES)
    return summed_up(folder, data, look_for_repeats=False)


read_binary = partial(_read_cifar10, ending=".bin")
"""The binary layout; DataError where a file is missing or is not a whole number of records."""

read_pickled = partial(_read_cifar10, ending="")
"""The pickled layout; DataError where a file is missing, damaged, or holds anything else."""


def _binary_part(path: Path) -> Part:
    content = content_of(path, most=_MOST_BYTES, advice=message("; {again}", again=_AGAIN))
    if not content or len(content) % (1 + _PIXELS):
        raise DataError(
            message(
                "{path}: {content} bytes are not a whole number of records of {record_size}; {remedy}",
                path=path,
                content=len(content),
                record_size=1 + _PIXELS,
                remedy=_AGAIN,
            )
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, 1 + _PIXELS)
    return Part(records[:, 1:].reshape(-1, *_SHAPE), records[:, 0].astype(np.int64), str(path))


def _pickled_part(path: Path) -> Part:
    from calando.tasks.data.safe_pickle import load_arrays

    batch = load_arrays(content_of(path, most=_MOST_BYTES, advice=message("; {again}", again=_AGAIN)), origin=str(path))
    pixels, labels = batch.get("data"), batch.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != _PIXELS or not len(pixels):
        raise DataError(
            message(
                "{path}: holds no array 'data' of rows of {pixels} bytes; {remedy}",
                path=path,
                pixels=_PIXELS,
                remedy=_AGAIN,
            )
        )
    if not isinstance(labels, list) or len(labels) != len(pixels) or not all(type(label) is int for label in labels):
        raise DataError(
            message(
                "{path}: holds no list 'labels' of {pixels} whole numbers; {remedy}",
                path=path,
                pixels=len(pixels),
                remedy=_AGAIN,
            )
        )
    if not all(0 <= label < len(CIFAR10_CLASSES) for label in labels):
        raise DataError(
            message(
                "{path}: labels must be 0 … 9, got {lowest} … {highest}; {remedy}",
                path=path,
                lowest=min(labels),
                highest=max(labels),
                remedy=_AGAIN,
            )
        )
    return Part(pixels.reshape(-1, *_SHAPE), np.array(labels, dtype=np.int64), str(path))


_FASHION_URLS = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_FASHION_SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}

ENTRIES = (
    DataEntry(
        name="digits",
        description="1,797 handwritten digits, 8x8 grey; embedded (scikit-learn)",
        model="cnn",
        epochs=10,
        validation_fraction=0.2,  # of 1,438: a tenth would be 143 images, all of which a good rate gets right
        embedded=read_digits,
    ),
    DataEntry(
        name="fashion-mnist",
        description="70,000 articles of clothing, 28x28 grey (Zalando)",
        model="cnn",
        batch_size=128,
        augment="crop(2)+flip",
        epochs=5,
        layouts=tuple(
            Layout(below, _has(*_FILES[0], *_FILES[1]), read_idx_folder)
            for below in (".", "raw", "FashionMNIST/raw")  # the last two: torchvision
        ),
        downloads=tuple(
            Download(name, sha256, tuple(url + name for url in _FASHION_URLS))
            for name, sha256 in _FASHION_SHA256.items()
        ),
    ),
    DataEntry(
        name="cifar10",
        description="60,000 photographs, 32x32 colour, 10 classes",
        model="resnet8",
        batch_size=128,
        augment="crop(4)+flip",
        epochs=5,
        layouts=(
            *(Layout(below, _has("data_batch_1.bin"), read_binary) for below in (".", "cifar-10-batches-bin")),
            *(Layout(below, _has("data_batch_1"), read_pickled) for below in (".", "cifar-10-batches-py")),
            *(Layout(below, has_parquet, read_parquet) for below in (".", "plain_text")),  # the last: the hub's
        ),
        downloads=(
            Download(
                "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
                members=(*(f"{name}.bin" for name in _TRAIN), "test_batch.bin"),
            ),
        ),
    ),
)
