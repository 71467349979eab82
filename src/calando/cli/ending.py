"""How a command ends: its exit status, and the line that it says last."""

from __future__ import annotations

import sys
from typing import NamedTuple

__all__ = ["Ending"]


class Ending(NamedTuple):
    """How a command ends.

    Args:
        status: its exit status.
        line: what it says last on standard error; "": nothing.
        at_once: without tidying up.
    """

    status: int
    line: str = ""
    at_once: bool = False

    def say(self) -> None:
        """Print the line."""
        if self.line:
            print(f"calando: {self.line}", file=sys.stderr, flush=True)
