"""Differences to the best: a point and an interval for each other strategy, and the line of no difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import altair as alt

from calando.analysis.results import Comparison
from calando.report.figures.theme import AnyChart, Row, data, finished, rows_axis
from calando.report.palette import BETTER, NEUTRAL, WORSE

__all__ = ["forest_figure"]

_VERDICTS = {
    "better": (BETTER, "triangle-up"),
    "cannot distinguish": (NEUTRAL, "circle"),
    "worse": (WORSE, "triangle-down"),
    "not tuned out": (NEUTRAL, "diamond"),
}
# Largest over typical size of an interval's end, from which a linear axis would flatten the typical ones.
SQUEEZE = 25

_SIGNED = "datum.value == 0 ? '0' : format(datum.value, '+.3~r')"


def forest_figure(comparisons: Sequence[Comparison], *, title: str, subtitle: str) -> AnyChart:
    """Paired differences in percentage points, one row a comparison, in the order given (at least one).

    Where one interval is far wider than most, the axis is linear near zero and logarithmic beyond, so that one
    strategy that failed does not flatten the others.
    """
    rows: list[Row] = [
        {
            "strategy": one.strategy,
            "difference": 100 * one.difference,
            "low": 100 * one.low,
            "high": 100 * one.high,
            "verdict": one.verdict,
            "label": f"{100 * one.difference:+.2f}".replace("-", "−"),
            "said": one.text
            if one.verdict == "not tuned out"
            else f"{one.text} (n = {one.n}, level {one.level:.2%}, adjusted p = {one.p:.2g})",
        }
        for one in comparisons
    ]
    x = _x([end for row in rows for end in (row["low"], row["high"])])
    names = [row["strategy"] for row in rows]
    y = alt.Y("strategy:N", sort=names, title=None, axis=rows_axis())
    there = [verdict for verdict in _VERDICTS if any(one.verdict == verdict for one in comparisons)]
    scale = alt.Scale(domain=there, range=[_VERDICTS[verdict][0] for verdict in there])
    shapes = alt.Scale(domain=there, range=[_VERDICTS[verdict][1] for verdict in there])
    key = alt.Legend(title=None, orient="bottom", symbolSize=110)
    base = alt.Chart(data(rows)).encode(
        y=y, color=alt.Color("verdict:N", scale=scale, legend=key), tooltip=[alt.Tooltip("said:N", title="verdict")]
    )
    zero = alt.Chart(data([{"zero": 0}])).mark_rule(color=NEUTRAL, strokeDash=[3, 3]).encode(x="zero:Q")
    layers = [
        zero,
        base.mark_rule(strokeWidth=2.4, strokeCap="round").encode(x=x("low"), x2="high:Q"),
        base.mark_point(filled=True, size=95, opacity=1).encode(
            x=x("difference"), shape=alt.Shape("verdict:N", scale=shapes, legend=key)
        ),
        base.mark_text(
            dx=7, align="left", baseline="middle", fontSize=11.5, opacity=alt.ExprRef("width < 300 ? 0 : 1")
        ).encode(x=x("high"), text="label:N"),
    ]
    return finished(alt.layer(*layers), title=title, subtitle=subtitle, height=max(80, 28 * len(rows)))


def _x(ends: Sequence[float]) -> Callable[[str], alt.X]:
    """field -> the encoding in percentage points, on one axis that holds all `ends` and zero."""
    low, high = min(*ends, 0.0), max(*ends, 0.0)
    sizes = sorted(abs(end) for end in ends if end)
    linear_to = sizes[len(sizes) // 3] if sizes else 1.0
    title = ["difference in test score, points"]
    if max(-low, high) <= SQUEEZE * linear_to:
        # The label stands right of the interval and needs its room.
        room = (high - low or 1.0) * 0.16
        scale = alt.Scale(domain=[low - 0.02 * room, high + room], nice=False)
        axis = alt.Axis(labelExpr=_SIGNED, tickCount=alt.ExprRef("max(4, ceil(width / 100))"))
    else:
        start = 10.0 ** math.floor(math.log10(linear_to))
        marks = [10.0**power for power in range(-3, 3) if start <= 10.0**power]
        values = sorted(value for mark in (*marks, 0.0) for value in {mark, -mark} if low <= value <= high)
        scale = alt.Scale(type="symlog", constant=linear_to, domain=[low * 1.1, max(high * 2, linear_to)], nice=False)
        axis = alt.Axis(values=values, labelExpr=_SIGNED)
        title.append(f"(logarithmic beyond ±{linear_to:.2g})")

    def encode(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=title, scale=scale, axis=axis)

    return encode
