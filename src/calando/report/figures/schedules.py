"""Schedules against steps, before anything is trained: the rate's, and below it those of other hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np

from calando.report.figures.curves import hover_rates, lines_chart, log_y
from calando.report.figures.theme import WIDTH, AnyChart, Row, finished, picked
from calando.report.palette import Look, looks
from calando.report.series import thinned

__all__ = ["schedule_figure"]

PANEL_HEIGHT = 210  # where there are several


def schedule_figure(
    curves: Mapping[str, np.ndarray],
    *,
    others: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    title: str = "The schedules",
    y_title: str = "multiplier of the base rate",
    log: bool = False,
) -> AnyChart:
    """Schedules, each sampled at every step, before anything is trained.

    Args:
        curves: name -> the values of updates 0, 1, …, as `Curve.sample` gives them; at least one, all finite.
        others: hyper-parameter -> name -> values: a panel each, below the rate's. A name looks the same in all.
        log: a logarithmic axis for the rate; values that are not positive are left out.

    >>> schedule_figure({"linear": np.array([1.0, 0.5, 0.0])}).to_dict()["title"]["text"]
    'The schedules'
    """
    below = others or {}
    every = [curves, *below.values()]
    names = list(dict.fromkeys(name for lines in every for name in lines))
    horizon = max(len(values) for lines in every for values in lines.values())
    styles = looks(names)
    first = _panel(curves, names, styles, y_title=y_title, log=log, horizon=horizon).add_params(picked())
    chart: AnyChart = alt.layer(first, hover_rates(curves, y=first.encoding.y, horizon=horizon, positive=log))
    if below:
        titles = {f"multiplier of {key}": lines for key, lines in below.items()}
        rest = [_panel(lines, names, styles, y_title=y, log=False, horizon=horizon) for y, lines in titles.items()]
        panels = [panel.properties(width=WIDTH, height=PANEL_HEIGHT) for panel in (first, *rest)]
        for panel in panels[:-1]:
            panel.encoding.x.title = None  # said once, under the lowest panel
        chart = alt.vconcat(*panels, spacing=18).resolve_scale(stroke="shared", strokeDash="shared")
    return finished(chart, title=title, subtitle=f"over {horizon:,} steps", names=names)


def _panel(
    curves: Mapping[str, np.ndarray],
    names: Sequence[str],
    styles: Mapping[str, Look],
    *,
    y_title: str,
    log: bool,
    horizon: int,
) -> alt.Chart:
    rows: list[Row] = []
    for name, values in curves.items():
        kept = np.flatnonzero(values > 0) if log else np.arange(len(values))
        if len(kept):
            chosen = kept[thinned(np.log(values[kept]) if log else values[kept])]
            rows += [{"strategy": name, "step": int(at), "rate": float(values[at])} for at in chosen]
    sizes = [row["rate"] for row in rows]
    if log and sizes:
        y = log_y("rate", low=min(sizes), high=max(sizes) * 1.1, title=y_title)
    else:
        # a momentum that moves between 0.9 and 1 would be a flat line on an axis from zero
        scale = alt.Scale(zero=not sizes or min(sizes) <= max(sizes) / 2)
        y = alt.Y("rate:Q", title=y_title, scale=scale, axis=alt.Axis(tickCount=6, format="~r"))
    return lines_chart(rows, names, styles, y=y, best=None, horizon=horizon)
