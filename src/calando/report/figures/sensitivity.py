"""How much the choice of the rate matters: validation score against rate, one line a strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

from calando.analysis.results import Trial
from calando.report.figures.score_axis import ScoreAxis
from calando.report.figures.theme import (
    AnyChart,
    Row,
    dash,
    data,
    faded,
    fill,
    finished,
    picked,
    powers_of_ten,
    stroke,
    weight,
)
from calando.report.palette import Look

__all__ = ["sensitivity_figure"]


def sensitivity_figure(
    trials: Mapping[str, Sequence[Trial]],
    *,
    chosen: Mapping[str, float | None],
    best: str | None,
    styles: Mapping[str, Look],
    title: str,
    subtitle: str,
) -> AnyChart:
    """Trials at the first seed: a ring round the chosen rate, a cross at the bottom where a trial diverged.

    Args:
        trials: strategy name -> its trials, ascending in rate; at least one in all.
        chosen: strategy name -> the settled rate.
        best: whose line is drawn strongest.
        styles: a look for each name.
    """
    axis = ScoreAxis.of([trial.score for those in trials.values() for trial in those])
    rows: list[Row] = []
    for name, those in trials.items():
        for trial in those:
            failed = trial.outcome == "diverged"
            rows.append(
                {
                    "strategy": name,
                    "lr": trial.lr,
                    "y": axis.floor if failed else axis.place(trial.score),
                    "score": trial.score,
                    "outcome": trial.outcome,
                    "kind": "diverged" if failed else "chosen" if trial.lr == chosen[name] else "tried",
                }
            )
    names = list(trials)
    selection = picked()
    said = [
        alt.Tooltip("strategy:N"),
        alt.Tooltip("lr:Q", title="rate", format=".3g"),
        alt.Tooltip("score:Q", title="validation score", format=".2%"),
        alt.Tooltip("outcome:N"),
    ]
    rates = [row["lr"] for row in rows]
    low, high = min(rates) / 1.5, max(rates) * 1.5
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    rate = alt.X("lr:Q", title="base learning rate", scale=scale, axis=powers_of_ten(low, high))

    def part(kinds: Sequence[str]) -> alt.Chart:
        rows_of = [row for row in rows if row["kind"] in kinds]
        return alt.Chart(data(rows_of)).encode(x=rate, y=axis.y("y", title="validation score"))

    kinds = {row["kind"] for row in rows}
    line = part(("tried", "chosen", "diverged")).mark_line(strokeJoin="round")
    layers = [
        line.encode(
            stroke=stroke(names, styles), strokeDash=dash(names, styles), strokeWidth=weight(best),
            strokeOpacity=faded(selection), tooltip=alt.Tooltip("strategy:N"),
        ).add_params(selection)
    ]  # fmt: skip
    filled = {"fill": fill(names, styles), "opacity": faded(selection), "tooltip": said}
    if kinds & {"tried", "chosen"}:
        layers.append(part(("tried", "chosen")).mark_point(filled=True, size=34).encode(**filled))
    if "chosen" in kinds:
        ring = part(("chosen",)).mark_point(filled=False, size=150, strokeWidth=2.4)
        layers.append(ring.encode(stroke=stroke(names, styles), opacity=faded(selection), tooltip=said))
    if "diverged" in kinds:
        layers.append(part(("diverged",)).mark_point(shape="cross", angle=45, size=90, filled=True).encode(**filled))
    return finished(alt.layer(*layers), title=title, subtitle=subtitle, names=names)
