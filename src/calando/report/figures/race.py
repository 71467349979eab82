"""The race of a tuning: the losses of all arms on one step axis, the dropped ones ending, and their rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import altair as alt
import numpy as np

from calando.analysis.ride import Settled
from calando.language import _, message
from calando.records.tuning import TuneSpec
from calando.report.figures.scales import log_y
from calando.report.figures.theme import WIDTH, AnyChart, Row, csv_data, styled
from calando.report.figures.whole_runs import whole_runs_figure
from calando.report.formatting import rate
from calando.report.palette import line_styles
from calando.report.series import smoothed

__all__ = ["arms_figure", "race_figure"]

POINTS = 400
ENDS = {
    "won": message("the answer"),
    "dead": message("dead"),
    "slow": message("slow"),
    "lost": message("lost"),
    "unpaid": message("budget ended"),
    "races": "",
}


def race_figure(spec: TuneSpec, settled: Settled, traces: Mapping[float, np.ndarray]) -> AnyChart:
    """The race and the final run of a tuning, see `arms_figure`; for whole runs, `whole_runs_figure`.

    Args:
        traces: rate -> losses of each update.
    """
    if spec.whole:
        return whole_runs_figure(spec, settled)
    name = message("{method} on {title}", method=spec.strategy.method, title=spec.workload.title)
    # Runs with other hyper-parameters come after the race, at rates that may be the same.
    settled = replace(settled, arms=tuple(arm for arm in settled.arms if not arm.also))
    return arms_figure(name, settled, traces, seed=spec.seed, steps=spec.steps)


def arms_figure(name: str, settled: Settled, traces: Mapping[float, np.ndarray], *, seed: int, steps: int) -> AnyChart:
    """Smoothed training loss of every arm, with a mark where it was dropped and a line where arms were judged.

    Args:
        name: what was raced.
        traces: rate -> losses of each update.
        steps: updates of a whole run.
    """
    names = {arm.rate: _("{rate} ({end})", rate=rate(arm.rate), end=ENDS[arm.ending]) for arm in settled.arms}
    order = [names[arm.rate] for arm in sorted(settled.arms, key=lambda arm: -arm.rate)]
    # The race takes a tenth of the run: it has a panel of its own.
    raced = max([settled.judged, *(arm.step for arm in settled.arms if arm.ending != "won")])
    made = max(len(losses) for losses in traces.values())
    ends = {message("the race"): min(steps, round(1.1 * raced)), message("the run"): steps}
    panels = [
        _panel(settled, traces, names, order, until=until, title=title)
        for title, until in ends.items()
        if title == "the race" or made > 1.2 * raced
    ]
    return styled(
        alt.vconcat(*panels, spacing=24).resolve_scale(x="independent", y="independent"),
        title=message("Race of {count} rates of {name}", count=len(settled.arms), name=name),
        subtitle=message(
            "training loss, smoothed; one seed ({seed}), same weights and batches; {runs:.2f} runs of {steps:,} "
            "updates "
            "in all; dashed: arms are judged",
            seed=seed,
            runs=settled.charged / steps,
            steps=steps,
        ),
    )


def _panel(
    settled: Settled,
    traces: Mapping[float, np.ndarray],
    names: Mapping[float, str],
    order: Sequence[str],
    *,
    until: int,
    title: str,
) -> AnyChart:
    rows: list[Row] = []
    ends: list[Row] = []
    first: list[float] = []
    for arm in settled.arms:
        losses = traces[arm.rate][:until]
        calm = smoothed(losses, half=max(1, until // 60)) if len(losses) else losses
        places = np.unique(np.linspace(0, max(0, len(losses) - 1), POINTS).round().astype(np.int64))[: len(losses)]
        found: list[Row] = [
            {"step": int(at), "loss": float(calm[at]), "arm": names[arm.rate]} for at in places if np.isfinite(calm[at])
        ]
        rows += found
        first += [float(row["loss"]) for row in found[:1]]
        if found and arm.ending != "won":
            ends.append({**found[-1], "why": message("{rate}: {why}", rate=rate(arm.rate), why=arm.why)})
    known = [float(row["loss"]) for row in rows] or [1.0]
    low, high = min(known), min(max(known), 1.5 * max(first, default=1.0))
    if low > 0 and high > 20 * low:
        y = log_y("loss", low=low, high=high * 1.1, title=_("loss: {panel}", panel=title))
    else:
        # An arm that explodes leaves the drawing.
        scale = alt.Scale(zero=False, domain=[low, high], clamp=False)
        y = alt.Y("loss:Q", title=_("loss: {panel}", panel=title), scale=scale, axis=alt.Axis(format="~r", tickCount=5))
    styles = line_styles(order)
    colours = alt.Scale(domain=list(order), range=[styles[name].colour for name in order])
    x = alt.X(
        "step:Q",
        title=_("step (updates)"),
        scale=alt.Scale(domain=[0, until], nice=False),
        axis=alt.Axis(grid=False, tickCount=8, tickMinStep=1),
    )
    legend = alt.Legend(title=_("rate"), orient="top", columns=4)
    colour = alt.Color("arm:N", scale=colours, sort=list(order), legend=legend)
    layers: list[AnyChart] = [
        alt.Chart(csv_data(rows)).mark_line(strokeWidth=2, clip=True).encode(x=x, y=y, color=colour)
    ]
    if crosses := [row for row in ends if float(row["loss"]) <= high]:
        marks = alt.Chart(csv_data(crosses)).mark_point(shape="cross", size=70, angle=45, filled=True, opacity=1)
        layers.append(marks.encode(x=x, y=y, color=colour, tooltip=["why:N", "step:Q"]))
    judged = alt.Chart(csv_data([{"step": settled.judged}])).mark_rule(color="#6b7280", strokeDash=[3, 3])
    layers.append(judged.encode(x=x))
    return alt.layer(*layers).properties(width=WIDTH, height=220)
