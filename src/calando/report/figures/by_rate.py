"""Lines against the rate: how much its choice matters, and what a range test measured.

sensitivity    validation score of each trial, one line a strategy
range test     every repeat, their median and band, the rates by each rule, and from where on the loss is lost
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np

from calando.analysis.range_curves import RangeCurves, Rule
from calando.analysis.results import RateTrial
from calando.analysis.suggest import Suggestion
from calando.language import _, joined, message, translated
from calando.records.measure import SHARE, Measure
from calando.report.figures.scales import ScoreAxis, log_x
from calando.report.figures.theme import AnyChart, Row, csv_data, dash, faded, fill, finished, picked, stroke, weight
from calando.report.formatting import rate as rate_text
from calando.report.palette import COLOURS, NEUTRAL, WORSE, LineStyle

__all__ = ["range_figure", "sensitivity_figure"]


def sensitivity_figure(
    trials: Mapping[str, Sequence[RateTrial]],
    *,
    chosen: Mapping[str, float | None],
    best: str | None,
    styles: Mapping[str, LineStyle],
    measure: Measure = SHARE,
) -> AnyChart:
    """Trials at the first seed: a ring round the chosen rate, a cross at the bottom where a trial diverged.

    Args:
        trials: strategy name -> its trials, ascending in rate; at least one in all.
        chosen: strategy name -> the settled rate.
        best: whose line is drawn strongest.
        styles: by name.
    """
    axis = ScoreAxis.of(
        [trial.score for those in trials.values() for trial in those if math.isfinite(trial.score)] or [0.0], measure
    )
    rows: list[Row] = []
    for name, those in trials.items():
        for trial in those:
            failed = trial.outcome == "diverged"
            rows.append(
                {
                    "strategy": name,
                    "lr": trial.lr,
                    "y": axis.floor if failed else axis.place(trial.score),
                    "score": trial.score if math.isfinite(trial.score) else math.nan,
                    "outcome": message(trial.outcome),
                    "kind": "diverged" if failed else "chosen" if trial.lr == chosen[name] else "tried",
                }
            )
    names = list(trials)
    selection = picked()
    tooltip = [
        alt.Tooltip("strategy:N"),
        alt.Tooltip("lr:Q", title=_("rate"), format=".3g"),
        alt.Tooltip("score:Q", title=_("validation score"), format=axis.form),
        alt.Tooltip("outcome:N"),
    ]
    rates = [row["lr"] for row in rows]
    rate = log_x("lr", low=min(rates) / 1.5, high=max(rates) * 1.5, title=_("base learning rate"))

    def part(kinds: Sequence[str]) -> alt.Chart:
        rows_of = [row for row in rows if row["kind"] in kinds]
        return alt.Chart(csv_data(rows_of)).encode(
            x=rate, y=axis.y("y", title=_("validation score{unit}", unit=axis.unit))
        )

    kinds = {row["kind"] for row in rows}
    line = part(("tried", "chosen", "diverged")).mark_line(strokeJoin="round")
    layers = [
        line.encode(
            stroke=stroke(names, styles), strokeDash=dash(names, styles), strokeWidth=weight(best),
            strokeOpacity=faded(selection), tooltip=alt.Tooltip("strategy:N"),
        ).add_params(selection)
    ]  # fmt: skip
    filled = {"fill": fill(names, styles), "opacity": faded(selection), "tooltip": tooltip}
    if kinds & {"tried", "chosen"}:
        layers.append(part(("tried", "chosen")).mark_point(filled=True, size=34).encode(**filled))
    if "chosen" in kinds:
        ring = part(("chosen",)).mark_point(filled=False, size=150, strokeWidth=2.4)
        layers.append(ring.encode(stroke=stroke(names, styles), opacity=faded(selection), tooltip=tooltip))
    if "diverged" in kinds:
        layers.append(part(("diverged",)).mark_point(shape="cross", angle=45, size=90, filled=True).encode(**filled))
    return alt.layer(*layers)


ROOM = 0.35  # of the fall, above the start: an explosion leaves the figure there
BAND, MEDIAN, REPEATS = "band of the repeats", "median, smoothed", "each repeat"
STYLES = {
    MEDIAN: LineStyle(COLOURS[0]),
    REPEATS: LineStyle("#a9c0e6"),
    "decayed": LineStyle(COLOURS[2]),
    "constant": LineStyle(COLOURS[4]),
    "steepest": LineStyle(COLOURS[1], (2, 3)),
    "valley": LineStyle(COLOURS[6], (2, 3)),
    "minimum / 10": LineStyle(COLOURS[5], (2, 3)),
    "largest stable": LineStyle(NEUTRAL, (7, 3)),
    "half is lost": LineStyle(WORSE, (7, 3)),
}


def range_figure(curves: RangeCurves, found: Suggestion, *, title: str | None = None) -> AnyChart:
    """Loss against rate on a logarithmic axis, with each suggestion as a vertical line.

    Recommended rates are solid lines, with the interval from the repeats shaded; the rates by each rule and the point
    of divergence are dashed. Losses far above the initial one are cut off at the top. If the test is not reliable, the
    subtitle gives the reason.
    """
    low, high = _window(curves, found)
    marks = found.marks
    names = [MEDIAN, REPEATS, *marks]
    labels = {name: _label(name, marks.get(name)) for name in names}
    styles = {labels[name]: STYLES[name] for name in names}
    first = float(curves.rates[0])
    x = log_x("rate", low=first, high=float(curves.rates[-1]), title=_("learning rate"))
    y = alt.Y(
        "loss:Q",
        title=_("training loss before the update"),
        scale=alt.Scale(domain=[low, high], nice=False, zero=False),
        axis=alt.Axis(format="~g", tickCount=6),
    )
    lines = {"stroke": stroke(list(styles), styles), "strokeDash": dash(list(styles), styles)}

    band = alt.Chart(csv_data(_band(found, top=high))).mark_area(color=COLOURS[0], opacity=0.13, clip=True)
    raw = alt.Chart(csv_data(_repeats(curves, labels[REPEATS], top=high))).mark_line(strokeWidth=0.8, clip=True)
    median = alt.Chart(csv_data(_median(found, labels[MEDIAN], top=high))).mark_line(strokeWidth=2.6, clip=True)
    layers = [
        band.encode(x=x, y=y, y2="top:Q"),
        raw.encode(x=x, y=y, detail="repeat:N", tooltip=["repeat:N", _tooltip("rate"), _tooltip("loss")], **lines),
        median.encode(x=x, y=y, tooltip=[_tooltip("rate"), _tooltip("loss")], **lines),
    ]
    intervals = [
        alt.Chart(csv_data([{"rate": rule.low, "to": rule.high}]))
        .mark_rect(opacity=0.16, clip=True, color=STYLES[name].colour)
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
            alt.Chart(csv_data(rows))
            .mark_rule(clip=True)
            .encode(x=x, strokeWidth=width, tooltip=["strategy:N", _tooltip("rate")], **lines)
        )
    if not found.reliable:
        layers.append(_warning(first, high))
    return finished(
        alt.layer(*layers),
        title=title or message("Learning-rate range test"),
        subtitle=_subtitle(curves, found),
        names=list(styles),
    )


def _label(name: str, rate: float | None) -> str:
    known = {"decayed": message("for a decayed schedule"), "constant": message("for a constant rate")}
    shown = known.get(name, message(name))
    return translated(shown) if rate is None else _("{name}: {rate}", name=shown, rate=rate_text(rate))


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
    text = alt.Chart(csv_data([{"rate": rate, "loss": loss, "text": message("not reliable")}])).mark_text(
        align="left", baseline="top", dx=8, dy=6, fontSize=15, fontWeight=600, color=WORSE
    )
    made: alt.Chart = text.encode(x="rate:Q", y="loss:Q", text="text:N")
    return made


def _subtitle(curves: RangeCurves, found: Suggestion) -> str:
    repeats, n = curves.losses.shape
    rule: Rule = found.decayed
    parts = [
        message(
            "{count} repeat of up to {n} updates" if repeats == 1 else "{count} repeats of up to {n} updates",
            count=repeats,
            n=n,
        ),
        message("no rate can be recommended")
        if rule.rate is None
        else message(
            "decayed schedule: {rate} [{low}, {high}]",
            rate=rate_text(rule.rate),
            low=rate_text(rule.low),
            high=rate_text(rule.high),
        ),
    ]
    if not found.reliable:
        parts.append(message("not reliable: {reasons}", reasons=joined("{one}; {other}", found.reasons)))
    return joined("{one}; {other}", parts)


def _tooltip(field: str) -> alt.Tooltip:
    return alt.Tooltip(f"{field}:Q", format=".3g")
