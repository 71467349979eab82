"""What each strategy costs: updates charged for choosing its rate, and for its final runs."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from calando.analysis.results import StrategyResult
from calando.report.figures.theme import AnyChart, data, finished, rows_axis
from calando.report.numbers import count, duration
from calando.report.palette import COLOURS

__all__ = ["cost_figure"]

_KINDS = {"rate trials": "#7a9fd6", "final runs": COLOURS[0]}


def cost_figure(results: Sequence[StrategyResult], *, title: str, subtitle: str) -> AnyChart:
    """Stacked bars of updates, one row a strategy, in the order given (at least one)."""
    rows = [
        {
            "strategy": result.name,
            "kind": kind,
            "order": order,
            "steps": steps,
            "said": f"{count(steps)} updates; all in all {duration(result.seconds)}",
        }
        for result in results
        for order, (kind, steps) in enumerate(zip(_KINDS, (result.steps_trials, result.steps_final), strict=True))
    ]
    names = [result.name for result in results]
    colours = alt.Scale(domain=list(_KINDS), range=list(_KINDS.values()))
    bars = (
        alt.Chart(data(rows))
        .mark_bar(cornerRadius=2, height={"band": 0.62})
        .encode(
            x=alt.X(
                "sum(steps):Q",
                title="updates (steps) charged",
                axis=alt.Axis(labelExpr="format(datum.value, ',')", tickCount=alt.ExprRef("ceil(width / 100)")),
            ),
            y=alt.Y("strategy:N", sort=names, title=None, axis=rows_axis()),
            color=alt.Color(
                "kind:N", scale=colours, legend=alt.Legend(title=None, orient="bottom", symbolType="square")
            ),
            order="order:Q",
            tooltip=[alt.Tooltip("strategy:N"), alt.Tooltip("kind:N"), alt.Tooltip("said:N", title="spent")],
        )
    )
    return finished(bars, title=title, subtitle=subtitle, height=max(70, 26 * len(rows) // 2))
