"""What lies in the folder that is served: studies, tunings and single runs, in it or one or two folders below.

A place is looked up among those that were found, by its path; no path of a request is ever joined to a folder's.
Those that were asked for stay open, the last few of them.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, final

from calando.errors import CalandoError, UsageError
from calando.records.live_file import FILE as LIVE
from calando.records.live_picture import is_conducted
from calando.web.place import Kind, Place
from calando.web.run_place import RunPlace
from calando.web.study_place import StudyPlace
from calando.web.tuning_place import TuningPlace

__all__ = ["Places", "kind_of_folder"]

DEPTH = 2
MOST_FOLDERS = 5000
MOST_OPEN = 16
LOOK_SECONDS = 2.0
PASSED_OVER = {"checkpoints", "forks", "figures", "node_modules", "__pycache__"}


def kind_of_folder(folder: Path) -> Kind | None:
    """What a folder is; None: nothing that can be shown by itself."""
    names = {"study.sqlite": "study", "tune.sqlite": "tuning", "spec.json": "training", LIVE: "run"}
    for name, kind in names.items():
        if (folder / name).is_file():
            found: Kind = kind  # type: ignore[assignment]
            if kind == "training" and not ((folder / "study.lock").exists() or (folder / LIVE).exists()):
                continue  # another program's file of that name
            return found
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
        self._open: OrderedDict[str, Place] = OrderedDict()
        self._rows: dict[str, dict[str, Any]] = {}  # of places that nobody is at work in
        if not root.is_dir():
            raise UsageError(f"no folder {str(root)!r}; name one that holds studies or runs")
        if not self.found():
            raise UsageError(
                f"no study, tuning or run in {str(root)!r}; `calando compare digits` makes a study in calando-studies"
            )

    def found(self) -> dict[str, Kind]:
        """Kinds by path; looked for again every few seconds."""
        with self._lock:
            if not self._found or time.monotonic() - self._looked > LOOK_SECONDS:
                self._found, self._looked = dict(_walk(self.root)), time.monotonic()
            return self._found

    def place(self, path: str) -> Place:
        """A place by its path.

        Raises:
            KeyError: there is none.
            CorruptFile: it cannot be read.
        """
        kind = self.found()[path]
        with self._lock:
            place = self._open.get(path)
            if place is None or place.kind != kind:
                if place is not None:
                    place.close()
                makes: dict[str, type[Place]] = {"study": StudyPlace, "tuning": TuningPlace}
                place = self._open[path] = makes.get(kind, RunPlace)(path, self.root / path if path else self.root)
            self._open.move_to_end(path)
            while len(self._open) > MOST_OPEN:
                _, oldest = self._open.popitem(last=False)
                with oldest.lock:
                    oldest.close()
        return place

    def listed(self) -> list[dict[str, Any]]:
        """A row for each place, the one last changed first; one that cannot be read says why."""
        rows = [self._row(path, kind) for path, kind in self.found().items()]
        return sorted(rows, key=lambda row: (-row["changed"], row["path"]))

    def warm(self) -> None:
        """Read what was last written to before anybody asks for it."""
        with suppress(CalandoError, OSError, KeyError):
            self.listed()

    def _row(self, path: str, kind: Kind) -> dict[str, Any]:
        folder = self.root / path if path else self.root
        row: dict[str, Any] = {"path": path, "kind": kind, "changed": _changed(folder)}
        known = self._rows.get(path)
        if known is not None and known["changed"] == row["changed"] and not is_conducted(folder):
            return known
        try:
            place = self.place(path)
            place.refresh()
            status = place.status()
            row |= {key: status[key] for key in ("state", "done", "expected", "headline")}
            row["title"] = place.title
        except (CalandoError, OSError) as error:
            row |= {"state": "unreadable", "done": 0, "expected": 0, "headline": str(error), "title": folder.name}
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
    for name in ("study.sqlite", "study.sqlite-wal", "tune.sqlite", LIVE, f"{LIVE}-wal", "spec.json"):
        try:
            found = (folder / name).stat()
        except OSError:
            continue
        # Whoever only reads leaves an empty log: nothing was written.
        if found.st_size:
            times.append(found.st_mtime)
    return max(times)
