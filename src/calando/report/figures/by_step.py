"""Lines against steps: rates, training loss and validation score of a study; schedules before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import altair as alt
import numpy as np

from calando.language import _, message
from calando.records.measure import SHARE, Measure
from calando.report.figures.scales import ScoreAxis, log_y, steps_axis
from calando.report.figures.theme import (
    PICKED,
    WIDTH,
    AnyChart,
    Row,
    csv_data,
    dash,
    faded,
    fill,
    finished,
    hover,
    picked,
    stroke,
    weight,
)
from calando.report.palette import LineStyle, line_styles
from calando.report.series import Band, End, thinned

__all__ = ["ALL_BANDS", "hover_rates", "lines_chart", "loss_figure", "rate_figure", "schedule_figure", "score_figure"]


# A rate that decays to nothing would stretch a log axis without end; below this share of the smallest peak it stops.
# (Values are cut rather than clipped: a clip path a line costs twenty times the rest of a PNG.)
FLOOR_SHARE = 1e-2
# More bands than this on top of each other show nothing but mud.
ALL_BANDS = 5
# Along a line, places with numbers under the pointer.
HOVER_POINTS = 60


def rate_figure(
    curves: Mapping[str, np.ndarray],
    *,
    best: str | None,
    horizon: int,
    styles: Mapping[str, LineStyle],
) -> AnyChart:
    """The rate at each step on a log axis, one line a strategy, best first.

    Args:
        curves: strategy name -> the rates of updates 0, 1, …, in the order of the legend; each with a positive one.
        best: whose line is drawn strongest.
        horizon: where the axis ends.
        styles: by name.
    """
    peaks = [float(rates.max()) for rates in curves.values()]
    lowest = min(float(rates.min()) for rates in curves.values())
    floor = min(max(FLOOR_SHARE * min(peaks), lowest), min(peaks) / 10)
    rows: list[Row] = []
    for name, rates in curves.items():
        drawn = np.maximum(rates, floor)
        rows += [{"strategy": name, "step": int(at), "rate": float(drawn[at])} for at in thinned(np.log(drawn))]
    y = log_y("rate", low=floor, high=max(peaks) * 1.25, title=_("learning rate"))
    lines = lines_chart(rows, list(curves), styles, y=y, best=best, horizon=horizon).add_params(picked())
    return alt.layer(lines, hover_rates(curves, y=y, horizon=horizon, floor=floor))


def hover_rates(
    curves: Mapping[str, np.ndarray], *, y: alt.Y, horizon: int, floor: float = -np.inf, positive: bool = False
) -> alt.Chart:
    """The rate under the pointer, along each curve.

    Args:
        floor: no point is lower; its number is as it is.
        positive: nothing else has a place on the axis.
    """
    rows: list[Row] = [
        {
            "strategy": name,
            "step": int(at),
            "rate": max(float(rates[at]), floor),
            "exact": float(rates[at]),
        }
        for name, rates in curves.items()
        for at in np.unique(np.linspace(0, len(rates) - 1, HOVER_POINTS).round().astype(np.int64))
        if rates[at] > 0 or not positive
    ]
    tooltip = [alt.Tooltip("strategy:N"), alt.Tooltip("step:Q"), alt.Tooltip("exact:Q", title=_("rate"), format=".4~g")]
    return hover(rows, x=steps_axis(horizon), y=y, tooltip=tooltip)


def loss_figure(
    bands: Mapping[str, Band],
    *,
    ended: Mapping[str, Sequence[End]],
    best: str | None,
    horizon: int,
    styles: Mapping[str, LineStyle],
) -> AnyChart:
    """Smoothed training loss: mean over seeds, band from smallest to largest, a cross where a run diverged.

    The axis is logarithmic where losses span more than a factor of twenty.
    """
    rows = [row for name, band in bands.items() for row in _band_rows(name, band)]
    low, high = min(row["low"] for row in rows), max(row["mean"] for row in rows)
    log = low > 0 and high > 20 * low
    # A spike of one seed must not flatten everybody else's curve: the axis ends a little above the highest mean.
    top = high * 1.15 if high > 0 else 1.0

    def y(field: str) -> alt.Y:
        if log:
            return log_y(field, low=low, high=top, title=_("training loss, smoothed"))
        scale = alt.Scale(domain=[min(low, 0.0), top], nice=False)
        return alt.Y(f"{field}:Q", title=_("training loss, smoothed"), scale=scale, axis=alt.Axis(tickCount=6))

    crosses: list[Row] = [
        {"strategy": name, "step": end.step, "mean": min(end.loss, top), "seed": end.seed}
        for name, those in ended.items()
        for end in those
    ]
    return _banded(
        bands, crosses, styles, y=y, place=lambda loss: min(loss, top), best=best, horizon=horizon,
        tooltip=_tooltip("loss", ".4~g"),
    )  # fmt: skip


def score_figure(
    bands: Mapping[str, Band],
    *,
    best: str | None,
    horizon: int,
    styles: Mapping[str, LineStyle],
    measure: Measure = SHARE,
) -> AnyChart:
    """Validation score: mean over seeds, band from smallest to largest."""
    axis = ScoreAxis.of([float(score) for band in bands.values() for score in (*band.low, *band.high)], measure)

    def y(field: str) -> alt.Y:
        return axis.y(field, title=_("validation score{unit}", unit=axis.unit))

    return _banded(
        bands, [], styles, y=y, place=axis.place, best=best, horizon=horizon, tooltip=_tooltip("score", axis.form)
    )


def _some(rows: Sequence[Row]) -> list[Row]:
    """As many as have numbers under the pointer, the last one among them."""
    return [rows[at] for at in np.unique(np.linspace(0, len(rows) - 1, HOVER_POINTS).round().astype(np.int64))]


def _tooltip(what: str, form: str) -> list[alt.Tooltip]:
    names = {"mean": _("{what}, mean", what=message(what)), "low": _("lowest"), "high": _("highest")}
    numbers = [alt.Tooltip(f"{key}:Q", title=name, format=form) for key, name in names.items()]
    return [alt.Tooltip("strategy:N"), alt.Tooltip("step:Q"), *numbers, alt.Tooltip("n:Q", title=_("runs"))]


def _band_rows(name: str, band: Band) -> list[Row]:
    return [
        {"strategy": name, "step": int(step), "mean": float(mean), "low": float(low), "high": float(high), "n": int(n)}
        for step, mean, low, high, n in zip(band.steps, band.mean, band.low, band.high, band.n, strict=True)
    ]


def lines_chart(
    rows: Sequence[Row],
    names: Sequence[str],
    styles: Mapping[str, LineStyle],
    *,
    y: alt.Y,
    best: str | None,
    horizon: int,
) -> alt.Chart:
    """A line for each of `names`, from rows of strategy, step and rate; the best one's is the strongest.

    It fades by the selection that `picked` makes, which is added once to what is drawn.
    """
    lines: alt.Chart = alt.Chart(csv_data(rows)).mark_line(strokeJoin="round").encode(
        x=steps_axis(horizon), y=y, stroke=stroke(names, styles), strokeDash=dash(names, styles),
        strokeWidth=weight(best), strokeOpacity=faded(picked()), tooltip=alt.Tooltip("strategy:N"),
    )  # fmt: skip
    return lines


def _banded(
    bands: Mapping[str, Band],
    crosses: Sequence[Row],
    styles: Mapping[str, LineStyle],
    *,
    y: Callable[[str], alt.Y],
    place: Callable[[float], float],
    best: str | None,
    horizon: int,
    tooltip: Sequence[alt.Tooltip],
) -> AnyChart:
    """Lines and bands, and points to hover over, whose numbers are as they are; `place`: where one lies on the axis.

    Where there are many strategies, only the best one's band and those picked are shown.
    """
    names = list(bands)
    exact = {name: _band_rows(name, band) for name, band in bands.items()}
    placed = ("mean", "low", "high")
    rows = [row | {key: place(row[key]) for key in placed} for those in exact.values() for row in those]
    shown_at = [row | {"y": place(row["mean"])} for those in exact.values() for row in _some(those)]
    chosen = picked()
    x = steps_axis(horizon)
    alone = alt.selection_point(name=PICKED, fields=["strategy"], bind="legend", empty=False)
    resting = alt.value(0.14) if len(names) <= ALL_BANDS else alt.value(0)
    shown = (
        alt.when(alone).then(alt.value(0.22)).when(alt.datum.strategy == best).then(alt.value(0.16)).otherwise(resting)
    )
    area = alt.Chart(csv_data(rows)).mark_area().encode(
        x=x, y=y("low"), y2="high:Q", fill=fill(names, styles), fillOpacity=shown
    )  # fmt: skip
    line = alt.Chart(csv_data(rows)).mark_line(strokeJoin="round").encode(
        x=x, y=y("mean"), stroke=stroke(names, styles), strokeDash=dash(names, styles),
        strokeWidth=weight(best), strokeOpacity=faded(chosen), tooltip=alt.Tooltip("strategy:N"),
    )  # fmt: skip
    layers = [area, line.add_params(chosen)]
    if crosses:
        ended = [alt.Tooltip("strategy:N"), alt.Tooltip("seed:Q"), alt.Tooltip("step:Q", title=_("diverged at step"))]
        marks = alt.Chart(csv_data(crosses)).mark_point(shape="cross", angle=45, size=90, filled=True)
        layers.append(marks.encode(x=x, y=y("mean"), fill=fill(names, styles), opacity=faded(chosen), tooltip=ended))
    layers.append(hover(shown_at, x=x, y=y("y"), tooltip=tooltip))
    return alt.layer(*layers)


PANEL_HEIGHT = 210  # where there are several


def schedule_figure(
    curves: Mapping[str, np.ndarray],
    *,
    others: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    title: str | None = None,
    y_title: str | None = None,
    log: bool = False,
) -> AnyChart:
    """Schedules sampled at every step, before anything is trained.

    Args:
        curves: name -> the values of updates 0, 1, …, as `Curve.sample` gives them; at least one, all finite.
        others: hyper-parameter -> name -> values: one panel each, below the rate's. A name has the same style in all.
        log: whether the rate's axis is logarithmic; values that are not positive are left out.

    >>> schedule_figure({"linear": np.array([1.0, 0.5, 0.0])}).to_dict()["title"]["text"]
    'The schedules'
    """
    below = others or {}
    every = [curves, *below.values()]
    names = list(dict.fromkeys(name for lines in every for name in lines))
    horizon = max(len(values) for lines in every for values in lines.values())
    styles = line_styles(names)
    first = _panel(
        curves, names, styles, y_title=y_title or _("multiplier of the base rate"), log=log, horizon=horizon
    ).add_params(picked())
    chart: AnyChart = alt.layer(first, hover_rates(curves, y=first.encoding.y, horizon=horizon, positive=log))
    if below:
        titles = {_("multiplier of {name}", name=key): lines for key, lines in below.items()}
        rest = [_panel(lines, names, styles, y_title=y, log=False, horizon=horizon) for y, lines in titles.items()]
        panels = [panel.properties(width=WIDTH, height=PANEL_HEIGHT) for panel in (first, *rest)]
        for panel in panels[:-1]:
            panel.encoding.x.title = None  # written once, under the lowest panel
        chart = alt.vconcat(*panels, spacing=18).resolve_scale(stroke="shared", strokeDash="shared")
    subtitle = message("over {steps:,} steps", steps=horizon)
    return finished(chart, title=title or message("The schedules"), subtitle=subtitle, names=names)


def _panel(
    curves: Mapping[str, np.ndarray],
    names: Sequence[str],
    styles: Mapping[str, LineStyle],
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
