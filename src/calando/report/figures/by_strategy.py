"""A row a strategy: its difference from the best, what it costs, and how soon it reached the target.

differences    a point and an interval for each other strategy, and the line of no difference
cost           updates charged for choosing its rate, and for its final runs
target         a dot for each seed, and a cross at the end of a run that never reached it
scores         a dot for each seed, and a cross for a run that diverged
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import altair as alt

from calando.analysis.results import Comparison, StrategyResult
from calando.language import _, message
from calando.records.measure import SHARE, Measure
from calando.report.figures.scales import rows_axis
from calando.report.figures.theme import AnyChart, Row, csv_data, worded
from calando.report.formatting import count, duration
from calando.report.palette import BETTER, COLOURS, NEUTRAL, WORSE, LineStyle

__all__ = ["cost_figure", "forest_figure", "scores_figure", "target_figure"]


_VERDICTS = {
    "better": (BETTER, "triangle-up"),
    "cannot distinguish": (NEUTRAL, "circle"),
    "worse": (WORSE, "triangle-down"),
    "no verdict": (NEUTRAL, "diamond"),
}
# Largest over typical size of an interval's end, from which a linear axis would flatten the typical ones.
SQUEEZE = 25

_SIGNED = "datum.value == 0 ? '0' : format(datum.value, '+.3~r')"


def forest_figure(comparisons: Sequence[Comparison], *, measure: Measure = SHARE, judged: str = "test") -> AnyChart:
    """Paired differences in points or the scores' unit, one row a comparison, in the order given (at least one).

    Where one interval is far wider than most, the axis is linear near zero and logarithmic beyond, so that one
    strategy that failed does not flatten the others.
    """
    rows: list[Row] = [
        {
            "strategy": one.strategy,
            "difference": measure.scale * one.difference,
            "low": measure.scale * one.low,
            "high": measure.scale * one.high,
            "verdict": one.verdict,
            "label": measure.difference(one.difference).replace("-", "−"),
            "text": one.text
            if one.verdict == "no verdict"
            else message(
                "{text} (n = {n}, level {level:.2%}, adjusted p = {p:.2g})",
                text=one.text,
                n=one.n,
                level=one.level,
                p=one.p,
            ),
        }
        for one in comparisons
    ]
    x = _x([end for row in rows for end in (row["low"], row["high"])], measure, judged)
    names = [row["strategy"] for row in rows]
    y = alt.Y("strategy:N", sort=names, title=None, axis=rows_axis())
    there = [verdict for verdict in _VERDICTS if any(one.verdict == verdict for one in comparisons)]
    scale = alt.Scale(domain=there, range=[_VERDICTS[verdict][0] for verdict in there])
    shapes = alt.Scale(domain=there, range=[_VERDICTS[verdict][1] for verdict in there])
    key = alt.Legend(title=None, orient="bottom", symbolSize=110, labelExpr=worded(there))
    base = alt.Chart(csv_data(rows)).encode(
        y=y, color=alt.Color("verdict:N", scale=scale, legend=key), tooltip=[alt.Tooltip("text:N", title=_("verdict"))]
    )
    zero = alt.Chart(csv_data([{"zero": 0}])).mark_rule(color=NEUTRAL, strokeDash=[3, 3]).encode(x="zero:Q")
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
    return alt.layer(*layers).properties(height=max(80, 28 * len(rows)))


def _x(ends: Sequence[float], measure: Measure, judged: str) -> Callable[[str], alt.X]:
    """field -> the encoding on one axis that holds all `ends` and zero."""
    low, high = min(*ends, 0.0), max(*ends, 0.0)
    sizes = sorted(abs(end) for end in ends if end)
    linear_to = sizes[len(sizes) // 3] if sizes else 1.0
    title = [
        _(
            "difference in {judged} score,{unit}" if measure.step else "difference in {judged} score",
            judged=message(judged),
            unit=measure.step,
        )
    ]
    if max(-low, high) <= SQUEEZE * linear_to:
        # The label stands right of the interval and needs its room.
        room = (high - low or 1.0) * 0.16
        scale = alt.Scale(domain=[low - 0.02 * room, high + room], nice=False)
        axis = alt.Axis(labelExpr=_SIGNED, tickCount=alt.ExprRef("max(4, ceil(width / 100))"))
    else:
        start = 10.0 ** math.floor(math.log10(linear_to))
        marks = [10.0**power for power in range(-12, 13) if start <= 10.0**power <= max(-low, high)]
        values = sorted(value for mark in (*marks, 0.0) for value in {mark, -mark} if low <= value <= high)
        scale = alt.Scale(type="symlog", constant=linear_to, domain=[low * 1.1, max(high * 2, linear_to)], nice=False)
        axis = alt.Axis(values=values, labelExpr=_SIGNED)
        title.append(_("(logarithmic beyond ±{linear_to:.2g})", linear_to=linear_to))

    def encode(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=title, scale=scale, axis=axis)

    return encode


_KINDS = {"rate trials": "#7a9fd6", "final runs": COLOURS[0]}


def cost_figure(results: Sequence[StrategyResult]) -> AnyChart:
    """Stacked bars of updates, one row a strategy, in the order given (at least one)."""
    rows = [
        {
            "strategy": result.name,
            "kind": kind,
            "order": order,
            "steps": steps,
            "text": message(
                "{count} updates; all in all {duration}", count=count(steps), duration=duration(result.seconds)
            ),
        }
        for result in results
        for order, (kind, steps) in enumerate(zip(_KINDS, (result.steps_trials, result.steps_final), strict=True))
    ]
    names = [result.name for result in results]
    colours = alt.Scale(domain=list(_KINDS), range=list(_KINDS.values()))
    bars = (
        alt.Chart(csv_data(rows))
        .mark_bar(cornerRadius=2, height={"band": 0.62})
        .encode(
            x=alt.X(
                "sum(steps):Q",
                title=_("updates (steps) charged"),
                axis=alt.Axis(labelExpr="format(datum.value, ',')", tickCount=alt.ExprRef("ceil(width / 100)")),
            ),
            y=alt.Y("strategy:N", sort=names, title=None, axis=rows_axis()),
            color=alt.Color(
                "kind:N",
                scale=colours,
                legend=alt.Legend(title=None, orient="bottom", symbolType="square", labelExpr=worded(_KINDS)),
            ),
            order="order:Q",
            tooltip=[alt.Tooltip("strategy:N"), alt.Tooltip("kind:N"), alt.Tooltip("text:N", title=_("spent"))],
        )
    )
    chart: AnyChart = bars.properties(height=max(70, 26 * len(results)))
    return chart


def target_figure(
    reached: Mapping[str, Sequence[int | None]], *, lengths: Mapping[str, int], styles: Mapping[str, LineStyle]
) -> AnyChart:
    """One row a strategy, in the order given.

    Args:
        reached: strategy name -> for each seed the step at which the target was reached, or None.
        lengths: strategy name -> steps of its runs; the axis ends with the longest.
        styles: by name.
    """
    rows = [
        {"strategy": name, "seed": seed, "step": lengths[name] if step is None else step, "reached": step is not None}
        for name, steps in reached.items()
        for seed, step in enumerate(steps)
    ]
    names = [name for name in reached if reached[name]]
    colours = alt.Scale(domain=names, range=[styles[name].colour for name in names])
    base = alt.Chart(csv_data(rows)).encode(
        x=alt.X(
            "step:Q",
            title=_("step (updates) at which the target was reached"),
            scale=alt.Scale(domain=[0, max(lengths[name] for name in names)], nice=False),
            axis=alt.Axis(tickCount=alt.ExprRef("ceil(width / 90)"), tickMinStep=1),
        ),
        yOffset=alt.YOffset("seed:O", scale=alt.Scale(paddingOuter=1)),
        y=alt.Y("strategy:N", sort=names, title=None, axis=rows_axis(grid=True)),
        color=alt.Color("strategy:N", scale=colours, legend=None),
        tooltip=[alt.Tooltip("strategy:N"), alt.Tooltip("seed:Q"), alt.Tooltip("step:Q"), alt.Tooltip("reached:N")],
    )
    dots = base.transform_filter("datum.reached").mark_point(filled=True, size=85, opacity=0.75)
    crosses = base.transform_filter("!datum.reached").mark_point(
        shape="cross", angle=45, filled=True, size=70, opacity=0.75
    )
    return alt.layer(dots, crosses).properties(height=max(70, 26 * len(names)))


def scores_figure(
    scores: Mapping[str, Sequence[tuple[float, bool]]], *, styles: Mapping[str, LineStyle], chance: float
) -> AnyChart:
    """One row a strategy, in the order given, and a line at chance.

    Args:
        scores: strategy name -> for each seed its score, a share, and whether the run diverged.
        styles: by name.
        chance: the score of naming one class always.
    """
    rows = [
        {"strategy": name, "seed": seed, "score": float(score), "diverged": diverged}
        for name, those in scores.items()
        for seed, (score, diverged) in enumerate(those)
    ]
    names = list(scores)
    colours = alt.Scale(domain=names, range=[styles[name].colour for name in names])
    x = alt.X(
        "score:Q",
        title=_("validation score at the end"),
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(format="~%", tickCount=6),
    )
    base = alt.Chart(csv_data(rows)).encode(
        x=x,
        y=alt.Y("strategy:N", sort=names, title=None, axis=rows_axis(grid=True)),
        color=alt.Color("strategy:N", scale=colours, legend=None),
        tooltip=[alt.Tooltip("strategy:N"), alt.Tooltip("seed:Q"), alt.Tooltip("score:Q", format=".2%")],
    )
    dots = base.transform_filter("!datum.diverged").mark_point(filled=True, size=95, opacity=0.85)
    crosses = base.transform_filter("datum.diverged").mark_point(
        shape="cross", angle=45, filled=True, size=80, opacity=0.85
    )
    line = alt.Chart(csv_data([{"score": chance}])).mark_rule(color=NEUTRAL, strokeDash=[3, 3]).encode(x=x)
    return alt.layer(line, dots, crosses).properties(height=max(70, 26 * len(names)))
