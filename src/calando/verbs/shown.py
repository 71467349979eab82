"""What `calando.plot` and `train` return shows itself: a line or two in a terminal, its figure in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from calando.shown import Shown

__all__ = ["Drawn"]


class Drawn(Shown, ABC):
    """An answer that knows its own figure."""

    @abstractmethod
    def plot(self) -> Any:
        """Its figure, an altair chart; `calando.draw` writes it to a file.

        Raises:
            NotDrawn: Python was started without docstrings, which altair needs.
        """
