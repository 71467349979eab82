"""Where a named data set lies on this machine.

Looked for in this order; the first place that holds the data in a layout we read is taken:

    1. the folder given (--data): DIR/NAME, then DIR itself
    2. $CALANDO_DATA: the same
    3. the user's cache, where `calando data get NAME` puts it
    4. /usr/share/datasets/NAME, where Debian's packages put it (dataset-fashion-mnist)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from calando.errors import DataError, UsageError
from calando.tasks.data.arrays import ArrayData
from calando.tasks.data.cache import cache_folder
from calando.tasks.data.cifar import has_binary, has_pickled, read_binary, read_pickled
from calando.tasks.data.idx import FASHION_CLASSES, has_idx, read_idx_folder
from calando.tasks.data.parquet import has_parquet, read_parquet

__all__ = ["Layout", "find"]

_DEBIAN = Path("/usr/share/datasets")


@dataclass(frozen=True)
class Layout:
    """One way a data set is laid out below a folder.

    Args:
        below: the folder inside the one looked at; "." for itself.
        here: whether that folder holds it.
        read: reads it.
    """

    below: str
    here: Callable[[Path], bool]
    read: Callable[[Path], ArrayData]


def _read_fashion(folder: Path) -> ArrayData:
    return read_idx_folder(folder, class_names=FASHION_CLASSES)


_LAYOUTS: Mapping[str, tuple[Layout, ...]] = {
    "fashion-mnist": tuple(
        Layout(below, has_idx, _read_fashion)
        for below in (".", "raw", "FashionMNIST/raw")  # the last two: torchvision
    ),
    "cifar10": (
        *(Layout(below, has_binary, read_binary) for below in (".", "cifar-10-batches-bin")),
        *(Layout(below, has_pickled, read_pickled) for below in (".", "cifar-10-batches-py")),
        *(Layout(below, has_parquet, read_parquet) for below in (".", "plain_text")),  # the last: the hub's repository
    ),
}


def find(name: str, *, data_dir: Path | None = None) -> tuple[Path, Layout]:
    """The folder that holds a named data set, and how it is laid out.

    Args:
        name: "fashion-mnist" or "cifar10".
        data_dir: a folder to look in first.

    Raises:
        UsageError: `data_dir` is not a folder.
        DataError: found nowhere; lists the places and the command that fetches it.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise UsageError(f"--data {data_dir}: there is no such folder")
    places = list(_places(name, data_dir))
    for place in places:
        for layout in _LAYOUTS[name]:
            folder = place / layout.below
            if layout.here(folder):
                return folder, layout
    raise DataError(
        f"{name} was not found; looked in {', '.join(map(str, places))}; "
        f"fetch it with `calando data get {name}`, or name the folder that holds it with --data"
    )


def _places(name: str, data_dir: Path | None) -> list[Path]:
    given = [data_dir] if data_dir is not None else []
    if variable := os.environ.get("CALANDO_DATA"):
        given.append(Path(variable))
    return [*(place for folder in given for place in (folder / name, folder)), cache_folder() / name, _DEBIAN / name]
