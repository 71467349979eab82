"""Decoded images kept in the user's cache, so that 60,000 JPEGs are decoded once and not once a process.

    file = <user cache>/calando/decoded/<key>.npy     key = SHA-256 of (version, form, each file's path, size, mtime)

The file is an .npy, what was said while decoding as JSON, and the SHA-256 of both. The version changes with how
pictures are read, so that what an older reading gave is not used. It is written to a temporary name and renamed; it is
mapped into memory when read, so that worker processes share one copy. A cache that is damaged, or cannot be written,
costs time and nothing else: the images are decoded again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import platformdirs

from calando.errors import DataError

__all__ = ["WORTH_SECONDS", "cache_folder", "cached"]

WORTH_SECONDS = 0.5
"""Decoding that takes less is not kept."""

_VERSION = 2


def cache_folder() -> Path:
    """The user's cache folder of calando, where fetched data lie too."""
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
        decode: returns uint8 or float32 [N, C, H, W]; may append to `notes`.
        worth_seconds: decoding that takes less is not kept.
        form: what else the result depends on.
        notes: what `decode` appends is kept with the images, and appended where they are not decoded again.
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
            raise DataError(f"{file}: cannot be read ({error.strerror}); remove it or put the file back") from error
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
        said, expected = rest[:-size], rest[-size:]
        return (images, json.loads(said)) if _digest(images, said) == expected else None
    except (OSError, ValueError, EOFError, SyntaxError):
        return None


def _digest(images: np.ndarray, said: bytes) -> bytes:
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(said)
    return digest.digest()


def _save(path: Path, images: np.ndarray, notes: list[str]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    said = json.dumps(notes).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, images)
            file.write(said)
            file.write(_digest(images, said))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:  # full, read-only or gone: the cache is a convenience
        with suppress(OSError):
            temporary.unlink()
