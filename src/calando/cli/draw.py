"""Curves as text for the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["draw"]

COLORS = ("cyan", "orange", "green", "magenta", "blue", "red", "gray")


def draw(curves: Mapping[str, tuple[Sequence[float], ArrayLike]], *, height: int = 20, y_label: str) -> str:
    """Draw label -> (x, y), one colour a curve, as wide as the terminal (at most 100)."""
    import numpy as np
    import plotext

    width = min(100, shutil.get_terminal_size().columns)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, height)
    for index, (text, (x, y)) in enumerate(curves.items()):
        picked = np.unique(np.linspace(0, len(x) - 1, min(len(x), 4 * width)).astype(int))
        label = text if len(text) <= 40 else text[:39] + "…"
        xs, ys = np.asarray(x, float)[picked].tolist(), np.asarray(y, float)[picked].tolist()
        plotext.plot(
            xs, ys, marker="braille", color=COLORS[index % len(COLORS)], label=label if len(curves) > 1 else None
        )
    plotext.xlabel("step")
    plotext.ylabel(y_label)
    return str(plotext.build())
