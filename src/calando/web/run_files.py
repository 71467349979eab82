"""What lies in the folder of a run: its files by name and size, and the end of its log."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from calando.host import status_of
from calando.records.files import open_plain

__all__ = ["files_in", "tail_of"]

TAIL_BYTES, TAIL_LINES, MOST_FILES = 16_384, 50, 200


def files_in(folder: Path) -> list[dict[str, Any]]:
    """Names and sizes."""
    try:
        found = ((path.name, status_of(path)) for path in sorted(folder.iterdir()) if not path.name.startswith("."))
        there = [{"name": name, "bytes": one.st_size} for name, one in found if one and stat.S_ISREG(one.st_mode)]
        return there[:MOST_FILES]
    except OSError:
        return []


def tail_of(path: Path) -> list[str]:
    """The last lines of a log."""
    try:
        with open_plain(path) as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read(TAIL_BYTES).decode(errors="replace").splitlines()[-TAIL_LINES:]
    except OSError:
        return []
