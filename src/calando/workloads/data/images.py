"""Encoded images (JPEG, PNG, …) -> one uint8 array [N, C, H, W].

- Colour: one channel if every image is grey, else all are made RGB (a palette or alpha channel is dropped).
- Size: where they differ, all are resized (bilinear, antialiased) to the most common height and width; of equally
  common ones, to the smallest. The shape of a picture is not kept; crop beforehand where that matters.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calando.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["EXTENSIONS", "decode_all"]

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_LIMIT_BYTES = 8 * 2**30


def decode_all(count: int, read: Callable[[int], bytes], name: Callable[[int], str]) -> np.ndarray:
    """Decode `count` images.

    Args:
        count: how many; at least 1.
        read: the encoded bytes of image i.
        name: what to call image i in an error.

    Raises:
        DataError: an image that cannot be decoded, or more pixels than fit in memory.
    """
    assert count >= 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata, big pictures: what cannot be decoded raises below
        with _opened(read(0), name(0)) as picture:
            first = _Form(picture.height, picture.width, _is_grey(picture))
        images = _decode(count, read, name, first, strict=True)
        if images is None:  # not all alike: look at all of them, then decode
            images = _decode(count, read, name, _common_form(count, read, name), strict=False)
    assert images is not None
    return images


@dataclass(frozen=True)
class _Form:
    """What every image is made into."""

    height: int
    width: int
    grey: bool


def _decode(
    count: int, read: Callable[[int], bytes], name: Callable[[int], str], form: _Form, *, strict: bool
) -> np.ndarray | None:
    """uint8 [count, C, H, W]; None where `strict` and an image would have to be resized or lose its colour."""
    channels = 1 if form.grey else 3
    if count * channels * form.height * form.width > _LIMIT_BYTES:
        if strict:
            return None  # the first may be an outlier
        raise DataError(
            f"{count} images of {form.width}x{form.height} take more than {_LIMIT_BYTES >> 30} GiB of memory; "
            "resize them, or hand over a torch.utils.data.Dataset, which is read sample by sample"
        )
    images = np.empty((count, channels, form.height, form.width), dtype=np.uint8)
    for place in range(count):
        with _opened(read(place), name(place)) as picture:
            if strict and (picture.size != (form.width, form.height) or (form.grey and not _is_grey(picture))):
                return None
            images[place] = _pixels(picture, form)
    return images


def _common_form(count: int, read: Callable[[int], bytes], name: Callable[[int], str]) -> _Form:
    sizes: Counter[tuple[int, int]] = Counter()
    grey = True
    for place in range(count):
        with _opened(read(place), name(place)) as picture:
            sizes[picture.height, picture.width] += 1
            grey = grey and _is_grey(picture)
    (height, width), _ = min(sizes.items(), key=lambda item: (-item[1], item[0][0] * item[0][1], item[0]))
    return _Form(height, width, grey)


def _is_grey(picture: Image.Image) -> bool:
    return picture.mode in ("1", "L") or picture.mode.startswith("I;16")


def _pixels(picture: Image.Image, form: _Form) -> np.ndarray:
    from PIL import Image

    if picture.mode in ("I", "F"):
        raise ValueError("32 bits a pixel; convert it to 8")
    if picture.mode.startswith("I;16"):  # converting would clip at 255
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    picture = picture.convert("L" if form.grey else "RGB")
    if picture.size != (form.width, form.height):
        picture = picture.resize((form.width, form.height), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture)
    return pixels[None] if form.grey else pixels.transpose(2, 0, 1)


@contextmanager
def _opened(content: bytes, name: str) -> Iterator[Image.Image]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            yield picture
    except (
        Image.DecompressionBombError,
        EOFError,
        LookupError,
        MemoryError,
        OSError,
        OverflowError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
        zlib.error,
    ) as error:
        reason = " ".join(str(error).split()).replace("<_io.BytesIO object", "<file")
        raise DataError(f"{name}: not an image that can be decoded ({reason}); replace or remove it") from error
