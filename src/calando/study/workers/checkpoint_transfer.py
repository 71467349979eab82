"""Checkpoints as bytes, between the study's folder and a remote worker's own where no path is shared.

    to the worker      what its job may start from or read: a run's own checkpoint, a fork
    stamp              shows whether the job changed them; then they travel back, also those that it dropped
    pack, unpack       a folder as bytes, and back: written file by file atomically, `state.json` last, so that a
                       checkpoint is there whole or not at all

Folders are named relative to the study's. Needs no torch: a remote worker, which packs and unpacks, starts at once.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calando.host import status_of
from calando.records.files import write_atomically

__all__ = ["ERROR_LOG", "Transfer", "pack", "stamp", "unpack", "where_is"]

ERROR_LOG = "error.log"
SEAL = "state.json"


@dataclass(frozen=True)
class Transfer:
    """Checkpoints on their way: each folder's files by name, none where it is gone; and a failed job's log."""

    folders: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    log: bytes | None = None


def pack(study_folder: Path, names: Iterable[str]) -> dict[str, dict[str, bytes]]:
    return {name: {path.name: path.read_bytes() for path in _files(study_folder / name)} for name in names}


def where_is(study_folder: Path, address: str) -> list[str]:
    """Where a fork is on disk, if it is."""
    return [path.relative_to(study_folder).as_posix() for path in study_folder.glob(f"*/{address}")]


def unpack(transfer: Transfer, study_folder: Path) -> None:
    """Make the folders what they are in the transfer; with DiskFull, each checkpoint is the old or the new one."""
    for name, files in transfer.folders.items():
        folder = study_folder / name
        if not files:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        for file in sorted(files, key=lambda file: file == SEAL):
            write_atomically(folder / file, files[file])
        for path in _files(folder):
            if path.name not in files:
                path.unlink()
    if transfer.log is not None:
        write_atomically(study_folder / ERROR_LOG, transfer.log)


def stamp(study_folder: Path, name: str) -> frozenset[tuple[str, int, int]]:
    """Changes when anything in a folder is written or removed."""
    found = ((path.name, status_of(path)) for path in _files(study_folder / name))
    return frozenset((file, status.st_ino, status.st_mtime_ns) for file, status in found if status)


def _files(folder: Path) -> list[Path]:
    # What is being written has a name that begins with a dot.
    return [path for path in folder.glob("[!.]*") if path.is_file()] if folder.is_dir() else []
