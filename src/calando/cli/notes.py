"""How the data were read, said once on standard error before anything is trained on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calando.tasks.workload import Workload

__all__ = ["say_notes"]


def say_notes(workload: Workload, *, quiet: bool) -> None:
    """Print the workload's notes, doubts and cautions, a line each; nothing where `quiet`."""
    from rich.console import Console
    from rich.text import Text

    if quiet:
        return
    console = Console(stderr=True)
    for note in (*workload.notes, *workload.doubts, *workload.cautions):
        console.print(Text(note, style="yellow"), soft_wrap=True)
