"""Lines of Chinese on a terminal: a character is two columns wide, and nearly every one may begin a line.

rich and typer end lines at spaces alone, and typer counts characters as columns.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from calando.language import language, translated

__all__ = ["break_between_characters", "filled", "help_formatter", "wrapped"]

_WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_CLOSING, _OPENING = "，。、；：？！）」》”’】…,.;:)\\]", "（「《“‘【(\\["
WORD = re.compile(rf"\s*(?:[{_OPENING}]*(?:[^\s{_WIDE}]+|[{_WIDE}])[{_CLOSING}]*|\S+)\s*")
"""What a line may not be broken within: a Latin word or a character, with the punctuation that clings to it."""


def break_between_characters() -> None:
    """Have rich end a line between two characters of a language without spaces; nothing else changes."""
    import rich._wrap

    if language() == "zh" and hasattr(rich._wrap, "re_word"):
        rich._wrap.re_word = WORD


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a text within so many columns.

    >>> wrapped("one two three", 8)
    ['one two', 'three']
    """
    from rich.console import Console
    from rich.text import Text

    break_between_characters()
    return [line.plain.rstrip() for line in Text(text).wrap(Console(width=width), width)]


def filled(text: str, width: int, *, first: str = "", later: str = "") -> str:
    """A paragraph; `first` and `later` begin its first line and the others."""
    if language() == "en":
        return textwrap.fill(text, width, initial_indent=first, subsequent_indent=later)
    lines = wrapped(text, width - len(later)) or [""]
    return "\n".join(f"{later if count else first}{line}" for count, line in enumerate(lines))


def help_formatter(base: type[Any], words: Callable[[str], str]) -> type[Any]:
    """Typer's writer of help, for wide characters.

    Args:
        base: the class that typer would use.
        words: from what typer says by itself, such as a heading, to what is shown.
    """
    return type("WideHelp", (_WideHelp, base), {"words": staticmethod(words)})


class _WideHelp:
    current_indent: int
    width: int
    words: Callable[[str], str]
    write: Callable[[str], None]

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        from rich.cells import cell_len

        usage = translated((prefix or "Usage:").strip())
        start = f"{usage} {prog} " if usage.endswith(":") else f"{usage}{prog} "
        lines = wrapped(args, self.width - cell_len(start)) or [""]
        self._write_lines(start, " " * cell_len(start), lines)

    def write_heading(self, heading: str) -> None:
        self.write(f"{'':>{self.current_indent}}{self.words(heading)}：\n")

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        paragraphs = []
        for one in text.split("\n\n"):
            raw = one.startswith("\b\n")
            lines = one[2:].split("\n") if raw else wrapped(one.replace("\n", " "), self.width - self.current_indent)
            paragraphs.append("\n".join(indent + line for line in lines))
        self.write("\n\n".join(paragraphs) + "\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        from rich.cells import cell_len

        rows = [(first, self.words(second)) for first, second in rows]  # names stay as they are typed
        column = min(max(cell_len(first) for first, _second in rows), col_max) + col_spacing
        indent = " " * self.current_indent
        for first, second in rows:
            fits = cell_len(first) <= column - col_spacing
            start = first + " " * (column - cell_len(first)) if fits else f"{first}\n{indent}{' ' * column}"
            lines = wrapped(second, max(self.width - column - 2, 10)) or [""]
            self._write_lines(start, " " * column, lines)

    def _write_lines(self, start: str, later: str, lines: list[str]) -> None:
        indent = " " * self.current_indent
        for count, line in enumerate(lines):
            self.write(f"{indent}{later if count else start}{line}".rstrip() + "\n")
