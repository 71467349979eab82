"""W&B's offline runs (run-ID.wandb), which its own programs alone read: the package has no reader for others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from calando.errors import UsageError
from calando.language import message
from calando.loops.log_readers import LoggedRun, Reader

__all__ = ["READER"]


def _refuse(path: Path) -> None:
    raise UsageError(
        message(
            "{path} is an offline run of W&B, whose package has no public reader of it; upload it "
            "(`wandb sync`), save wandb.Api().run(…).history() as a .csv with columns step and lr, and "
            "import that",
            path=repr(str(path)),
        )
    )


def _read(path: Path) -> Iterator[LoggedRun]:
    yield from ()


READER = Reader(
    form="",
    is_of=lambda path: path.suffix == ".wandb",
    found=lambda folder: sorted(folder.rglob("run-*.wandb")),
    read=_read,
    many=True,
    refuse=_refuse,
)
