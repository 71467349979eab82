"""Where the files lie that a stored run was trained on, for one who makes it again from another folder.

A task names files by a path, `folder:photos`, which may be relative to the folder that the command was run in. The text
stays in the spec, since it is part of the run's name; the place is kept next to it, and looked in first:

    --data          the files themselves, or a folder that holds them
    the place kept  relative to the spec's own folder, so that both may move together
    the path        as the task has it
"""

from __future__ import annotations

import os
from pathlib import Path

from calando.errors import DataError
from calando.language import message

__all__ = ["is_found", "path_within", "place_of", "relative_to"]


def path_within(data: str) -> Path | None:
    """The path in the text of a task; None: its data have a name, or are made by a function.

    >>> path_within("csv:houses.csv,target=price"), path_within("digits"), path_within("mine.tasks:workload")
    (PosixPath('houses.csv'), None, None)
    """
    from calando.tasks.catalog import READERS, path_of

    return path_of(data)[0] if data.partition(":")[0] in READERS and ":" in data else None


def place_of(data: str, *, given: Path | None, kept: Path | None) -> Path | None:
    """The path of files that are there; None: the data are none that a path names.

    Args:
        given: --data.
        kept: where they lay when the spec was written; None: unknown.

    Raises:
        DataError: they are at none of these places.
    """
    path = path_within(data)
    if path is None:
        return None
    if given is not None:
        looked = [*([] if path.is_absolute() else [given / path]), given / path.name, given]
    else:
        looked = [*([] if kept is None else [kept]), path]
    for place in looked:
        if is_found(place):
            return place
    raise DataError(
        message(
            "the data of the run, {data}, are not here; looked for {looked}; name the place with data_dir=",
            data=data,
            looked=", ".join(dict.fromkeys(str(place.absolute()) for place in looked)),
        )
    )


def is_found(place: Path) -> bool:
    """Whether something is there."""
    try:
        return place.exists()
    except (OSError, ValueError):  # too long for a path, say
        return False


def relative_to(place: Path, folder: Path) -> str:
    """The place as one writes it down in a folder, so that both may move together; absolute on another drive."""
    try:
        # Through links, which `..` does not go back through.
        return os.path.relpath(os.path.realpath(place), os.path.realpath(folder))
    except ValueError:
        return str(place.absolute())
