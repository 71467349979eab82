"""The training loss of every update below, its rate above, with the updates that were looked at."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from calando.language import _
from calando.report.figures.scales import log_y
from calando.report.figures.theme import WIDTH, AnyChart, Row, csv_data
from calando.report.palette import COLOURS, WORSE
from calando.report.series import smoothed

__all__ = ["losses_figure"]

PANEL = 210
MOST_POINTS = 600


def losses_figure(
    losses: np.ndarray, rates: np.ndarray, *, chance: float | None = None, looks: Sequence[int] = ()
) -> AnyChart | None:
    """Every update's training loss and their running mean below, its rate above. None: there is no finite loss.

    Args:
        losses, rates: by update; rates may be empty.
        chance: drawn as a level.
        looks: updates that are marked.
    """
    finite = np.flatnonzero(np.isfinite(losses) & (losses > 0))
    if not len(finite):
        return None
    last = max(int(finite[-1]), 1)
    x = _x(last, _("step (updates)"))
    at = np.unique(finite[np.linspace(0, len(finite) - 1, MOST_POINTS).round().astype(int)])
    calm = smoothed(losses[: last + 1].astype(np.float64), half=max(1, last // 60))
    known = [float(losses[step]) for step in at] + ([chance] if chance else [])
    low, high = min(known) / 1.15, max(known) * 1.15
    low, high = (low, high) if high > 1.5 * low else (low / 1.5, high * 1.5)
    y = log_y("loss", low=low, high=high, title=_("training loss"))
    tooltip = [alt.Tooltip("step:Q"), alt.Tooltip("loss:Q", format=".3g")]
    each: list[Row] = [{"step": int(step), "loss": float(losses[step])} for step in at]
    mean: list[Row] = [{"step": int(step), "loss": float(calm[step])} for step in at if calm[step] > 0]
    seen: list[Row] = [
        {"step": int(step), "loss": float(losses[step])} for step in looks if step <= last and losses[step] > 0
    ]
    layers: list[alt.Chart] = [
        alt.Chart(csv_data(each)).mark_line(color=COLOURS[0], strokeWidth=1, opacity=0.35).encode(x=x, y=y),
        alt.Chart(csv_data(mean)).mark_line(color=COLOURS[0], strokeWidth=2.2).encode(x=x, y=y, tooltip=tooltip),
        alt.Chart(csv_data(seen))
        .mark_point(color=COLOURS[0], size=46, strokeWidth=1.6)
        .encode(x=x, y=y, tooltip=tooltip),
    ]
    if chance:
        level: list[Row] = [{"step": 0, "loss": chance}, {"step": last, "loss": chance}]
        layers.append(
            alt.Chart(csv_data(level)).mark_line(color=WORSE, strokeWidth=1.4, strokeDash=[5, 3]).encode(x=x, y=y)
        )
    below: AnyChart = alt.layer(*layers).properties(width=WIDTH, height=PANEL)
    if not len(rates) or not float(np.max(rates)) > 0:
        return below
    several: list[Row] = [{"step": int(step), "rate": float(rates[step])} for step in at if step < len(rates)]
    above = alt.Chart(csv_data(several)).mark_line(color=COLOURS[1], strokeWidth=2, interpolate="step-after").encode(
        x=_x(last, None),
        y=alt.Y("rate:Q", title=_("learning rate"), axis=alt.Axis(format="~r", tickCount=3)),
        tooltip=[alt.Tooltip("step:Q"), alt.Tooltip("rate:Q", format=".3g")],
    ).properties(width=WIDTH, height=90)  # fmt: skip
    return alt.vconcat(above, below, spacing=18)


def _x(last: int, title: str | None) -> alt.X:
    scale = alt.Scale(domain=[0, last], nice=False, padding=6)
    axis = alt.Axis(grid=False, tickCount=alt.ExprRef("ceil(width / 90)"), tickMinStep=1, format="d")
    return alt.X("step:Q", title=title, scale=scale, axis=axis)
