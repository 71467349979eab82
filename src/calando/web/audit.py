"""What was asked of a run, what came of it, and the runs that left it or that it left: from the folder's commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calando.records.command_log import CommandLog

__all__ = ["audit"]


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
        "commands": [one.to_json() for one in rows if run in (one.target, one.run, one.branch)],
        "parent": made[run].parent if run in made else None,
        "branches": [{"run": digest, "step": one.step} for digest, one in made.items() if one.parent == run],
    }
