"""What lies in the folder that is served: studies, tunings and single runs, in it or one or two folders below.

A place is looked up among those that were found, by its path; no path of a request is ever joined to a folder's.
Those that were asked for stay open, the last few of them.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from calando.analysis.looked import FILE as LOOKS
from calando.errors import CalandoError, UsageError, said_by
from calando.language import message
from calando.records.live_file import FILE as LIVE
from calando.records.live_picture import is_conducted
from calando.web.looks_place import LooksPlace
from calando.web.place import Kind, Place
from calando.web.run_place import RunPlace
from calando.web.study_place import StudyPlace
from calando.web.tuning_place import TuningPlace

__all__ = ["Places", "kind_of_folder"]

DEPTH = 2
MOST_FOLDERS = 5000
MOST_OPEN = 16
LOOK_SECONDS = 2.0
LIST_SECONDS = 0.5
PASSED_OVER = {"checkpoints", "forks", "figures", "node_modules", "__pycache__"}


_DECIDING: tuple[tuple[str, Kind, type[Place]], ...] = (
    ("study.sqlite", "study", StudyPlace),
    ("tune.sqlite", "tuning", TuningPlace),
    ("spec.json", "training", RunPlace),
    (LIVE, "run", RunPlace),
    (LOOKS, "run", LooksPlace),
)
"""The file by which a folder is what it is; the first one there decides."""
_Identity = tuple[Kind, type[Place], int]


def kind_of_folder(folder: Path) -> Kind | None:
    """What a folder is; None: nothing that can be shown by itself."""
    known = _identity(folder)
    return None if known is None else known[0]


def _identity(folder: Path) -> _Identity | None:
    """Its kind, what reads it, and which file says so: another one in its place is another study."""
    for name, kind, reader in _DECIDING:
        try:
            there = (folder / name).stat()
        except (OSError, ValueError):
            continue
        if not stat.S_ISREG(there.st_mode):
            continue
        if kind == "training" and not ((folder / "study.lock").exists() or (folder / LIVE).exists()):
            continue  # another program's file of that name
        return kind, reader, there.st_ino
    return None


@final
class Places:
    """The places of a folder.

    Raises:
        UsageError: there is no such folder, or nothing that can be shown lies in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._found: dict[str, Kind] = {}
        self._looked = 0.0
        self._open: OrderedDict[str, tuple[_Identity, Place]] = OrderedDict()
        self._reader: threading.Thread | None = None
        self._rows: dict[str, dict[str, Any]] = {}  # of places that nobody is at work in
        if not root.is_dir():
            raise UsageError(message("no folder {root!r}; name one that holds studies or runs", root=str(root)))
        if not self.found():
            raise UsageError(
                message(
                    "no study, tuning or run in {root!r}; `calando compare digits` makes a study in calando-studies",
                    root=str(root),
                )
            )

    def found(self) -> dict[str, Kind]:
        """Kinds by path; looked for again every few seconds."""
        with self._lock:
            if not self._found or time.monotonic() - self._looked > LOOK_SECONDS:
                self._found, self._looked = dict(_walk(self.root)), time.monotonic()
            return self._found

    def place(self, path: str) -> Place:
        """A place by its path; one that was found before is not looked for again.

        Raises:
            KeyError: there is none.
            CorruptFile: it cannot be read.
        """
        if path not in self._found and path not in self.found():
            raise KeyError(path)
        folder = self.root / path if path else self.root
        now = _identity(folder)
        if now is None:
            raise KeyError(path)
        with self._lock:
            identity, place = self._open.get(path, (None, None))
            if place is None or identity != now:
                place = now[1](path, folder)
                self._open[path] = now, place
            self._open.move_to_end(path)
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)  # whoever is at it still has it; its files are closed with it
        return place

    def listed(self) -> list[dict[str, Any]]:
        """A row for each place, the one last changed first; one that cannot be read says why.

        What takes longer is read in the background, and called "reading" until then.
        """
        end = time.monotonic() + LIST_SECONDS
        found = [(path, kind, _changed(self._folder(path))) for path, kind in self.found().items()]
        found.sort(key=lambda one: (-one[2], one[0]))
        rows = [self._row(*one, read=time.monotonic() < end) for one in found]
        if any(row["title"] is None for row in rows):
            self._read_on()
        return [{**row, "title": row["title"] or self._folder(row["path"]).name} for row in rows]

    def warm(self) -> None:
        """Read all before anybody asks for it, what was last written to first."""
        for path, kind, changed in sorted(
            ((path, kind, _changed(self._folder(path))) for path, kind in self.found().items()),
            key=lambda one: (-one[2], one[0]),
        ):
            self._row(path, kind, changed, read=True)

    def _read_on(self) -> None:
        with self._lock:
            if self._reader is None or not self._reader.is_alive():
                self._reader = threading.Thread(target=self.warm, daemon=True)
                self._reader.start()

    def _folder(self, path: str) -> Path:
        return self.root / path if path else self.root

    def _row(self, path: str, kind: Kind, changed: float, *, read: bool) -> dict[str, Any]:
        row: dict[str, Any] = {"path": path, "kind": kind, "changed": changed}
        known = self._rows.get(path)
        if known is not None and known["changed"] == changed and not is_conducted(self._folder(path)):
            return known
        if not read:
            last = {"state": "reading", "done": 0, "expected": 0, "headline": "", "title": None}
            return {**last, **(known or {}), **row}
        try:
            place = self.place(path)
            place.refresh()
            status = place.status()
            row |= {key: status[key] for key in ("state", "done", "expected", "headline")}
            row["title"] = place.title
        except (CalandoError, OSError, KeyError) as error:
            why = message("it is gone") if isinstance(error, KeyError) else said_by(error)
            row |= {"state": "unreadable", "done": 0, "expected": 0, "headline": why, "title": path or "."}
        if row["state"] not in ("running", "reading"):
            self._rows[path] = row
        return row


def _walk(root: Path) -> Iterator[tuple[str, Kind]]:
    """Paths and kinds; links to folders are not followed, nor names that begin with a dot."""
    seen = 0
    level = [""]
    for depth in range(DEPTH + 1):
        below: list[str] = []
        for path in level:
            folder = root / path if path else root
            kind = kind_of_folder(folder)
            if kind is not None:
                yield path, kind
                continue
            if depth == DEPTH:
                continue
            try:
                with os.scandir(folder) as entries:
                    names = sorted(one.name for one in entries if one.is_dir(follow_symlinks=False))
            except OSError:
                continue
            for name in names:
                seen += 1
                if seen > MOST_FOLDERS:
                    return
                if not name.startswith(".") and name not in PASSED_OVER:
                    below.append(f"{path}/{name}" if path else name)
        level = below


def _changed(folder: Path) -> float:
    """When it was last written to, in seconds since the epoch."""
    times = [0.0]
    for name in ("study.sqlite", "study.sqlite-wal", "tune.sqlite", LIVE, f"{LIVE}-wal", "spec.json", LOOKS):
        try:
            found = (folder / name).stat()
        except OSError:
            continue
        # Whoever only reads leaves an empty log: nothing was written.
        if found.st_size:
            times.append(found.st_mtime)
    return max(times)
