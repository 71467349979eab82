"""One run: its rate, its training loss, and its validation, on one step axis."""

from __future__ import annotations

import altair as alt
import numpy as np

from calando.language import _, joined, message
from calando.records.record import RunRecord
from calando.report.figures.scales import ScoreAxis, log_y
from calando.report.figures.theme import WIDTH, AnyChart, Row, csv_data, styled, worded
from calando.report.formatting import rate
from calando.report.palette import COLOURS, WORSE
from calando.report.series import smoothed, thinned

__all__ = ["training_figure"]


def training_figure(record: RunRecord) -> AnyChart:
    """Rate, loss (each step pale, smoothed strong; validation as dots) and validation score, one below the other.

    It works for a run of any outcome and length.
    """
    spec = record.spec
    chance = ""
    if record.outcome == "diverged":
        chance = message(" (chance, since it diverged)")
    elif record.at_chance:
        chance = message(" (chance)")
    end = {
        "finished": "",
        "died": message("; its loss ended at chance"),
        "diverged": message("; diverged after step {step:,}", step=record.steps_done),
    }
    about = joined("{one}, {other}", (spec.workload.heading, *spec.workload.facts))
    score = spec.workload.measure.amount(record.score, decimals=2)
    return styled(
        alt.vconcat(*_panels(record), spacing=18).resolve_legend(color="independent"),
        title=message(
            "{strategy} on {title}{end}",
            strategy=spec.strategy.name or spec.strategy.method,
            title=spec.workload.title,
            end=end[record.outcome],
        ),
        subtitle=message(
            "{about}, base rate {rate}, {steps:,} steps, seed {seed} (n = 1); validation {score}{chance}; run {run}",
            about=about,
            rate=rate(spec.lr),
            steps=spec.steps,
            seed=spec.seed,
            score=score,
            chance=chance,
            run=spec.digest(),
        ),
    )


def _panels(record: RunRecord) -> list[AnyChart]:
    """The rate, the loss, and the score where it was evaluated."""
    horizon = record.spec.steps
    rates: list[Row] = [{"step": int(at), "rate": float(record.rates[at])} for at in _kept(record.rates)]
    line = alt.Chart(csv_data(rates)).mark_line(color=COLOURS[0], strokeWidth=2).encode(
        x=_x(horizon, title=None), y=alt.Y("rate:Q", title=_("rate"), axis=alt.Axis(format="~r", tickCount=4))
    )  # fmt: skip
    events: list[Row] = [{"step": event.step, "kind": event.kind, "text": event.text} for event in record.events]
    marks = alt.Chart(csv_data(events)).mark_rule(color=COLOURS[1], strokeWidth=1.5, strokeDash=[3, 3]).encode(
        x=_x(horizon, title=None), tooltip=["step:Q", "kind:N", "text:N"]
    )  # fmt: skip
    panels: list[AnyChart] = [alt.layer(line, marks) if events else line, _loss_panel(record)]
    if record.evaluations:
        axis = ScoreAxis.of([look.score for look in record.evaluations], record.spec.workload.measure)
        scores: list[Row] = [{"step": look.step, "y": axis.place(look.score)} for look in record.evaluations]
        panels.append(
            alt.Chart(csv_data(scores))
            .mark_line(color=COLOURS[2], strokeWidth=2, point=alt.OverlayMarkDef(color=COLOURS[2], size=28))
            .encode(x=_x(horizon, title=_("step (updates)")), y=axis.y("y", title=_("validation score")))
        )
    return [
        panel.properties(width=WIDTH, height=height) for panel, height in zip(panels, (110, 220, 150), strict=False)
    ]


def _kept(rates: np.ndarray) -> np.ndarray:
    return thinned(rates) if len(rates) else np.array([], dtype=np.int64)


def _loss_panel(record: RunRecord) -> AnyChart:
    horizon = record.spec.steps
    at = np.unique(np.linspace(0, max(0, record.steps_done - 1), 800).round().astype(np.int64))[: record.steps_done]
    calm = smoothed(record.losses, half=max(1, horizon // 100))
    kinds = ["each step", "smoothed", "validation"]
    rows: list[Row] = [
        {"step": int(step), "loss": float(values[step]), "kind": kind}
        for kind, values in zip(kinds, (record.losses, calm), strict=False)
        for step in at
        if np.isfinite(values[step])
    ]
    rows += [
        {"step": look.step, "loss": look.loss, "kind": "validation"}
        for look in record.evaluations
        if np.isfinite(look.loss)
    ]
    known = [row["loss"] for row in rows] or [1.0]
    low, high = min(known), max(known)
    if low > 0 and high > 20 * low:
        y = log_y("loss", low=low, high=high * 1.1, title=_("loss"))
    else:
        y = alt.Y("loss:Q", title=_("loss"), scale=alt.Scale(zero=False), axis=alt.Axis(format="~r", tickCount=5))
    scale = alt.Scale(domain=kinds, range=["#a9c0e6", COLOURS[0], COLOURS[2]])
    base = alt.Chart(csv_data(rows)).encode(
        x=_x(horizon, title=None),
        y=y,
        color=alt.Color(
            "kind:N",
            scale=scale,
            legend=alt.Legend(title=None, orient="top-right", offset=4, symbolOpacity=1, labelExpr=worded(kinds)),
        ),
    )
    layers = [
        base.transform_filter("datum.kind == 'each step'").mark_line(strokeWidth=0.8),
        base.transform_filter("datum.kind == 'smoothed'").mark_line(strokeWidth=2.2),
        base.transform_filter("datum.kind == 'validation'").mark_point(filled=True, size=32, opacity=1),
    ]
    if record.outcome == "diverged":
        gone = alt.Chart(csv_data([{"step": record.steps_done}])).mark_rule(color=WORSE, strokeWidth=2)
        layers.append(gone.encode(x=_x(horizon, title=None)))
    return alt.layer(*layers)


def _x(horizon: int, *, title: str | None) -> alt.X:
    """The step axis, as long as the run was planned, labelled under the lowest panel only."""
    axis = alt.Axis(grid=False, labels=title is not None, tickCount=8, tickMinStep=1)
    return alt.X("step:Q", title=title, scale=alt.Scale(domain=[0, horizon], nice=False), axis=axis)
