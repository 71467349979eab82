"""Files: written so that a crash or a full disk leaves either the old file or the new one; read without waiting.

.NAME.HEX.part    a file on its way, in the folder of NAME; a kill leaves it, and `sweep` removes it

What is written is synced, so that a power cut leaves one of the two as well. Where a person names a file, a FIFO or a
device in its place is not waited for, and no more is read than is allowed, however long the file claims to be.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from calando.errors import DiskFull
from calando.host import sync_folder
from calando.language import message

__all__ = ["file_name", "noticing_full_disk", "open_plain", "read_plain", "replacing", "sweep", "write_atomically"]

EARLIER_PARTS = (".tensors-", ".state.json.")
"""How names of files on their way began in earlier versions."""


@contextmanager
def noticing_full_disk(what: Path) -> Iterator[None]:
    """Turn "no space left", "quota exceeded" and "input/output error" into `DiskFull`, naming the path."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EIO:
            raise DiskFull(
                message(
                    "the disk failed at {what} ({strerror}); is it still there and sound? then run the same "
                    "command again, or name a study folder on another disk",
                    what=what,
                    strerror=error.strerror,
                )
            ) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                message("no space left for {what}; free some and run the same command again", what=what)
            ) from error
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` at the end; after an exception it is gone.

    Raises:
        DiskFull: no space; `path` is as it was.
    """
    with noticing_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write to a temporary name next to `path`, sync, rename; the temporary is gone unless the process is killed.

    The file's permissions are those that the user's umask leaves. With DiskFull, `path` is as it was. Without `sync` a
    power cut may leave a file that is empty or cut short, for what is checked when it is read and can be made again.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "a.txt", b"hello")
    ...     (Path(folder) / "a.txt").read_bytes()
    b'hello'
    """
    with noticing_full_disk(path):
        with replacing(path) as part:
            # Not tempfile's, which nobody else may read: the umask decides, which cannot be read without setting it.
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
        if sync:
            # The rename itself must survive a power cut, so the folder is synced too.
            sync_folder(path.parent)


def sweep(*folders: Path) -> int:
    """Remove what kills left half-written in these folders; how many files that were.

    For a time when nobody writes there. What cannot be removed stays: it is in nobody's way.
    """
    count = 0
    for folder in folders:
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in folder.iterdir():
                name = path.name
                if name.startswith(".") and (name.endswith(".part") or name.startswith(EARLIER_PARTS)):
                    with suppress(OSError):
                        path.unlink()
                        count += 1
    return count


def file_name(text: str) -> str:
    """The text as part of a folder's name: letters, digits, "-", "_" and ".", the last 60 from where a word begins.

    >>> file_name("folder:../my photos/")
    'folder-..-my-photos'
    >>> file_name("csv:" + "data/" * 12 + "flats.csv")
    'data-data-data-data-data-data-data-data-data-flats.csv'
    """
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)
    end = kept[-60:]
    if kept[-61:-60] not in ("", "-") and "-" in end.strip("-"):
        end = end.lstrip("-").partition("-")[2]
    return end.strip("-.") or "run"


_KINDS = {
    stat.S_IFIFO: message("a FIFO"),
    stat.S_IFCHR: message("a device"),
    stat.S_IFBLK: message("a device"),
    stat.S_IFSOCK: message("a socket"),
}


@contextmanager
def open_plain(path: Path) -> Iterator[BinaryIO]:
    """The file, open for reading; OSError where it is no plain file, whose `strerror` names what it is."""
    _check(path, path.stat())
    # Not to wait where it became a FIFO since; of a plain file it changes nothing.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        _check(path, os.fstat(handle))
        yield file


def read_plain(path: Path, *, most: int) -> bytes:
    """The whole content, of at most so many bytes; OSError as of `open_plain`, or where the file is longer, or grows.

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
            raise OSError(errno.EFBIG, message("is larger than {size}", size=_size(min(size, most))), str(path))
    return content


def _check(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), message("something else"))
        raise OSError(errno.EINVAL, message("is {kind}, not a file", kind=kind), str(path))


def _size(count: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:g} {name}"
    return message("{count} bytes", count=count)
