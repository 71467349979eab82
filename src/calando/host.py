"""What operating systems give in different ways: processors, a lock on a file, the room on a disk, a folder synced.

                 Linux                  macOS                 Windows
    processors   those of the affinity  all                   all
    lock         flock                  flock                 msvcrt, of a byte far behind the end
    synced       the folder too         the folder too        the file alone: a folder cannot be opened

Worker processes are another matter: see `study.workers.start`.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import IO

__all__ = ["count_processors", "free_bytes", "is_locked", "lock", "status_of", "sync_folder"]

# Windows keeps others from reading what is locked, and they read who holds the lock.
FAR_BYTE = 2**30
LOOKS, LOOK_SECONDS = 25, 0.02
"""Half a second: on a busy machine, who only looks may be held up while it has the lock."""


def count_processors() -> int:
    """How many processors this process may use; at least 1.

    >>> count_processors() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def status_of(path: Path) -> os.stat_result | None:
    """A file's size and times; None: it is not there.

    Asked once: between a question whether it is there and another for its size, another process may remove it.

    >>> status_of(Path("nowhere")) is None
    True
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def lock(file: IO[str]) -> bool:
    """Take the lock of an open file; whether it was free. The lock goes with the process, however that ends."""
    try:
        import fcntl
    except ImportError:
        return _lock_a_byte(file)
    for _ in range(LOOKS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_SECONDS)  # somebody may only look whether it is held
        else:
            return True
    return False


def is_locked(file: IO[str]) -> bool:
    """Whether another has the lock of an open file; who looks takes it for a moment, so that `lock` tries again."""
    try:
        import fcntl
    except ImportError:
        return not _lock_a_byte(file)  # closing the file gives it back
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _lock_a_byte(file: IO[str]) -> bool:
    import msvcrt

    place = file.seek(0, os.SEEK_END)
    os.lseek(file.fileno(), FAR_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    finally:
        os.lseek(file.fileno(), place, os.SEEK_SET)
    return True


def sync_folder(folder: Path) -> None:
    """Have what was renamed into the folder survive a power cut, where the system has a way to ask for it."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def free_bytes(folder: Path) -> int:
    """Bytes that are free on the folder's disk for whoever is not its administrator."""
    return shutil.disk_usage(folder).free
