"""Writing files so that a crash or a full disk leaves either the old file or the new one; synced, a power cut too."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calando.errors import DiskFull

__all__ = ["noticing_full_disk", "write_atomically"]


@contextmanager
def noticing_full_disk(what: Path) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" into `DiskFull`, naming the path."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no space left for {what}; free some and run the same command again") from error
        raise


def write_atomically(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write to a temporary name beside `path`, sync, rename; the temporary is gone whatever happens.

    Args:
        sync: wait until it is on the disk; without, a power cut may leave a file that is empty or cut short, for
            what is checked when it is read and can be made again.

    Raises:
        DiskFull: no space left; `path` is as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "a.txt", b"hello")
    ...     (Path(folder) / "a.txt").read_bytes()
    b'hello'
    """
    with noticing_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if not sync:
            return
        # The rename itself must survive a power cut, so the folder is synced too.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
