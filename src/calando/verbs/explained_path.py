"""What a path is that `calando explain` was given, and whether one takes what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from calando.analysis.looked import FILE
from calando.errors import UsageError
from calando.language import message
from calando.records.files import write_atomically

__all__ = ["check_writable", "kind_of", "no_study"]


def kind_of(where: Path) -> Literal["study", "looks"] | None:
    """None: it may be a task, whose name any folder may have too.

    >>> kind_of(Path("digits")), kind_of(Path("mine.json"))
    (None, 'looks')
    """
    try:
        if not where.is_dir():
            named = where.suffix == ".json" and (where.exists() or ":" not in str(where))
            return "looks" if named else None
    except OSError:  # too long for a path, say
        return None
    stores = [name for name in ("study", "tune") if (where / f"{name}.sqlite").exists()]
    return "study" if stores else "looks" if (where / FILE).exists() else None


def no_study(where: Path) -> str:
    """Why it is none, as the end of a sentence."""
    from calando.records.store import studies_in

    try:
        found = [str(path) for path in studies_in(where)]
    except OSError:
        found = []
    if found:
        return message(
            "{where!r} holds {count} studies: give one of them, such as {found!r}",
            where=str(where),
            count=len(found),
            found=found[0],
        )
    return message("there is no study in {where!r}", where=str(where))


def check_writable(folder: Path) -> None:
    """Check before minutes are spent on what could not be kept.

    Raises:
        UsageError: nothing can be written there, or it holds something else.
    """
    for name, kind in (("study.sqlite", "a comparison"), ("tune.sqlite", "a tuning"), ("lesson.json", "a lesson")):
        if (folder / name).exists():
            raise UsageError(message("{folder!r} holds {kind}: name another folder=", folder=str(folder), kind=kind))
    probe = folder / ".writable"
    try:
        there = folder.exists()
        write_atomically(probe, b"", sync=False)
        probe.unlink()
        if not there:
            folder.rmdir()  # where the run is stopped nothing is left
    except OSError as error:
        raise UsageError(
            message(
                "nothing can be written to {folder!r} ({strerror}): name another folder=",
                folder=str(folder),
                strerror=error.strerror,
            )
        ) from error
