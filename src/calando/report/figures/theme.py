"""What all figures share: type, sizes, the legend, and how a strategy is told apart.

The charts are plain Altair; altair is imported inside the functions, since it costs half a second.
A click on a legend entry keeps that strategy and fades the others (shift-click adds one).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from calando.report.palette import Look

if TYPE_CHECKING:
    import altair as alt

__all__ = [
    "HEIGHT",
    "INK",
    "PICKED",
    "WIDTH",
    "Row",
    "colour",
    "dash",
    "data",
    "faded",
    "finished",
    "legend",
    "picked",
    "powers_of_ten",
    "rows_axis",
    "steps_axis",
    "styled",
    "weight",
]

Row = dict[str, Any]

FONT = "Helvetica Neue, Arial, Liberation Sans, DejaVu Sans, sans-serif"
WIDTH, HEIGHT = 760, 340
PICKED = "picked"
INK, MUTED, GRID = "#1f2430", "#5b6270", "#e4e7ec"


def data(rows: Sequence[Row]) -> alt.InlineData:
    """Rows as inline data, floats cut to five significant digits: pages stay small."""
    import altair as alt

    return alt.InlineData(values=[{key: _short(value) for key, value in row.items()} for row in rows])


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def picked() -> alt.Parameter:
    """The selection a click on the legend makes."""
    import altair as alt

    return alt.selection_point(name=PICKED, fields=["strategy"], bind="legend")


def faded(chosen: alt.Parameter) -> Any:
    """1 for what is picked (or while nothing is), nearly 0 for the rest: for any opacity channel.

    Lines use `stroke_opacity` and areas `fill_opacity`: plain `opacity` makes each of them a group of its own when turned
    into pixels, which is some twenty times slower.
    """
    import altair as alt

    return alt.when(chosen).then(alt.value(1)).otherwise(alt.value(0.08))


def weight(best: str | None) -> Any:
    """Stroke width: the best strategy's line is the strongest."""
    import altair as alt

    return alt.when(alt.datum.strategy == best).then(alt.value(3.4)).otherwise(alt.value(1.9))


def legend(names: Sequence[str]) -> alt.Legend:
    """Below the figure, as many columns as fit, in the order of the result."""
    import altair as alt

    column = 46 + min(170, 7 * max(map(len, names), default=0))
    return alt.Legend(
        title=None,
        orient="bottom",
        direction="horizontal",
        columns=alt.ExprRef(f"max(1, floor(width / {column}))"),
        labelLimit=170,
        symbolSize=260,
        symbolStrokeWidth=2.5,
        symbolOpacity=1,
    )


def colour(names: Sequence[str], styles: Mapping[str, Look], *, key: bool = True) -> alt.Color:
    """Colour by strategy; the domain, so the legend, is in the order given.

    Args:
        key: whether this layer is the one that the legend shows.
    """
    import altair as alt

    scale = alt.Scale(domain=list(names), range=[styles[name].colour for name in names])
    return alt.Color("strategy:N", scale=scale, legend=legend(names) if key else None)


def dash(names: Sequence[str], styles: Mapping[str, Look]) -> alt.StrokeDash:
    """Dash pattern by strategy; merges with the legend of `colour`."""
    import altair as alt

    scale = alt.Scale(domain=list(names), range=[list(styles[name].dash) or [1, 0] for name in names])
    return alt.StrokeDash("strategy:N", scale=scale, legend=legend(names))


def powers_of_ten(low: float, high: float) -> alt.Axis:
    """The axis of a log scale from `low` to `high`: a grid line at each power of ten; 2 and 5 where these are few."""
    import altair as alt

    digits = (1, 2, 5) if high / low < 300 else (1,)
    marks = [digit * 10.0**power for power in range(-12, 13) for digit in digits]
    return alt.Axis(
        values=[mark for mark in marks if low * 0.999 <= mark <= high * 1.001],
        labelExpr="datum.value < 0.001 || datum.value >= 100000 ? format(datum.value, '~e') : format(datum.value, '~g')",
    )


def rows_axis() -> alt.Axis:
    """The axis with one strategy a row."""
    import altair as alt

    return alt.Axis(labelLimit=150, grid=False, labelColor=INK, labelFontSize=12.5)


def steps_axis(horizon: int) -> alt.X:
    """The step axis, as long as a run was planned."""
    import altair as alt

    scale = alt.Scale(domain=[0, horizon], nice=False)
    return alt.X("step:Q", title="step (updates)", scale=scale, axis=alt.Axis(grid=False, tickCount=8))


def finished(
    chart: alt.Chart | alt.LayerChart, *, title: str, subtitle: str, height: int = HEIGHT
) -> alt.Chart | alt.LayerChart:
    """The same chart with its size, its title, its pedigree below that, and the house's type."""
    return styled(chart.properties(width=WIDTH, height=height), title=title, subtitle=subtitle)


def styled(chart: Any, *, title: str, subtitle: str) -> Any:
    """The same chart, of whatever kind, with a title, its pedigree below it, and the house's type."""
    import altair as alt

    return chart.properties(title=alt.Title(text=title, subtitle=textwrap.wrap(subtitle, 128))).configure(
        font=FONT,
        background="white",
        padding=14,
        view=alt.ViewConfig(stroke=None),
        title=alt.TitleConfig(
            anchor="start", frame="group", color=INK, fontSize=17, fontWeight=600, offset=14,
            subtitleColor=MUTED, subtitleFontSize=12.5, subtitlePadding=6, subtitleLineHeight=17,
        ),
        axis=alt.AxisConfig(
            labelColor=MUTED, labelFontSize=12, titleColor=INK, titleFontSize=12.5, titleFontWeight="normal",
            titlePadding=10, gridColor=GRID, domain=False, ticks=False, labelPadding=7,
        ),
        legend=alt.LegendConfig(labelColor=INK, labelFontSize=12.5, rowPadding=5, columnPadding=14, offset=14),
    )  # fmt: skip
