"""The race of a tuning: the losses of all arms on one step axis, the dropped ones ending, and their rates."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import numpy as np

from calando.analysis.race import Settled
from calando.records.tuning import TuneSpec
from calando.report.figures.scales import log_y
from calando.report.figures.theme import WIDTH, AnyChart, Row, csv_data, styled
from calando.report.formatting import rate
from calando.report.palette import line_styles
from calando.report.series import smoothed

__all__ = ["race_figure"]

POINTS = 600
ENDS = {"won": "the answer", "dead": "dead", "slow": "slow", "lost": "lost", "unpaid": "budget ended", "races": ""}


def race_figure(spec: TuneSpec, settled: Settled, traces: Mapping[float, np.ndarray]) -> AnyChart:
    """Smoothed training losses of every arm, a mark where each was dropped; a line where arms were judged.

    Args:
        traces: rate -> losses of each update.
    """
    names = {arm.rate: f"{rate(arm.rate)} ({ENDS[arm.ending]})" for arm in settled.arms}
    order = [names[arm.rate] for arm in sorted(settled.arms, key=lambda arm: -arm.rate)]
    rows: list[Row] = []
    ends: list[Row] = []
    for arm in settled.arms:
        losses = traces[arm.rate]
        calm = smoothed(losses, half=max(1, spec.steps // 150)) if len(losses) else losses
        places = np.unique(np.linspace(0, max(0, len(losses) - 1), POINTS).round().astype(np.int64))[: len(losses)]
        found: list[Row] = [
            {"step": int(at), "loss": float(calm[at]), "arm": names[arm.rate]} for at in places if np.isfinite(calm[at])
        ]
        rows += found
        if found and arm.ending != "won":
            ends.append({**found[-1], "why": f"{rate(arm.rate)}: {arm.why}"})
    known = [float(row["loss"]) for row in rows] or [1.0]
    first = [float(traces[arm.rate][0]) for arm in settled.arms if len(traces[arm.rate])]
    high = min(max(known), 2 * max([one for one in first if np.isfinite(one)], default=1.0))
    shown = [row for row in rows if float(row["loss"]) <= high]
    low = min(known)
    if low > 0 and high > 20 * low:
        y = log_y("loss", low=low, high=high * 1.1, title="training loss")
    else:
        y = alt.Y("loss:Q", title="training loss", scale=alt.Scale(zero=False), axis=alt.Axis(format="~r", tickCount=5))
    styles = line_styles(order)
    scale = alt.Scale(domain=order, range=[styles[name].colour for name in order])
    x = alt.X(
        "step:Q",
        title="step (updates)",
        scale=alt.Scale(domain=[0, spec.steps], nice=False),
        axis=alt.Axis(grid=False, tickCount=8, tickMinStep=1),
    )
    colour = alt.Color("arm:N", scale=scale, sort=order, legend=alt.Legend(title="rate", orient="top", columns=4))
    layers: list[AnyChart] = [alt.Chart(csv_data(shown)).mark_line(strokeWidth=2).encode(x=x, y=y, color=colour)]
    if crosses := [row for row in ends if float(row["loss"]) <= high]:
        layers.append(
            alt.Chart(csv_data(crosses))
            .mark_point(shape="cross", size=70, angle=45, filled=True, opacity=1)
            .encode(x=x, y=y, color=colour, tooltip=["why:N", "step:Q"])
        )
    judged = alt.Chart(csv_data([{"step": settled.judged}])).mark_rule(color="#6b7280", strokeDash=[3, 3])
    layers.append(judged.encode(x=x))
    return styled(
        alt.layer(*layers).properties(width=WIDTH, height=300),
        title=f"Race of {len(settled.arms)} rates of {spec.strategy.method} on {spec.workload.title}",
        subtitle=f"one seed ({spec.seed}), same weights and batches; {settled.charged / spec.steps:.2f} runs of "
        f"{spec.steps:,} updates in all; dashed: arms are judged",
    )
