"""Standard output is the answer's alone, so that `--json` is JSON whatever people's own code prints."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from calando.language import VARIABLE, language, translated

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["answer_console", "can_write", "others_on_stderr", "print_notes", "write_in_any_encoding"]

LEAST_COLUMNS = 20
CHINESE = "学习率轮数验证"
"""What an encoding must have for texts in Chinese (simplified)."""


def write_in_any_encoding() -> None:
    """What the encoding of a terminal, pipe or file has not is written as Python would, and English instead of Chinese.

    The language of this process and of its workers is changed, and a line says so.
    """
    for one in _streams():
        one.reconfigure(errors="backslashreplace")
    lacking = [] if language() == "en" else [one.encoding for one in _streams() if not _has(one.encoding, CHINESE)]
    if lacking:
        os.environ[VARIABLE] = "en"
        why = f"{lacking[0]} cannot write the Chinese texts, so this is English"
        print(f"calando: {why}; PYTHONIOENCODING=utf-8 changes that where UTF-8 is read", file=sys.stderr)


def can_write(letters: str) -> bool:
    """Whether standard output's encoding has these."""
    return all(_has(one.encoding, letters) for one in _streams() if one is sys.stdout)


def _streams() -> list[io.TextIOWrapper]:
    return [one for one in (sys.stdout, sys.stderr) if isinstance(one, io.TextIOWrapper)]


def _has(encoding: str, letters: str) -> bool:
    try:
        return bool(letters.encode(encoding))
    except (UnicodeEncodeError, LookupError):
        return False


def answer_console() -> Console:
    """What the answer is printed to: what its encoding has not is written as Python would, not refused.

    Some callers say that a terminal has no columns, where nothing would be printed.
    """
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console()
    if console.width < LEAST_COLUMNS:
        console.width = 80
    return console


@contextmanager
def others_on_stderr() -> Iterator[None]:
    """What is printed meanwhile, from Python, from C or by a process started meanwhile, goes to standard error."""
    if sys.stdout is not None:
        sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:
        # There is no standard output, and nothing to keep clean.
        yield
        return
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 1)
        os.close(kept)


def print_notes(notes: Iterable[str]) -> None:
    """How the data were read, and what is doubtful about them: on standard error, a line each."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    for note in notes:
        console.print(Text(translated(note), style="yellow"), soft_wrap=True)
