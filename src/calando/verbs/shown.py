"""What can be drawn shows itself: a line or two in a terminal, its figure in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from calando.errors import NotDrawn

__all__ = ["Drawn"]


class Drawn(ABC):
    """An answer that `calando.draw` can draw."""

    @abstractmethod
    def plot(self) -> Any:
        """Its figure, an altair chart; `calando.draw` writes it to a file.

        Raises:
            NotDrawn: Python was started without docstrings, which altair needs.
        """

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """What a notebook shows."""
        try:
            drawn = self.plot()._repr_mimebundle_()
        except NotDrawn:
            drawn = {}
        # altair's renderers return the data, or the data and their metadata
        data = drawn[0] if isinstance(drawn, tuple) else drawn
        return {"text/plain": repr(self), **(data or {})}
