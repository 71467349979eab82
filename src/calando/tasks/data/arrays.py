"""What every reader returns: uint8 (or float) images and int64 labels, as NumPy arrays.

    images  [N, C, H, W]    labels  int64[N]

Which axis of an image of three axes (a, b, c) holds the channels: the first or the last. It is known of a PIL image
(last), and where a person names it. Else the shape decides, where only one reading is likely:

    first    a = 1: grey
             a tensor with a = 2 or 3, or b = c = 1: torch's own order
             b = c, a differs: square pictures
             a < b and a < c, and a is at most 4, or two thirds of both
    last     c = 1, b above 1: grey
             a = b, c differs: square pictures
             c < a and c < b, and c is at most 4, or two thirds of both
    refused  all else, such as (8, 8, 8), (8, 16, 8), (3, 64, 4) or (32, 48, 40): a wrong order trains on nonsense

Where both ends are at most 4 and the picture is not square, either may count channels: that is refused as well.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from calando.errors import DataError, UsageError
from calando.language import message
from calando.records.files import read_plain
from calando.tasks.labels import TEST_FRACTION, WHOLE_CUT, check_enough, hold_out
from calando.tasks.randomness import Purpose

__all__ = [
    "DAMAGED",
    "ArrayData",
    "Channels",
    "Part",
    "as_images",
    "as_labels",
    "check_channels",
    "content_of",
    "described",
    "find_channels",
    "reading",
    "with_test",
]

Channels = Literal["first", "last"]

_OF_PYTHON = (ArithmeticError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError)
DAMAGED = (*_OF_PYTHON, TypeError, ValueError, struct.error, zlib.error)
"""What NumPy, Pillow and pickle raise for damaged bytes."""

_TORCH_CHANNELS, _COMMON_CHANNELS = 3, 4


@dataclass(frozen=True, eq=False)
class Part:
    """Images, uint8 or float32 [N, C, H, W], maybe mapped from a file; labels, int64[N]; the file's name."""

    images: np.ndarray
    labels: np.ndarray
    origin: str

    def take(self, rows: np.ndarray) -> Part:
        return Part(self.images[rows], self.labels[rows], self.origin)


@dataclass(frozen=True, eq=False)
class ArrayData:
    """A data set as read; the validation part is not yet cut from `train`.

    Args:
        notes: sentences for the person: how the reader understood what it found.
        cut: the test part was cut off from one whole.
    """

    train: Part
    test: Part
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    cut: bool = False


def with_test(whole: Part, *, class_names: tuple[str, ...] | None = None, notes: tuple[str, ...] = ()) -> ArrayData:
    """One fifth of one whole becomes the test part, by the rule of `labels`; DataError where that cannot be."""
    if len(whole.images) != len(whole.labels):
        counts = message("{images} images but {labels} labels", images=len(whole.images), labels=len(whole.labels))
        raise DataError(
            message("{origin}: {counts}; there must be one label an image", origin=whole.origin, counts=counts)
        )
    if whole.images.dtype.kind == "f":  # by their numbers here: the parts number their samples otherwise
        for place, image in enumerate(whole.images):
            if not np.isfinite(image).all():
                raise DataError(
                    message(
                        "{origin}: sample {place} has a NaN or infinite value; correct or remove it",
                        origin=whole.origin,
                        place=place,
                    )
                )
    if (np.unique(whole.labels, return_counts=True)[1] < 2).any():
        check_enough(whole.labels, cut=WHOLE_CUT, names=class_names)
    kept, held = hold_out(whole.labels, fraction=TEST_FRACTION, purpose=Purpose.TEST_SPLIT, what=WHOLE_CUT[0])
    return ArrayData(whole.take(kept), whole.take(held), class_names, notes, cut=True)


def content_of(file: Path, *, most: int, advice: str = "") -> bytes:
    """The bytes of a file; DataError, which ends with the advice, where it is missing, longer or not a plain file."""
    try:
        return read_plain(file, most=most)
    except OSError as error:
        raise DataError(
            message("{file}: cannot be read ({strerror}){advice}", file=file, strerror=error.strerror, advice=advice)
        ) from error


def check_channels(value: object) -> Channels | None:
    """The same, if it is "first", "last" or None; else UsageError."""
    if value is None or value in get_args(Channels):
        return value  # type: ignore[return-value]
    raise UsageError(
        message(
            'channels must be "first" ([C, H, W]) or "last" ([H, W, C]), or be left out, got {value}', value=repr(value)
        )
    )


def find_channels(shape: tuple[int, int, int], *, origin: str, tensor: bool = False, how: str = "") -> Channels:
    """Where the channels are in images of this shape.

    >>> find_channels((13, 64, 64), origin="x"), find_channels((64, 48, 4), origin="x")
    ('first', 'last')

    Args:
        shape: of one image.
        tensor: whether the images are torch's.
        how: where to write it, after "say which with channels=…".

    Raises:
        DataError: both readings are likely.
    """
    a, b, c = shape
    if a == 1 or (tensor and (a <= _TORCH_CHANNELS or b == c == 1)):
        return "first"
    if c == 1:
        if b > 1:
            return "last"
    elif b == c != a:
        return "first"
    elif a == b != c:
        return "last"
    elif max(a, c) > _COMMON_CHANNELS:  # else both ends count channels: 3x64 pixels in 4, or 64x4 in 3
        if _few(a, b, c):
            return "first"
        if _few(c, a, b):
            return "last"
    raise DataError(
        message(
            "{origin}: images of shape {shape} may be {first} (channels first), or {last} "
            "(channels last); say which with channels='first' or channels='last'{how}",
            origin=origin,
            shape=shape,
            first=described(shape, "first"),
            last=described(shape, "last"),
            how=how,
        )
    )


def _few(count: int, *sides: int) -> bool:
    return count < min(sides) and (count <= _COMMON_CHANNELS or 3 * count <= 2 * min(sides))


def described(shape: tuple[int, int, int], channels: Channels) -> str:
    """What such images are, height first.

    >>> described((64, 48, 4), "last")
    '64x48 pixels in 4 channels'
    """
    count, height, width = shape if channels == "first" else (shape[2], shape[0], shape[1])
    return message(
        "{height}x{width} pixels in {count} channels" if count > 1 else "{height}x{width} pixels in {count} channel",
        height=height,
        width=width,
        count=count,
    )


def as_images(
    array: np.ndarray, *, origin: str, channels: Channels | None = None, tensor: bool = False, how: str = ""
) -> np.ndarray:
    """Images in the order [N, C, H, W], as uint8 or float32; of [N, H, W], which is grey, [N, C, H, W] or [N, H, W, C].

    >>> as_images(np.zeros((5, 8, 8, 3), np.uint8), origin="x").shape
    (5, 3, 8, 8)

    Args:
        channels: where they are; None: the shape decides.
        tensor, how: as in `find_channels`.

    Raises:
        DataError: other axes, an empty image, channels that may be first or last, neither 8-bit nor floating point.
    """
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and 0 not in array.shape[1:]:
        shape = (array.shape[1], array.shape[2], array.shape[3])
        if (channels or find_channels(shape, origin=origin, tensor=tensor, how=how)) == "last":
            array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or 0 in array.shape[1:]:
        raise DataError(
            message(
                "{origin}: images must have the axes [N, H, W], [N, C, H, W] or [N, H, W, C], got {shape}",
                origin=origin,
                shape=array.shape,
            )
        )
    if array.dtype == np.uint8:
        return array
    if np.issubdtype(array.dtype, np.floating):
        with np.errstate(over="ignore"):  # beyond single precision: infinite, and refused as such
            return array.astype(np.float32, copy=False)
    if array.dtype.kind in "iu":
        advice = message(
            "convert them with x.astype('float32'), which keeps every level (astype('uint8') would wrap above 255)"
        )
    elif array.dtype.kind == "b":
        advice = message("convert them with x.astype('float32')")
    else:
        advice = message("give each image as numbers, one shape for all")
    raise DataError(
        message(
            "{origin}: images must be uint8 or floating point, got {dtype}; {advice}",
            origin=origin,
            dtype=array.dtype,
            advice=advice,
        )
    )


def reading(came: tuple[int, ...], read: tuple[int, ...], *, origin: str, channels: Channels | None = None) -> str:
    """How the axes of an array of images were understood: its shape, and the shape that `as_images` made of it.

    >>> reading((5, 8, 9, 3), (5, 3, 8, 9), origin="train")
    'train: 5 images of 8x9 pixels in 3 channels, read as [N, H, W, C]'
    """
    count, depth, height, width = read
    if len(came) == 3:
        order = "[N, H, W]"
    elif channels == "first" or (channels is None and tuple(came) == tuple(read)):
        order = "[N, C, H, W]"
    else:
        order = "[N, H, W, C]"
    return message(
        "{origin}: {count:,} images of {size}, read as {order}",
        origin=origin,
        count=count,
        size=described((depth, height, width), "first"),
        order=order,
    )


def as_labels(array: np.ndarray, *, origin: str) -> np.ndarray:
    """int64[N] from any integer type, or from floats that are whole; [N, 1] is flattened.

    >>> as_labels(np.array([[1.0], [0.0]]), origin="y")
    array([1, 0])

    Raises:
        DataError: another number of axes, or values that are not whole numbers.
    """
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(
            message(
                "{origin}: labels must be one class number a sample, got an array of shape {shape}",
                origin=origin,
                shape=array.shape,
            )
        )
    if array.dtype.kind in "iuf" and len(array):
        for label in (array.max(), array.min()):
            if np.isfinite(label) and not -(2**63) <= int(label) < 2**63:
                raise DataError(
                    message(
                        "{origin}: labels must be whole numbers 0 … classes-1, got {label}", origin=origin, label=label
                    )
                )
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.floor(array)).all():
        return array.astype(np.int64)
    raise DataError(
        message("{origin}: labels must be whole numbers 0 … classes-1, got {dtype}", origin=origin, dtype=array.dtype)
    )
