"""Steps to the target: a dot for each seed, and a cross at the end of a run that never reached it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

from calando.report.figures.theme import AnyChart, data, finished, rows_axis
from calando.report.palette import Look

__all__ = ["target_figure"]


def target_figure(
    reached: Mapping[str, Sequence[int | None]],
    *,
    lengths: Mapping[str, int],
    styles: Mapping[str, Look],
    title: str,
    subtitle: str,
) -> AnyChart:
    """One row a strategy, in the order given.

    Args:
        reached: strategy name -> for each seed the step at which the target was reached, or None.
        lengths: strategy name -> steps of its runs; the axis ends with the longest.
        styles: a look for each name.
    """
    rows = [
        {"strategy": name, "seed": seed, "step": lengths[name] if step is None else step, "reached": step is not None}
        for name, steps in reached.items()
        for seed, step in enumerate(steps)
    ]
    names = [name for name in reached if reached[name]]
    colours = alt.Scale(domain=names, range=[styles[name].colour for name in names])
    base = alt.Chart(data(rows)).encode(
        x=alt.X(
            "step:Q",
            title="step (updates) at which the target was reached",
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
    return finished(alt.layer(dots, crosses), title=title, subtitle=subtitle, height=max(70, 26 * len(names)))
