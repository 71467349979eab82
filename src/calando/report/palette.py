"""One line style per strategy, the same in every figure and table of a study.

    style(i) = (COLOURS[i mod 8], DASHES[i div 8 mod 6])

The eight colours were searched for the largest smallest difference, as seen with normal sight and with
protanopia, deuteranopia and tritanopia (Machado et al. 2009), among those that stand out from white and
from a dark page alike. Beyond eight strategies, dashes distinguish what colour cannot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["BETTER", "COLOURS", "HOVER", "NEUTRAL", "WORSE", "LineStyle", "line_styles"]

COLOURS = ("#0061d3", "#e08a00", "#0e9b72", "#d5073d", "#a532aa", "#3fa9db", "#7a5c00", "#6b7280")
DASHES: tuple[tuple[int, ...], ...] = ((), (7, 3), (2, 3), (9, 3, 2, 3), (16, 4), (9, 3, 2, 3, 2, 3))

HOVER = "hover"
"""Describes a layer that is there for a pointer alone: a picture is drawn without it."""

BETTER, WORSE, NEUTRAL = COLOURS[0], COLOURS[3], COLOURS[7]


@dataclass(frozen=True)
class LineStyle:
    """How one strategy is drawn: colour, and dash pattern in pixels (empty: solid)."""

    colour: str
    dash: tuple[int, ...] = ()


def line_styles(names: Iterable[str]) -> dict[str, LineStyle]:
    """The style of each name, by its place: pass the names in the order of the spec, not of the result.

    >>> line_styles(["fixed", "cosine"])["cosine"].colour
    '#e08a00'
    """
    return {
        name: LineStyle(COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)])
        for place, name in enumerate(names)
    }
