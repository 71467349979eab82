"""What all figures share: type, sizes, the legend, and how strategies are distinguished.

The charts are plain Altair, whose import costs half a second: import this room where a figure is wanted, not before.
A click on a legend entry keeps that strategy and fades the others (shift-click adds one).
"""

from __future__ import annotations

import csv
import io
import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from calando.language import Message, language, translated
from calando.report.palette import HOVER, LineStyle

AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart | alt.VConcatChart

__all__ = [
    "HEIGHT",
    "INK",
    "PICKED",
    "WIDTH",
    "AnyChart",
    "Row",
    "csv_data",
    "dash",
    "faded",
    "fill",
    "finished",
    "hover",
    "legend",
    "picked",
    "stroke",
    "styled",
    "weight",
    "worded",
]

Row = dict[str, Any]

FONT = "Helvetica Neue, Arial, Liberation Sans, DejaVu Sans, sans-serif"
FONT_OF_CHINESE = "PingFang SC, Microsoft YaHei, Noto Sans CJK SC, Source Han Sans SC"
WIDTH, HEIGHT = 760, 340
LABEL_LIMIT = 340
PICKED = "picked"
INK, MUTED, GRID = "#1f2430", "#5b6270", "#e4e7ec"


def csv_data(rows: Sequence[Row]) -> alt.InlineData:
    """Rows as inline CSV, floats cut to five significant digits.

    Messages are in the person's language; other texts are data, by which a figure filters and colours.

    As CSV rather than objects, since altair checks and copies every object several times: a report takes a second less,
    and is a third smaller. The kinds of the columns are those of the first row: a strategy called "1" stays a text.

    >>> csv_data([{"strategy": "a, b", "step": 1, "rate": 1 / 3, "done": True}]).values
    'strategy,step,rate,done\\n"a, b",1,0.33333,true\\n'
    """
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", Message: "string"}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(rows[0]) if rows else []
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in rows)
    parse = {name: kinds[type(rows[0][name])] for name in names}
    return alt.InlineData(values=text.getvalue(), format=alt.CsvDataFormat(type="csv", parse=parse))


def _cell(value: str | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Message):
        return translated(value)
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def picked() -> alt.Parameter:
    """The selection a click on the legend makes."""
    return alt.selection_point(name=PICKED, fields=["strategy"], bind="legend")


def faded(chosen: alt.Parameter) -> Any:
    """1 for what is picked (or while nothing is), nearly 0 for the rest: for any opacity channel.

    Lines use `strokeOpacity` and areas `fillOpacity`: plain `opacity` makes each of them a group of its own
    when turned into pixels, which is some twenty times slower.
    """
    return alt.when(chosen).then(alt.value(1)).otherwise(alt.value(0.08))


def weight(best: str | None) -> Any:
    """Stroke width: the best strategy's line is the strongest."""
    return alt.when(alt.datum.strategy == best).then(alt.value(3.4)).otherwise(alt.value(1.9))


def legend() -> alt.Legend:
    """Below the figure, in the order of the result; `finished` sets how many columns it has."""
    return alt.Legend(
        title=None,
        orient="bottom",
        direction="horizontal",
        symbolType="stroke",
        symbolSize=260,
        symbolStrokeWidth=2.5,
        symbolOpacity=1,
        symbolLimit=0,  # none: Vega drops all beyond 30
    )


def stroke(names: Sequence[str], styles: Mapping[str, LineStyle]) -> alt.Stroke:
    """Line colour by strategy; the domain, so the legend, is in the order given."""
    return alt.Stroke("strategy:N", scale=_colours(names, styles), legend=legend())


def fill(names: Sequence[str], styles: Mapping[str, LineStyle]) -> alt.Fill:
    """Fill by strategy; merges with the legend of `stroke`."""
    return alt.Fill("strategy:N", scale=_colours(names, styles), legend=legend())


def _colours(names: Sequence[str], styles: Mapping[str, LineStyle]) -> alt.Scale:
    return alt.Scale(domain=list(names), range=[styles[name].colour for name in names])


def dash(names: Sequence[str], styles: Mapping[str, LineStyle]) -> alt.StrokeDash:
    """Dash pattern by strategy; merges with the legend of `stroke`."""
    scale = alt.Scale(domain=list(names), range=[list(styles[name].dash) or [1, 0] for name in names])
    return alt.StrokeDash("strategy:N", scale=scale, legend=legend())


def hover(rows: Sequence[Row], *, x: alt.X, y: alt.Y, tooltip: Sequence[alt.Tooltip]) -> alt.Chart:
    """Points that are not seen, each with its numbers under the pointer: a line itself has none.

    For a page; what is drawn as a picture is drawn without (`pictures.svg`).
    """
    unseen = alt.Chart(csv_data(rows), description=HOVER).mark_point(filled=True, size=150, opacity=0)
    points: alt.Chart = unseen.encode(x=x, y=y, tooltip=list(tooltip))
    return points


def worded(words: Iterable[str]) -> Any:
    """For a legend of these words, which the data have in English: how it shows them."""
    shown = {word: translated(word) for word in words}
    return alt.Undefined if language() == "en" else f"{json.dumps(shown, ensure_ascii=False)}[datum.label]"


def _wrapped(text: str, width: int) -> list[str]:
    if language() == "en":
        return textwrap.wrap(text, width)
    # A Chinese character is as wide as two letters, and any of them may end a line.
    lines, room = [""], width
    for piece in re.findall(
        r"[\u2e80-\u9fff\uff00-\uffef][，。；：、）]*|[^\s\u2e80-\u9fff\uff00-\uffef]+\s*|\s+", text
    ):
        wide = sum(2 if letter >= "\u2e80" else 1 for letter in piece)
        if wide > room:
            lines.append("")
            room = width
        lines[-1] += piece
        room -= wide
    return [line.strip() for line in lines if line.strip()]


def finished(chart: AnyChart, *, title: str, subtitle: str, names: Sequence[str] = ()) -> AnyChart:
    """The same chart with its size, its title, its pedigree below that, and the house's type.

    Args:
        chart: as high as it says, or as `HEIGHT`; panels above each other have sizes of their own.
        names: what the legend lists, where it lists strategies: as many columns as the longest leaves room for.
            The page counts again for its own width, for which `usermeta` keeps the width of one.
    """
    column = 38 + min(LABEL_LIMIT, 6 * max(map(_letters, names), default=0))
    sized = chart
    if not isinstance(chart, alt.VConcatChart):
        sized = chart.properties(width=WIDTH, height=HEIGHT if chart.height is alt.Undefined else chart.height)
    sized = sized.properties(usermeta={"legend_column": column if names else 0})
    return styled(sized, title=title, subtitle=subtitle, columns=max(1, WIDTH // column) if names else 4)


def _letters(text: str) -> int:
    return len(text) + sum(letter >= "\u2e80" for letter in text)


def styled(chart: AnyChart, *, title: str, subtitle: str, columns: int = 4) -> AnyChart:
    """The same chart, of whatever kind, with a title, its pedigree below it, and the house's type."""
    lines = _wrapped(translated(subtitle), 128)
    made: AnyChart = chart.properties(title=alt.Title(text=translated(title), subtitle=lines)).configure(
        font=FONT if language() == "en" else f"{FONT_OF_CHINESE}, {FONT}",
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
        legend=alt.LegendConfig(
            labelColor=INK, labelFontSize=12.5, rowPadding=5, columnPadding=14, offset=14, columns=columns,
            labelLimit=LABEL_LIMIT,
        ),
    )  # fmt: skip
    return made
