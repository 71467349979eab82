"""A range test: every repeat, their median and band, what the rules say, and from where on the loss is lost."""

from __future__ import annotations

import altair as alt
import numpy as np

from calando.analysis.range_curves import RangeCurves, Rule
from calando.analysis.suggest import Suggestion
from calando.report.figures.theme import (
    AnyChart,
    Row,
    dash,
    data,
    finished,
    powers_of_ten,
    stroke,
)
from calando.report.numbers import rate as rate_text
from calando.report.palette import COLOURS, NEUTRAL, WORSE, Look

__all__ = ["range_figure"]

ROOM = 0.35  # of the fall, above the start: an explosion leaves the figure there
BAND, MEDIAN, REPEATS = "band of the repeats", "median, smoothed", "each repeat"
LOOKS = {
    MEDIAN: Look(COLOURS[0], (), "circle"),
    REPEATS: Look("#a9c0e6", (), "circle"),
    "decayed": Look(COLOURS[2], (), "circle"),
    "constant": Look(COLOURS[4], (), "circle"),
    "steepest": Look(COLOURS[1], (2, 3), "circle"),
    "valley": Look(COLOURS[6], (2, 3), "circle"),
    "minimum / 10": Look(COLOURS[5], (2, 3), "circle"),
    "largest stable": Look(NEUTRAL, (7, 3), "circle"),
    "half is lost": Look(WORSE, (7, 3), "circle"),
}


def range_figure(curves: RangeCurves, found: Suggestion, *, title: str = "Learning-rate range test") -> AnyChart:
    """Loss against rate on a logarithmic axis, and every suggestion as an upright line.

    The recommended rates are solid, with the interval from the repeats shaded; rules and the point of divergence are
    dashed. What lies far above the loss of the start is cut: an explosion leaves the figure at its top. Where the
    test cannot be relied on, the subtitle says why.
    """
    low, high = _window(curves, found)
    marks = _marks(found)
    names = [MEDIAN, REPEATS, *marks]
    labels = {name: _label(name, marks.get(name)) for name in names}
    styles = {labels[name]: LOOKS[name] for name in names}
    ends = float(curves.rates[0]), float(curves.rates[-1])
    x = alt.X(
        "rate:Q",
        title="learning rate",
        scale=alt.Scale(type="log", domain=list(ends), nice=False),
        axis=powers_of_ten(*ends),
    )
    y = alt.Y(
        "loss:Q",
        title="training loss before the update",
        scale=alt.Scale(domain=[low, high], nice=False, zero=False),
        axis=alt.Axis(format="~g", tickCount=6),
    )
    looks = {"stroke": stroke(list(styles), styles), "strokeDash": dash(list(styles), styles)}

    band = alt.Chart(data(_band(found, top=high))).mark_area(color=COLOURS[0], opacity=0.13, clip=True)
    raw = alt.Chart(data(_repeats(curves, labels[REPEATS], top=high))).mark_line(strokeWidth=0.8, clip=True)
    median = alt.Chart(data(_median(found, labels[MEDIAN], top=high))).mark_line(strokeWidth=2.6, clip=True)
    layers = [
        band.encode(x=x, y=y, y2="top:Q"),
        raw.encode(x=x, y=y, detail="repeat:N", tooltip=["repeat:N", _said("rate"), _said("loss")], **looks),
        median.encode(x=x, y=y, tooltip=[_said("rate"), _said("loss")], **looks),
    ]
    intervals = [
        alt.Chart(data([{"rate": rule.low, "to": rule.high}]))
        .mark_rect(opacity=0.16, clip=True, color=LOOKS[name].colour)
        .encode(x=x, x2="to:Q")
        for name, rule in (("constant", found.constant), ("decayed", found.decayed))
        if name in marks and rule.high > rule.low
    ]
    layers = [*intervals, *layers]
    if marks:
        rows: list[Row] = [{"strategy": labels[name], "rate": at} for name, at in marks.items()]
        strong = alt.FieldOneOfPredicate(field="strategy", oneOf=[labels["decayed"]] if "decayed" in marks else [])
        width = alt.when(strong).then(alt.value(2.6)).otherwise(alt.value(1.5))
        layers.append(
            alt.Chart(data(rows))
            .mark_rule(clip=True)
            .encode(x=x, strokeWidth=width, tooltip=["strategy:N", _said("rate")], **looks)
        )
    if not found.reliable:
        layers.append(_warning(ends[0], high))
    return finished(alt.layer(*layers), title=title, subtitle=_subtitle(curves, found), names=list(styles))


def _marks(found: Suggestion) -> dict[str, float]:
    """Name -> the rate of its upright line, in the order of the legend."""
    said: dict[str, float | None] = {"decayed": found.decayed.rate, "constant": found.constant.rate}
    # the valley's middle is what is recommended where nothing is usual
    said |= {name: rule.rate for name, rule in found.rules.items() if rule.rate != found.decayed.rate}
    said["half is lost"] = found.diverged_at
    return {name: rate for name, rate in said.items() if rate is not None}


def _label(name: str, rate: float | None) -> str:
    shown = {"decayed": "for a decayed schedule", "constant": "for a constant rate"}.get(name, name)
    return shown if rate is None else f"{shown}: {rate_text(rate)}"


def _window(curves: RangeCurves, found: Suggestion) -> tuple[float, float]:
    """The losses that the figure has room for."""
    first = curves.losses[:, : max(3, len(curves.rates) // 10)]
    first = first[np.isfinite(first)]
    if not len(first):
        return 0.0, 1.0
    low = float(np.fmin.reduce(found.smoothed.low, initial=float(first.min())))
    high = float(first.max())
    room = ROOM * (high - low) or 0.1 * max(abs(high), 1.0)
    return low - 0.15 * room, high + room


def _band(found: Suggestion, *, top: float) -> list[Row]:
    smoothed = found.smoothed
    return [
        {"rate": float(rate), "loss": min(float(low), top), "top": min(float(high), top)}
        for rate, low, high in zip(smoothed.rates, smoothed.low, smoothed.high, strict=True)
        if np.isfinite(low) and np.isfinite(high)
    ]


def _median(found: Suggestion, label: str, *, top: float) -> list[Row]:
    smoothed = found.smoothed
    return [
        {"strategy": label, "rate": float(rate), "loss": min(float(loss), top)}
        for rate, loss in zip(smoothed.rates, smoothed.median, strict=True)
        if np.isfinite(loss)
    ]


def _repeats(curves: RangeCurves, label: str, *, top: float) -> list[Row]:
    return [
        {"strategy": label, "repeat": repeat + 1, "rate": float(rate), "loss": min(float(loss), 2 * abs(top) + top)}
        for repeat, row in enumerate(curves.losses)
        for rate, loss in zip(curves.rates, row, strict=True)
        if np.isfinite(loss)
    ]


def _warning(rate: float, loss: float) -> alt.Chart:
    """So that a picture that travels without its subtitle is not believed."""
    text = alt.Chart(data([{"rate": rate, "loss": loss, "said": "not reliable"}])).mark_text(
        align="left", baseline="top", dx=8, dy=6, fontSize=15, fontWeight=600, color=WORSE
    )
    made: alt.Chart = text.encode(x="rate:Q", y="loss:Q", text="said:N")
    return made


def _subtitle(curves: RangeCurves, found: Suggestion) -> str:
    repeats, n = curves.losses.shape
    rule: Rule = found.decayed
    said = (
        "no rate can be recommended"
        if rule.rate is None
        else f"decayed schedule: {rate_text(rule.rate)} [{rate_text(rule.low)}, {rate_text(rule.high)}]"
    )
    why = "" if found.reliable else f"; not reliable: {'; '.join(found.reasons)}"
    return f"{repeats} {'repeat' if repeats == 1 else 'repeats'} of up to {n} updates; {said}{why}"


def _said(field: str) -> alt.Tooltip:
    return alt.Tooltip(f"{field}:Q", format=".3g")
