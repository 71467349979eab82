"""How a command ends: its exit status, and the line that it says last."""

from __future__ import annotations

import sys
from typing import NamedTuple

from calando.language import translated

__all__ = ["Ending"]


class Ending(NamedTuple):
    """How a command ends.

    Args:
        status: its exit status.
        line: what it says last on standard error; "": nothing. A message is shown in the person's language.
        at_once: without tidying up.
        shown: the line in the person's language, where another process has it already.
    """

    status: int
    line: str = ""
    at_once: bool = False
    shown: str = ""

    def say(self) -> None:
        """Print the line."""
        if self.line:
            print(f"calando: {self.shown or translated(self.line)}", file=sys.stderr, flush=True)
