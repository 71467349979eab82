"""Curves as text for the terminal.

Each curve has a colour and, where there are several, a letter that stands on it, so that it is found without colour.
The legend is below the plot: within it, it would hide what is drawn.
"""

from __future__ import annotations

import re
import shutil
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calando.cli.output import can_write
from calando.language import _

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

__all__ = ["Axis", "draw", "draw_panels"]

WIDEST = 100
PLACES = 33  # along the step axis, where a letter may stand

Lines = Mapping[str, tuple[Sequence[float], "ArrayLike"]]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An x axis that is not the step's; it begins at 0.

    Args:
        title: below it.
        ticks: place -> what stands there.
        marks: label -> place of an upright line, which has a letter and a line of the legend as curves have.
        points: label -> (x, y), drawn as single points below the curves.
    """

    title: str
    ticks: Mapping[float, str]
    marks: Mapping[str, float] = field(default_factory=dict)
    points: Lines = field(default_factory=dict)


def draw(curves: Lines, *, height: int = 20, y_label: str, axis: Axis | None = None) -> str:
    """Draw label -> (x, y), one colour a curve, as wide as the terminal (at most 100)."""
    return draw_panels({y_label: curves}, height=height, axis=axis)


def draw_panels(panels: Mapping[str, Lines], *, height: int = 20, axis: Axis | None = None) -> str:
    """Draw y label -> label -> (x, y), one plot below the other; a label looks the same in all of them."""
    import typer

    from calando.report.formatting import distinct
    from calando.report.palette import COLOURS

    width = min(WIDEST, shutil.get_terminal_size().columns)
    named = [*panels.values(), *([axis.points, axis.marks] if axis else [])]
    labels = list(dict.fromkeys(label for lines in named for label in lines))
    colours = {label: _xterm(COLOURS[place % len(COLOURS)]) for place, label in enumerate(labels)}
    if len(labels) == 1:
        letters = {}
    else:
        letters = {label: string.ascii_letters[place % 52] for place, label in enumerate(labels)}
    drawn = [
        _plot(lines, colours, letters, y_label=y_label, width=width, height=height, axis=axis)
        for y_label, lines in panels.items()
    ]
    shown = distinct(labels, max(10, width - 7))
    legend = [typer.style(f"  {letters[label]} ━━ {shown[label]}", fg=colours[label]) for label in letters]
    return "\n".join([*drawn, *legend])


def _plot(
    lines: Lines,
    colours: Mapping[str, int],
    letters: Mapping[str, str],
    *,
    y_label: str,
    width: int,
    height: int,
    axis: Axis | None,
) -> str:
    import numpy as np
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, height)
    plotext.frame(can_write("┌─┐│└┘┤┬"))
    marker = "braille" if can_write("⠁") else "*"
    for label, (x, y) in axis.points.items() if axis else ():
        plotext.scatter(list(x), np.asarray(y, float).tolist(), marker=marker, color=colours[label])
    for label, (x, y) in lines.items():
        picked = np.unique(np.linspace(0, len(x) - 1, min(len(x), 4 * width)).astype(int))
        xs, ys = np.asarray(x, float)[picked].tolist(), np.asarray(y, float)[picked].tolist()
        plotext.plot(xs, ys, marker=marker, color=colours[label])
    last = max(float(x[-1]) for x, _ in lines.values())
    for label, (at, height_there) in _free_places(lines).items():
        if label in letters and last > 0:  # a letter on a single point would be all there is to see
            plotext.text(letters[label], x=at, y=height_there, color=colours[label], style="bold")
    if axis is None:
        ticks = sorted({round(last * quarter / 4) for quarter in range(5)})
        plotext.xticks(ticks, [str(tick) for tick in ticks])
    else:
        _add_marks(axis, lines, colours, letters)
        plotext.xticks(list(axis.ticks), list(axis.ticks.values()))
    plotext.xlabel(_("step") if axis is None else axis.title)
    plotext.ylabel(y_label)
    return "\n".join(map(_as_wide, str(plotext.build()).rstrip("\n").split("\n")))


def _as_wide(line: str) -> str:
    """A line of plotext, which takes every character for one column: without the spaces that wide ones have used up."""
    over = len(re.findall(r"[\u2e80-\u9fff\uff00-\uffef]", line))
    return re.sub(rf" {{1,{over}}}(?=(\x1b\[[0-9;]*m)*$)", "", line) if over else line


def _add_marks(axis: Axis, lines: Lines, colours: Mapping[str, int], letters: Mapping[str, str]) -> None:
    """Upright lines, their letters at the top, each in the first row where it hides none that is near."""
    import numpy as np
    import plotext

    heights = np.concatenate([np.asarray(y, float) for _, y in (*lines.values(), *axis.points.values())])
    top, row = float(np.nanmax(heights)), float(np.nanmax(heights) - np.nanmin(heights)) / 12
    width = max(float(x[-1]) for x, _ in lines.values()) / 30
    placed: list[tuple[float, int]] = []
    for label, at in axis.marks.items():
        plotext.vline(at, color=colours[label])
        down = next(k for k in range(len(axis.marks)) if all(k != j or abs(at - x) > width for x, j in placed))
        placed.append((at, down))
        plotext.text(letters[label], x=at, y=top - down * row, color=colours[label], style="bold")


def _free_places(lines: Lines) -> dict[str, tuple[float, float]]:
    """A point on each curve, as far as can be from the other curves and from the points of those before it."""
    import numpy as np

    last = max(float(x[-1]) for x, _ in lines.values())
    at = np.linspace(0.02, 0.98, PLACES) * last
    heights = np.array([np.interp(at, np.asarray(x, float), np.asarray(y, float)) for x, y in lines.values()])
    spread = float(np.ptp(heights)) or 1.0
    found: dict[str, tuple[float, float]] = {}
    taken: list[int] = []
    for row, label in enumerate(lines):
        # curves that are the same have their letters next to each other
        apart = [abs(np.arange(PLACES) - place) / PLACES for place in taken]
        free = _distances(heights / spread, row) + np.minimum(np.min(apart, axis=0, initial=0.25), 0.25)
        # among places that are about as free, the one nearest to the middle
        best = int(np.argmin(np.where(free >= 0.9 * free.max(), abs(np.arange(PLACES) - PLACES // 2), PLACES)))
        taken.append(best)
        found[label] = (float(at[best]), float(heights[row, best]))
    return found


def _distances(heights: np.ndarray, row: int) -> np.ndarray:
    """How far above or below one row of `heights`, shape (n, PLACES), the nearest other one is, at most a quarter."""
    import numpy as np

    others = abs(np.delete(heights, row, axis=0) - heights[row])
    nearest: np.ndarray = np.minimum(others.min(axis=0, initial=0.25), 0.25)
    return nearest


def _xterm(colour: str) -> int:
    """The colour of a terminal's 256 that is nearest to "#rrggbb", out of its cube of 6 x 6 x 6.

    >>> _xterm("#ff0000")
    196
    """
    levels = (0, 95, 135, 175, 215, 255)
    parts = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    red, green, blue = ([abs(level - part) for level in levels] for part in parts)
    return 16 + 36 * red.index(min(red)) + 6 * green.index(min(green)) + blue.index(min(blue))
