"""What can be read: one file a format, which joins by its `ENTRIES`. Nothing here imports torch.

ENTRIES = (DataEntry(name="npz:PATH", description=..., read=read_npz),)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calando.tasks.data.options import Option

if TYPE_CHECKING:
    from calando.tasks.data.arrays import ArrayData
    from calando.tasks.data.audio import AudioData
    from calando.tasks.data.samples import SampleData

__all__ = ["DataEntry", "Download", "Layout"]


@dataclass(frozen=True)
class Layout:
    """One way a data set is laid out: in the folder `below` the one that is searched, where `here` says that it is."""

    below: str
    here: Callable[[Path], bool]
    read: Callable[[Path], ArrayData | AudioData]


@dataclass(frozen=True)
class Download:
    """One file to fetch, from the first of `urls` that has it.

    Args:
        sha256: of the file's bytes; with `folder`, of what lies in it, as `fetch.folder_sha256` has it, since hosts
            that pack an archive on demand may pack it differently tomorrow.
        members: for a tar archive: the files wanted out of it, without their folder; empty keeps the file itself.
        folder: for a tar archive: the folder wanted out of it, without what lies deeper.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    members: tuple[str, ...] = ()
    folder: str = ""


@dataclass(frozen=True, kw_only=True)
class DataEntry:
    """A data set, or a format of files, and what is used by default.

    Args:
        name: what the command line calls it; a format is FORM:PATH.
        description: one line.
        model: network.
        batch_size: samples per update.
        augment: augmentation text.
        epochs: passes over the training part of one run of a comparison.
        validation_fraction: share of the training set that is held out.
        read: reads the PATH of a format; gets the options that are given, by name.
        options: that may stand behind the PATH.
        chosen_by: the option whose being there means this entry and not another of the same form; "": it is the form's
            own.
        endings: of files that this form reads, without a dot.
        embedded: reads a data set that comes with calando.
        layouts: of a data set on disk, tried in order.
        kept_in: the name of its folder; "": its own.
        fetched_from: what to do to have it, where `calando data get` fetches nothing.
        downloads: the files that `calando data get` fetches.
    """

    name: str
    description: str
    model: str = "resnet8"
    batch_size: int = 64
    augment: str = "none"
    epochs: int = 10
    validation_fraction: float = 0.1
    read: Callable[..., ArrayData | SampleData | AudioData] | None = None
    options: tuple[Option, ...] = ()
    chosen_by: str = ""
    endings: tuple[str, ...] = ()
    embedded: Callable[[], ArrayData] | None = None
    layouts: tuple[Layout, ...] = ()
    kept_in: str = ""
    fetched_from: str = ""
    downloads: tuple[Download, ...] = ()

    @property
    def defaults(self) -> dict[str, object]:
        """What lists show of it, as JSON holds it."""
        shown = ("name", "description", "model", "batch_size", "augment", "epochs", "validation_fraction")
        options = {option.name: f"{option.meaning}{option.allowed}" for option in self.options}
        return {**{name: getattr(self, name) for name in shown}, "options": options}

    @property
    def form(self) -> str:
        """What stands before the colon of a format's name."""
        return self.name.partition(":")[0]
