"""What was asked of a run, what came of it, and the runs that left it or that it left: from the folder's commands."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, final

from calando.errors import CorruptFile
from calando.records.command import parse_command
from calando.records.command_log import FILE_NAME, Asked, Branch, CommandLog
from calando.stored_words import recognized

__all__ = ["Branches", "audit"]


def audit(folder: Path, run: str) -> dict[str, Any]:
    """The commands that concern a run, in the order in which they were asked; its parent and its branches.

    Args:
        folder: of the study or the training.
        run: a digest.

    Raises:
        CorruptFile: the file of commands is damaged.
    """
    if not CommandLog.there(folder):
        return {"commands": [], "parent": None, "branches": []}
    with CommandLog.open(folder, read_only=True) as log:
        rows, made = log.rows(), log.branches()
    return {
        "commands": [
            {**one.to_json(), "why": recognized(one.why)} for one in rows if run in (one.target, one.run, one.branch)
        ],
        "parent": made[run].parent if run in made else None,
        "branches": [
            {"run": digest, "step": _changed_at(rows, one)} for digest, one in made.items() if one.parent == run
        ],
    }


def _changed_at(rows: list[Asked], branch: Branch) -> int:
    """The first update that differs; its state may be an earlier one."""
    asked = next((one for one in rows if one.number == branch.command), None)
    if asked is None:
        return branch.step
    since = parse_command(asked.line).since
    return since if since is not None else branch.step if asked.step is None else asked.step


@final
class Branches:
    """The runs of a folder whose rate was changed by hand; read again where the folder's commands have changed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._seen = folder, (0.0, 0.0)
        self.made: dict[str, Branch] = {}

    def have_changed(self) -> bool:
        """Whether there are others since the last time; a damaged file has none."""
        # SQLite writes into the log first.
        now = _written(self._folder / FILE_NAME), _written(self._folder / f"{FILE_NAME}-wal")
        if now == self._seen:
            return False
        self._seen, before = now, set(self.made)
        self.made = {}
        with suppress(CorruptFile):
            if CommandLog.there(self._folder):
                with CommandLog.open(self._folder, read_only=True) as log:
                    self.made = log.branches()
        return set(self.made) != before


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
