"""Writing files so that a crash or a full disk leaves either the old file or the new one; synced, a power cut too.

.NAME.HEX.part    a file on its way, in the folder of NAME; a kill leaves it, and `sweep` removes it
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from calando.errors import DiskFull
from calando.host import sync_folder

__all__ = ["file_name", "noticing_full_disk", "sweep", "write_atomically"]

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
                f"the disk failed at {what} ({error.strerror}); is it still there and sound? then run the same command "
                "again, or name a study folder on another disk"
            ) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no space left for {what}; free some and run the same command again") from error
        raise


def write_atomically(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write to a temporary name next to `path`, sync, rename; the temporary is gone unless the process is killed.

    The file's permissions are those that the user's umask leaves.

    Args:
        sync: wait until it is on the disk; without, a power cut may leave a file that is empty or cut short, for
            what is checked when it is read and can be made again.

    Raises:
        DiskFull: no space left, or the disk fails; `path` is as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "a.txt", b"hello")
    ...     (Path(folder) / "a.txt").read_bytes()
    b'hello'
    """
    with noticing_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
        # Not tempfile's, which are nobody else's to read: the umask decides, and it cannot be read without setting it.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if not sync:
            return
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
    """The text as part of a folder's name: letters, digits, "-", "_" and "." of its last 40 characters.

    >>> file_name("folder:../my photos/")
    'folder-..-my-photos'
    """
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)
    return kept[-40:].strip("-.") or "run"
