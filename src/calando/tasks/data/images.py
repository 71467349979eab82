"""Encoded images (JPEG, PNG, …) -> one array [N, C, H, W], uint8 or float32.

- Colour: one channel if every image is grey, else all are made RGB.
- Size: where they differ, all are resized (bilinear, antialiased) to the most common height and width; of equally
  common ones, to the smallest. The shape of a picture is not kept; crop beforehand where that matters.
- Depth: uint8, or float32 where 8 bits would lose a level:

      x = v / (2^b - 1)    b: bits of the largest value v in the training part's pictures of over 8 bits; at least 8

  One b for all, never one a picture; a test part's larger values come out above 1. Pictures of 8 bits among them are
  v / 255. Pictures of floats are as they are, and stand alone: there is no scale in common with whole numbers.

What one picture's pixels are is in `picture.py`.

Decoded images are kept in the user's cache, so that 60,000 JPEGs are decoded once and not once a process:

    file = <user cache>/calando/decoded/<key>.npy     key = SHA-256 of (version, form, each file's path, size, mtime)

The file is an .npy, the notes of decoding as JSON, and the SHA-256 of both; the version changes with how pictures are
read. It is mapped into memory, so that worker processes share one copy. A cache that is damaged, or cannot be written,
costs time and nothing else: the images are decoded again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from calando.errors import DataError
from calando.language import Message, joined, message
from calando.tasks.data.picture import Head, opened, read_head, read_pixels

__all__ = ["EXTENSIONS", "WORTH_SECONDS", "cache_folder", "cached", "decode_all"]

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_LIMIT_BYTES = 8 * 2**30

_Read = Callable[[int], bytes]
_Name = Callable[[int], str]
WORTH_SECONDS = 0.5
"""Decoding that takes less is not kept."""

_VERSION = 3
_MADE_COLOURED = message("grey among coloured ones: made RGB")


@dataclass(frozen=True)
class _Form:
    """What every image is made into: `bits` is b above, 0 for floats; `exact`: 8 bits keep every level."""

    height: int
    width: int
    grey: bool
    bits: int = 8
    exact: bool = True

    @property
    def dtype(self) -> type[np.generic]:
        return np.uint8 if self.exact else np.float32


def decode_all(
    count: int, read: _Read, name: _Name, *, fitted_on: int | None = None, notes: list[str] | None = None
) -> np.ndarray:
    """Decode `count` images, at least one.

    Args:
        read: the encoded bytes of image i.
        name: what to call image i in an error.
        fitted_on: how many of the first images are the training part; None: all.
        notes: given what was done to the pictures, in one sentence, where something was.

    Raises:
        DataError: an image that cannot be decoded, or more pixels than fit in memory.
    """
    assert count >= 1
    seen: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata, big pictures: what cannot be decoded raises below
        content = read(0)
        with opened(content, name(0)) as picture:
            head = read_head(picture, content)
        first = _Form(head.height, head.width, head.grey)
        images = _decode(count, read, name, first, seen, strict=True) if head.depth == "8" else None
        if images is None:  # not all alike: read all of their heads, then decode
            seen.clear()
            common = _common_form(count, read, name, fitted_on or count, seen)
            images = _decode(count, read, name, common, seen, strict=False)
    assert images is not None
    if notes is not None and seen:
        done = (
            message("{n} of {count} {what}", n=n, count=count, what=what) if n else what for what, n in seen.items()
        )
        notes.append(message("pictures: {done}", done=joined("{one}; {other}", done)))
    return images


def _decode(
    count: int, read: _Read, name: _Name, form: _Form, seen: Counter[str], *, strict: bool
) -> np.ndarray | None:
    """[count, C, H, W]; None where `strict` and an image would have to be resized, or lose colour or levels."""
    channels = 1 if form.grey else 3
    if count * channels * form.height * form.width * np.dtype(form.dtype).itemsize > _LIMIT_BYTES:
        if strict:
            return None  # the first may be an outlier
        raise DataError(
            message(
                "{count} images of {width}x{height} take more than {most} GiB of memory; resize "
                "them, or hand over a torch.utils.data.Dataset, which is read sample by sample",
                count=count,
                width=form.width,
                height=form.height,
                most=_LIMIT_BYTES >> 30,
            )
        )
    images = np.empty((count, channels, form.height, form.width), dtype=form.dtype)
    for place in range(count):
        content = read(place)
        with opened(content, name(place)) as picture:
            if strict and sorted(picture.size) != sorted((form.width, form.height)):
                return None  # turned or not: seen before its pixels are decoded
            pixels = read_pixels(picture, content, seen)
            alike = pixels.dtype == np.uint8 and pixels.shape[:2] == (form.height, form.width)
            if strict and not (alike and (pixels.ndim == 2 or not form.grey)):
                return None
            images[place] = _made(pixels, form, seen)
    return images


def _common_form(count: int, read: _Read, name: _Name, fitted_on: int, seen: Counter[str]) -> _Form:
    sizes: Counter[tuple[int, int]] = Counter()
    depths: dict[str, int] = {}  # of each depth, the first picture that has it
    grey, largest = True, 0
    occurs = np.zeros(2**16 + 2, dtype=bool)  # the values of deep pictures; the last two: above and below those
    for place in range(count):
        content = read(place)
        with opened(content, name(place)) as picture:
            head: Head = read_head(picture, content)
            sizes[head.height, head.width] += 1
            grey = grey and head.grey
            depths.setdefault(head.depth, place)
            if head.depth == "deep":
                pixels = read_pixels(picture, content, Counter())
                largest = max(largest, int(np.abs(pixels).max())) if place < fitted_on else largest
                occurs[pixels.clip(-1, 2**16)] = True
    (height, width), _ = min(sizes.items(), key=lambda item: (-item[1], item[0][0] * item[0][1], item[0]))
    if "float" in depths and len(depths) > 1:
        whole = next(place for depth, place in depths.items() if depth != "float")
        raise DataError(
            message(
                "{name}: pixels are floats, those of {other} whole numbers, which have no scale in "
                "common; convert one kind to the other",
                name=name(depths["float"]),
                other=name(whole),
            )
        )
    if "float" in depths:
        seen[message("of 32-bit floats, read as they are")] = 0
        return _Form(height, width, grey, bits=0, exact=False)
    if "deep" not in depths:
        return _Form(height, width, grey)
    bits, values = max(largest.bit_length(), 8), np.flatnonzero(occurs)
    exact = bool(values[-1] < 2 ** min(bits, 16)) and len(np.unique(values >> (bits - 8))) == len(values)
    how = (
        message("8 bits keep every level")
        if exact
        else message("divided by {most}, every level is kept (float32)", most=2**bits - 1)
    )
    seen[
        message(
            "more than 8 bits a colour: the largest value of the training part is {largest}; {how}",
            largest=largest,
            how=how,
        )
    ] = 0
    return _Form(height, width, grey, bits, exact)


@cache
def _resized(width: int, height: int) -> str:
    return message("resized to {width}x{height}, the most common size", width=width, height=height)


def _made(pixels: np.ndarray, form: _Form, seen: Counter[str]) -> np.ndarray:
    from PIL import Image

    if pixels.dtype == np.int64:
        pixels = (pixels >> (form.bits - 8)).astype(np.uint8) if form.exact else pixels / np.float32(2**form.bits - 1)
    elif pixels.dtype == np.uint8 and not form.exact:
        pixels = pixels / np.float32(255)
    planes = [pixels] if pixels.ndim == 2 else list(pixels.transpose(2, 0, 1))
    if pixels.shape[:2] != (form.height, form.width):
        seen[_resized(form.width, form.height)] += 1
        size, how = (form.width, form.height), Image.Resampling.BILINEAR
        kind = np.uint8 if form.exact else np.float32
        planes = [np.asarray(Image.fromarray(np.ascontiguousarray(plane, kind)).resize(size, how)) for plane in planes]
    if not form.grey and len(planes) == 1:
        seen[_MADE_COLOURED] += 1
        planes *= 3
    return np.stack(planes)


def cache_folder() -> Path:
    """The user's cache folder of calando, where fetched data are too."""
    import platformdirs  # here: it takes milliseconds, and listing the formats needs no cache

    return platformdirs.user_cache_path("calando")


def cached(
    files: Iterable[Path],
    decode: Callable[[], np.ndarray],
    *,
    worth_seconds: float = WORTH_SECONDS,
    form: str = "",
    notes: list[str] | None = None,
) -> np.ndarray:
    """What `decode()` returns, or what it returned when the same files were decoded before.

    Args:
        files: what the images are decoded from; a change of size or time makes them other files.
        decode: returns uint8 or float32 [N, C, H, W].
        worth_seconds: decoding that takes less is not kept.
        form: what else the result depends on.
        notes: what `decode` appends is kept with the images.
    """
    notes = [] if notes is None else notes
    path = cache_folder() / "decoded" / f"{_key(files, form)}.npy"
    if (kept := _load(path)) is not None:
        notes += kept[1]
        return kept[0]
    start, before = time.perf_counter(), len(notes)
    images = decode()
    if time.perf_counter() - start >= worth_seconds:
        _save(path, images, notes[before:])
    return images


def _key(files: Iterable[Path], form: str) -> str:
    digest = hashlib.sha256(f"{_VERSION}|{form}".encode())
    for file in files:
        try:
            status = file.stat()
        except OSError as error:  # a link to nothing, or a file that went away
            raise DataError(
                message(
                    "{file}: cannot be read ({strerror}); remove it or put the file back",
                    file=file,
                    strerror=error.strerror,
                )
            ) from error
        digest.update(f"|{file.resolve()}|{status.st_size}|{status.st_mtime_ns}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _load(path: Path) -> tuple[np.ndarray, list[str]] | None:
    try:
        if not path.is_file():
            return None
        images = np.load(path, mmap_mode="c")  # copy on write: torch wants arrays it could write to
        if not isinstance(images, np.memmap) or images.dtype not in (np.uint8, np.float32) or images.ndim != 4:
            return None
        with path.open("rb") as file:
            file.seek(images.offset + images.nbytes)
            rest = file.read()
        size = hashlib.sha256().digest_size
        noted, expected = rest[:-size], rest[-size:]
        return (images, [_unpacked(one) for one in json.loads(noted)]) if _digest(images, noted) == expected else None
    except (OSError, ValueError, EOFError, SyntaxError):
        return None


def _packed(value: Any) -> Any:
    """As JSON has it: a message as its template and its values, so that it can be translated when it is read again."""
    if not isinstance(value, Message):
        return value
    return [value.template, {name: _packed(one) for name, one in value.values.items()}]


def _unpacked(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    template, values = value
    return message(template, **{name: _unpacked(one) for name, one in values.items()})


def _digest(images: np.ndarray, noted: bytes) -> bytes:
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(noted)
    return digest.digest()


def _save(path: Path, images: np.ndarray, notes: list[str]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    noted = json.dumps([_packed(note) for note in notes]).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, images)
            file.write(noted)
            file.write(_digest(images, noted))
            # Synced before it is renamed: else a crash may leave the name with half of the content.
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:  # full, read-only or gone: the cache is a convenience
        with suppress(OSError):
            temporary.unlink()
