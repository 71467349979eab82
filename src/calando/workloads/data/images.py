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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
    sizes, grey = _look(count, read, name)
    height, width = _common_size(sizes)
    channels = 1 if grey else 3
    if count * channels * height * width > _LIMIT_BYTES:
        raise DataError(
            f"{count} images of {width}x{height} take more than {_LIMIT_BYTES >> 30} GiB of memory; resize them, or hand "
            "over a torch.utils.data.Dataset, which is read sample by sample"
        )
    images = np.empty((count, channels, height, width), dtype=np.uint8)
    for place in range(count):
        with _opened(read(place), name(place)) as picture:
            images[place] = _pixels(picture, width=width, height=height, grey=grey)
    return images


def _look(count: int, read: Callable[[int], bytes], name: Callable[[int], str]) -> tuple[list[tuple[int, int]], bool]:
    sizes, grey = [], True
    for place in range(count):
        with _opened(read(place), name(place)) as picture:
            sizes.append((picture.height, picture.width))
            grey = grey and (picture.mode in ("1", "L") or picture.mode.startswith("I;16"))
            if picture.mode in ("I", "F"):
                raise DataError(f"{name(place)}: images of 32 bits a pixel are not read; convert them to 8 bits")
    return sizes, grey


def _common_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return min(Counter(sizes).items(), key=lambda item: (-item[1], item[0][0] * item[0][1], item[0]))[0]


def _pixels(picture: Image.Image, *, width: int, height: int, grey: bool) -> np.ndarray:
    from PIL import Image

    if picture.mode.startswith("I;16"):  # converting would clip at 255
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    picture = picture.convert("L" if grey else "RGB")
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


@contextmanager
def _opened(content: bytes, name: str) -> Iterator[Image.Image]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata, big pictures: what cannot be decoded raises below
            with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
                yield picture
    except DataError:
        raise
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
