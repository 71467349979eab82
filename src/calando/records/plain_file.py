"""Reading files that people name: a FIFO or a device in the place of one is not waited for, and no more is read than is
allowed, however long it says it is.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["open_plain", "read_plain"]

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def open_plain(path: Path) -> Iterator[BinaryIO]:
    """The file, open for reading.

    Raises:
        OSError: it cannot be read, or is no plain file: its `strerror` says what it is.
    """
    _check(path, path.stat())
    # Not to wait where it became a FIFO since; of a plain file it changes nothing.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        _check(path, os.fstat(handle))
        yield file


def read_plain(path: Path, *, most: int) -> bytes:
    """The whole content.

    Args:
        most: bytes; of a longer file nothing is read.

    Raises:
        OSError: as `open_plain`; or it is longer, or grows meanwhile.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     os.mkfifo(f"{folder}/pipe")
    ...     try:
    ...         read_plain(Path(folder) / "pipe", most=9)
    ...     except OSError as error:
    ...         print(error.strerror)
    is a FIFO, not a file
    """
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1) if size <= most else b""  # Python makes room for all that it is asked for
        if size > most or len(content) > size:
            raise OSError(errno.EFBIG, f"is larger than {_size(min(size, most))}", str(path))
    return content


def _check(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise OSError(errno.EINVAL, f"is {kind}, not a file", str(path))


def _size(count: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:g} {name}"
    return f"{count} bytes"
