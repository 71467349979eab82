"""A disk that is full, for every process that finds this folder on its PYTHONPATH; Python runs it at start-up.

    CALANDO_TEST_DISK = BYTES:FOLDER    what files under FOLDER may take together, the store's own left out, and each
                                        SQLite file the same once more

A quota is noticed where data leave the program: at flush for files, in SQLite by its own limit of pages.
"""

import errno
import io
import os
import sqlite3
from pathlib import Path

PAGE = 4096

if "CALANDO_TEST_DISK" in os.environ:
    size, name = os.environ["CALANDO_TEST_DISK"].split(":", 1)
    fdopen, connect = os.fdopen, sqlite3.connect

    def taken() -> int:
        """Bytes under the folder."""
        total = 0
        for folder, _, files in os.walk(name):
            for file in files:
                try:
                    total += 0 if "sqlite" in file else (Path(folder) / file).stat().st_size
                except FileNotFoundError:
                    continue
        return total

    class Limited(io.BufferedWriter):
        """A file that finds no space."""

        def flush(self) -> None:
            """Write, or find none."""
            super().flush()
            if taken() > int(size):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def limited(handle: int, mode: str = "r", *rest, **options) -> io.IOBase:
        """A file opened for bytes is limited, any other as ever."""
        return Limited(io.FileIO(handle, "wb")) if mode == "wb" else fdopen(handle, mode, *rest, **options)

    def small(*arguments, **options) -> sqlite3.Connection:
        """A connection to a file that cannot grow beyond the quota."""
        connection = connect(*arguments, **options)
        connection.execute(f"PRAGMA max_page_count = {int(size) // PAGE}")
        return connection

    os.fdopen, sqlite3.connect = limited, small
