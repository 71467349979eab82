"""Answers of several entries: a line or two in a terminal, a table in a notebook, rows for a program."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any, TypeVar

__all__ = ["Listing", "Rows", "html_table"]

Entry = TypeVar("Entry")
WIDTH = 160  # letters of a repr: two lines of a terminal


class Rows(tuple[Entry, ...]):
    """A tuple of entries that shows itself.

    Args:
        entries: dataclasses; one with a `row` of its own says what its row of the table is.
        kind: what they are, in the plural.
    """

    kind: str

    def __new__(cls, entries: Iterable[Entry] = (), kind: str = "rows") -> Rows[Entry]:
        """See the class."""
        made = super().__new__(cls, entries)
        made.kind = kind
        return made

    def table(self) -> list[dict[str, Any]]:
        """A row for each entry, as `pandas.DataFrame` takes them."""
        return [entry.row if hasattr(entry, "row") else asdict(entry) for entry in self]  # type: ignore[call-overload]

    def __repr__(self) -> str:
        """How many, and the first column."""
        names = ", ".join(str(next(iter(row.values()))) for row in self.table())
        return textwrap.shorten(f"{len(self)} {self.kind}: {names}", WIDTH, placeholder=" …")

    def _repr_html_(self) -> str:
        return html_table(self.table())


class Listing(dict[str, Any]):
    """Kinds of things, each a list or a mapping of entries, or single entries by their kind.

    >>> Listing({"families": {"a": "…", "b": "…"}, "strategies": [{"name": "sgd"}]})
    2 families, 1 strategies; .table() has the strategies
    """

    def table(self) -> list[dict[str, Any]]:
        """A row for each entry of the first list; of single entries a row for each."""
        lists = [value for value in self.values() if isinstance(value, list)]
        return lists[0] if lists else [entry for entry in self.values() if entry is not None]

    def __repr__(self) -> str:
        """How many of each, or the summary of each."""
        listed = next((kind for kind, value in self.items() if isinstance(value, list)), None)
        if listed is None:
            lines = (f"{kind} {entry['name']}: {entry['summary']}" for kind, entry in self.items() if entry is not None)
            return "\n".join(textwrap.shorten(line, WIDTH // 2, placeholder=" …") for line in lines)
        return f"{', '.join(f'{len(value)} {kind}' for kind, value in self.items())}; .table() has the {listed}"

    def _repr_html_(self) -> str:
        return html_table(self.table())


def html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a table of HTML; the first one's keys are its columns.

    >>> html_table([{"name": "<b>", "rate": 0.123456}])
    '<table><tr><th>name</th><th>rate</th></tr><tr><td>&lt;b&gt;</td><td>0.1235</td></tr></table>'
    """
    if not rows:
        return "<table></table>"
    head = "".join(f"<th>{escape(str(key))}</th>" for key in rows[0])
    lines = "".join("<tr>" + "".join(f"<td>{_cell(row.get(key))}</td>" for key in rows[0]) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>"


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else escape(str(value))
