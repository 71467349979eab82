"""What can be drawn shows itself: a line or two in a terminal, a figure and a short table in a notebook.

Figures are made by a room above all that is drawn, which is asked for by name, when somebody looks.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from typing import Any

from calando.errors import NotDrawn, UsageError
from calando.rows import html_table

__all__ = ["MOST_ROWS", "Drawn", "Shown"]

MOST_ROWS = 12
"""Rows of the table that a notebook shows; `.table()` has all."""


class Shown:
    """A value that shows itself; it has a `table` of its own, or none."""

    def plot(self) -> Any:
        """Its figure, an altair chart; `calando.draw` writes it to a file.

        Raises:
            NotDrawn: Python was started without docstrings, which altair needs.
            UsageError: there is nothing to draw yet.
        """
        return importlib.import_module("calando.verbs.figures").figure_of(self)

    def table(self) -> list[dict[str, Any]]:
        """Its numbers, a row each, as `pandas.DataFrame` takes them; none where a figure says it all."""
        return []

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """What a notebook shows: the figure, where there is one, with the first rows below it."""
        shown: Mapping[str, Any] = {}
        about: Mapping[str, Any] = {}
        try:
            drawn = self.plot()._repr_mimebundle_()
            # altair's renderers return the data, or the data and their metadata
            shown, about = drawn if isinstance(drawn, tuple) else (drawn or {}, {})
        except (NotDrawn, UsageError):
            pass
        # a notebook shows one kind, HTML before any other: the figure must be in it, or there must be none
        figure = _as_html(shown, about)
        html = "" if shown and not figure else self._heading_html() + figure + self._table_html()
        return {**shown, "text/plain": repr(self), **({"text/html": html} if html else {})}

    def _heading_html(self) -> str:
        return ""

    def _table_html(self) -> str:
        rows = self.table()
        if not rows:
            return ""
        left = len(rows) - MOST_ROWS
        more = f"<p>{escape(f'{left} more rows in .table()')}</p>" if left > 0 else ""
        return html_table(rows[:MOST_ROWS]) + more


def _as_html(shown: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """The figure that a renderer of altair's gave, within a page; "": it gave what no page can hold."""
    if found := shown.get("text/html") or shown.get("image/svg+xml"):
        return str(found)
    if not (picture := shown.get("image/png")):
        return ""
    text = picture if isinstance(picture, str) else b64encode(picture).decode()
    size = "".join(f' {name}="{int(value)}"' for name, value in about.get("image/png", {}).items())
    return f'<img alt="" src="data:image/png;base64,{text}"{size}>'


class Drawn(Shown, ABC):
    """An answer that knows its own figure."""

    @abstractmethod
    def plot(self) -> Any:
        """Its figure, an altair chart; `calando.draw` writes it to a file.

        Raises:
            NotDrawn: Python was started without docstrings, which altair needs.
        """
