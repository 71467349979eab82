"""One encoded picture -> its pixels as they are meant to be seen.

    pixels  [H, W] or [H, W, 3]: uint8; int64 where the file has more than 8 bits a colour; float32 where it has floats

- Rotated and mirrored by its EXIF orientation.
- Transparency: laid on white, out = alpha · colour + (1 - alpha) · white, so that hidden colours are not learned from.
- Depth: every bit that the file holds. Pillow keeps 8 of 16 bits of colour pictures; the lower 8 are read in addition.
"""

from __future__ import annotations

import io
import re
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from calando.errors import DataError, line_of
from calando.language import Message, message
from calando.tasks.data.arrays import DAMAGED

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Head", "opened", "orientation_of", "read_head", "read_pixels"]

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_GREY = ("1", "F", "I", "L", "LA", "La")
_ORIENTATION, _BITS, _SAMPLES, _KIND = 0x0112, 258, 277, 339  # tags of TIFF, of which EXIF is a part
_ON_WHITE = message("with transparent pixels: laid on white")
_FIRST_FRAME = message("of several frames or pages: the first is read")
_MORE_CHANNELS = message("with channels next to red, green and blue: these are left out")
_TURNED = message("turned as their EXIF says")
_NOT_TURNED = message("with EXIF that cannot be read: not turned")
_PNG_BITS = 24  # where a PNG file says how many there are in a channel


@dataclass(frozen=True)
class Head:
    """What is known before the pixels are decoded; height and width as the picture is seen."""

    height: int
    width: int
    grey: bool
    depth: Literal["8", "deep", "float"]


@contextmanager
def opened(content: bytes, name: str) -> Iterator[Image.Image]:
    """The picture, not yet decoded; whatever is wrong with it, now or later, becomes a DataError of one line."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            yield picture
    except (*DAMAGED, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        said = line_of(error)
        reason = said if isinstance(said, Message) else re.sub(r" ?<_io\.BytesIO object[^>]*>", "", said)
        raise DataError(
            message(
                "{name}: not an image that can be decoded ({reason}); replace or remove it", name=name, reason=reason
            )
        ) from error


def read_head(picture: Image.Image, content: bytes) -> Head:
    """Of a picture that `opened` gave."""
    if picture.format == "TIFF":
        picture.load()  # Pillow turns it while it decodes
        turned = False
    else:
        turned = orientation_of(picture) >= 5
    width, height = picture.size[::-1] if turned else picture.size
    grey = picture.mode in _GREY or picture.mode.startswith("I;16") or _is_png_grey_alpha(picture, content)
    return Head(height, width, grey, _depth(picture, content))


def read_pixels(picture: Image.Image, content: bytes, seen: Counter[str]) -> np.ndarray:
    """Pixels of a picture that `opened` gave.

    Args:
        picture: from `opened`.
        content: the bytes it was opened from.
        seen: counts what was done to pictures, by its description.
    """
    picture.load()
    depth = _depth(picture, content)
    if depth == "float":
        pixels, alpha = np.asarray(picture, dtype=np.float32), None
    else:
        pixels, alpha = _deep(picture, content) if depth == "deep" else _shallow(picture, content)
    white = 65535 if depth == "deep" else 255
    if alpha is not None and (alpha < white).any():
        seen[_ON_WHITE] += 1
        kind = np.dtype("int64" if depth == "deep" else "uint16")  # 255 · 255 + 127 fits into 16 bits
        wide, share = pixels.astype(kind), alpha.astype(kind)
        share = share if wide.ndim == 2 else share[:, :, None]
        pixels = ((wide * share + white * (white - share) + white // 2) // white).astype(pixels.dtype)
    if getattr(picture, "n_frames", 1) > 1:
        seen[_FIRST_FRAME] += 1
    if picture.format == "TIFF" and max(_tag(picture, _SAMPLES, (1,))) > len(picture.getbands()):
        seen[_MORE_CHANNELS] += 1
    orientation = orientation_of(picture, seen)
    if orientation > 1:
        seen[_TURNED] += 1
    return _turned(pixels, orientation)


def _depth(picture: Image.Image, content: bytes) -> Literal["8", "deep", "float"]:
    if picture.mode == "F":
        return "float"
    deep = (
        picture.mode == "I"
        or picture.mode.startswith("I;16")
        or (picture.format == "PNG" and content[_PNG_BITS] == 16)
        or (picture.format == "TIFF" and max(_tag(picture, _BITS, (8,))) > 8)
        or (picture.format == "PPM" and (head := _NETPBM.match(content)) is not None and int(head[4]) > 255)
    )
    return "deep" if deep else "8"


def _shallow(picture: Image.Image, content: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """uint8 pixels and alpha."""
    key = picture.info.get("transparency")
    if picture.mode in ("1", "L"):
        grey = np.asarray(picture.convert("L"))
        if not isinstance(key, int):
            return grey, None
        if picture.format == "PNG" and picture.mode == "L":
            key = key * 255 // (2 ** content[_PNG_BITS] - 1)  # Pillow widens the pixels, but not this
        return grey, np.where(grey == key, 0, 255).astype(np.uint8)
    if picture.mode in ("LA", "La"):
        both = np.asarray(picture.convert("LA"))
        return both[:, :, 0], both[:, :, 1]
    palette = picture.palette.mode if picture.mode == "P" and picture.palette else ""
    if picture.mode in ("PA", "RGBA", "RGBa") or palette.endswith("A") or (key is not None and picture.mode == "P"):
        four = np.asarray(picture.convert("RGBA"))
        return four[:, :, :3], four[:, :, 3]
    colour = np.asarray(picture.convert("RGB"))
    if picture.mode == "RGB" and isinstance(key, tuple):
        return colour, np.where((colour == np.array(key)).all(2), 0, 255).astype(np.uint8)
    return colour, None


def _deep(picture: Image.Image, content: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """int64 pixels and alpha, 0 … 65535."""
    key = picture.info.get("transparency")
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        grey = np.asarray(picture).astype(np.int64)
        if picture.format == "TIFF" and _tag(picture, _BITS, (8,)) == (32,) and _tag(picture, _KIND, (1,)) == (1,):
            grey = grey & 0xFFFFFFFF  # Pillow reads whole numbers of 32 bits as signed
        return grey, np.where(grey == key, 0, 65535) if isinstance(key, int) else None
    if picture.format == "PPM":
        return _netpbm_colour(content), None
    if _is_png_grey_alpha(picture, content):
        return _png_grey_alpha(content)
    if picture.mode not in ("RGB", "RGBA"):
        raise ValueError(message("16 bits a colour of kind {mode}; convert it to RGB", mode=picture.mode))
    high, low = np.asarray(picture).astype(np.int64), _lower_half(picture, content)
    whole = high << 8 | low
    if picture.mode == "RGBA":
        return whole[:, :, :3], whole[:, :, 3]
    return whole, np.where((whole == np.array(key)).all(2), 0, 65535) if isinstance(key, tuple) else None


def _lower_half(picture: Image.Image, content: bytes) -> np.ndarray:
    """The lower byte of each 16-bit colour: decoded once more, as if the bytes of each pair lay the other way round."""
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=_FORMATS) as again:
        if again.format == "PNG" and not again.tile:
            raise ValueError(message("no pixels"))
        tiles = []
        native = "B" if sys.byteorder == "little" else "L"
        for tile in again.tile:
            arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
            kind = re.fullmatch(r"(RGB|RGBX|RGBA);16([BLN])", str(arguments[0]))
            if kind is None:
                raise ValueError(message("16 bits a colour, stored as {mode}; convert it to RGB", mode=arguments[0]))
            other = f"{kind[1]};16{ {'B': 'L', 'L': 'B', 'N': native}[kind[2]] }"
            swapped = (other, *arguments[1:]) if isinstance(tile[3], tuple) else other
            tiles.append(type(tile)(tile[0], tile[1], tile[2], swapped))
        again.tile = tiles
        return np.asarray(again).astype(np.int64)


def _is_png_grey_alpha(picture: Image.Image, content: bytes) -> bool:
    return picture.format == "PNG" and content[25] == 4  # of 16 bits, Pillow calls it RGBA


def _decoded(content: bytes, kind: str) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=(kind,)) as picture:
        return np.asarray(picture).astype(np.int64)


def _png_grey_alpha(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """A pixel of 16-bit grey and alpha has the four bytes of an 8-bit RGBA pixel, so it is decoded as one."""
    head = content[12:24] + bytes([8, 6]) + content[26:29]  # "IHDR", width, height; 8 bits, RGBA
    four = _decoded(content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:], "PNG")
    return four[:, :, 0] << 8 | four[:, :, 1], four[:, :, 2] << 8 | four[:, :, 3]


_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_NETPBM = re.compile(rb"P([2356])" + _SPACE + rb"(\d+)" + _SPACE + rb"(\d+)" + _SPACE + rb"(\d+)\s")


def _netpbm_colour(content: bytes) -> np.ndarray:
    """Three colours of a pixel are stored as three grey pixels are."""
    match = _NETPBM.match(content)
    assert match is not None, "a head that Pillow read"
    kind, width, height, top = (int(match[i]) for i in (1, 2, 3, 4))
    grey = b"P%d %d %d %d\n" % (kind - 1, 3 * width, height, top)
    return _decoded(grey + content[match.end() :], "PPM").reshape(height, width, 3)


def _tag(picture: Image.Image, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
    value = getattr(picture, "tag_v2", {}).get(tag, default)
    return value if isinstance(value, tuple) else (value,)


def orientation_of(picture: Image.Image, seen: Counter[str] | None = None) -> int:
    """Its EXIF orientation: 1 upright, 2 … 8 to be rotated or mirrored; 1 where there is none."""
    try:
        value = picture.getexif().get(_ORIENTATION)
    except Exception:  # whatever Pillow raises for a damaged block: the pixels are whole
        if seen is not None:
            seen[_NOT_TURNED] += 1
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the turn that EXIF names: 2 to 4 mirrored or upside down, 5 to 8 lying on a side."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
