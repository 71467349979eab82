"""How much the choice of the rate matters: validation score against rate, one line a strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from calando.analysis.results import Trial
from calando.report.figures.score_axis import ScoreAxis
from calando.report.figures.theme import Row, colour, dash, data, faded, finished, picked, powers_of_ten, weight
from calando.report.palette import Look

if TYPE_CHECKING:
    import altair as alt

__all__ = ["sensitivity_figure"]


def sensitivity_figure(
    trials: Mapping[str, Sequence[Trial]],
    *,
    chosen: Mapping[str, float | None],
    best: str | None,
    styles: Mapping[str, Look],
    title: str,
    subtitle: str,
) -> alt.Chart | alt.LayerChart:
    """Trials at the first seed: a ring round the chosen rate, a cross at the bottom where a trial diverged.

    Args:
        trials: strategy name -> its trials, ascending in rate; at least one in all.
        chosen: strategy name -> the settled rate.
        best: whose line is drawn strongest.
        styles: a look for each name.
    """
    import altair as alt

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
        return alt.Chart(data([row for row in rows if row["kind"] in kinds])).encode(
            x=rate, y=axis.y("y", title="validation score"), color=colour(names, styles, key=False)
        )

    layers: list[alt.Chart] = [
        part(["tried", "chosen", "diverged"])
        .mark_line(strokeJoin="round")
        .encode(
            color=colour(names, styles), strokeDash=dash(names, styles), strokeWidth=weight(best),
            strokeOpacity=faded(selection), tooltip=alt.Tooltip("strategy:N"),
        )
        .add_params(selection),
        part(["tried"]).mark_point(filled=True, size=30).encode(opacity=faded(selection), tooltip=said),
        part(["chosen"]).mark_point(filled=False, size=150, strokeWidth=2.4).encode(opacity=faded(selection), tooltip=said),
        part(["chosen"]).mark_point(filled=True, size=45).encode(opacity=faded(selection), tooltip=said),
        part(["diverged"]).mark_point(shape="cross", angle=45, size=90, filled=True).encode(opacity=faded(selection), tooltip=said),
    ]
    return finished(alt.layer(*layers), title=title, subtitle=subtitle)
