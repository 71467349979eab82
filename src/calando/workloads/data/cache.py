"""Decoded images kept in the user's cache, so that 60,000 JPEGs are decoded once and not once a process.

    file = <user cache>/calando/decoded/<key>.npy     key = SHA-256 of (format version, each file's path, size, mtime)

The file is an .npy followed by the SHA-256 of its array. It is written to a temporary name and renamed; it is mapped
into memory when read, so that worker processes share one copy. A cache that is damaged, or cannot be written, costs
time and nothing else: the images are decoded again.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import platformdirs

__all__ = ["WORTH_SECONDS", "cache_folder", "cached"]

WORTH_SECONDS = 0.5
"""Decoding that takes less is not kept."""

_VERSION = 1


def cache_folder() -> Path:
    """The user's cache folder of calando, where fetched data lie too."""
    return platformdirs.user_cache_path("calando")


def cached(
    files: Iterable[Path], decode: Callable[[], np.ndarray], *, worth_seconds: float = WORTH_SECONDS
) -> np.ndarray:
    """What `decode()` returns, or what it returned when the same files were decoded before.

    Args:
        files: what the images are decoded from; a change of size or time makes them other files.
        decode: returns uint8 [N, C, H, W].
        worth_seconds: decoding that takes less is not kept.
    """
    path = cache_folder() / "decoded" / f"{_key(files)}.npy"
    if (images := _load(path)) is not None:
        return images
    start = time.perf_counter()
    images = decode()
    if time.perf_counter() - start >= worth_seconds:
        _save(path, images)
    return images


def _key(files: Iterable[Path]) -> str:
    digest = hashlib.sha256(f"{_VERSION}".encode())
    for file in files:
        status = file.stat()
        digest.update(f"|{file.resolve()}|{status.st_size}|{status.st_mtime_ns}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _load(path: Path) -> np.ndarray | None:
    try:
        images = np.load(path, mmap_mode="c")  # copy on write: torch wants arrays it could write to
        with path.open("rb") as file:
            file.seek(-hashlib.sha256().digest_size, os.SEEK_END)
            expected = file.read()
    except (OSError, ValueError, EOFError, SyntaxError):
        return None
    whole = isinstance(images, np.memmap) and images.dtype == np.uint8 and images.ndim == 4
    return images if whole and hashlib.sha256(np.ascontiguousarray(images).data).digest() == expected else None


def _save(path: Path, images: np.ndarray) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, images)
            file.write(hashlib.sha256(np.ascontiguousarray(images).data).digest())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:  # full, read-only or gone: the cache is a convenience
        with suppress(OSError):
            temporary.unlink()
