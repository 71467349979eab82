"""Runs logged elsewhere, next to a study's: rates and training losses on one step axis, unpaired, without a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

import altair as alt
import numpy as np

from calando.errors import UsageError
from calando.language import _, joined, message
from calando.loops.log_readers import LoggedRun
from calando.records.record import RunRecord
from calando.report.figures.scales import log_y
from calando.report.figures.theme import WIDTH, AnyChart, Row, csv_data, styled, worded
from calando.report.palette import COLOURS
from calando.report.series import loss_band, thinned

__all__ = ["next_to_figure"]

MOST = 8
"""Runs from elsewhere: more lines show nothing."""
FLOOR = 1e-2
"""Of a line's highest rate: below it a rate that decays to nothing is cut, as a log axis has no end."""
ELSEWHERE, HERE = "logged elsewhere", "of the study"


def next_to_figure(
    logged: Sequence[LoggedRun], study: Mapping[str, tuple[RunRecord, ...]], *, title: str = ""
) -> AnyChart:
    """Rates, and training losses where they were logged; the runs from elsewhere are dashed.

    Args:
        logged: at most eight of them are drawn.
        study: strategy -> its records at its settled rate; empty: there is no study.
        title: of the study.

    Raises:
        UsageError: nothing was logged at two steps.
    """
    names = {id(run): name for run, name in zip(logged, _short_names([run.name for run in logged]), strict=True)}
    drawn = logged[:MOST]
    rates: list[Row] = []
    losses: list[Row] = []
    for run in drawn:
        rates += _above(_rows(names[id(run)], ELSEWHERE, run.rates))
        losses += _rows(names[id(run)], ELSEWHERE, run.losses)
    for name, records in study.items():
        first = records[0]
        rates += _above(_rows(name, HERE, enumerate(map(float, first.rates))))
        if (band := loss_band(records, half=max(1, first.spec.steps // 100))) is not None:
            losses += _rows(name, HERE, zip(band.steps.tolist(), band.mean.tolist(), strict=True))
    if len(rates) < 2:
        raise UsageError(message("no rates above 0 were logged, so there is nothing to draw"))
    horizon = max(int(row["step"]) for row in [*rates, *losses])
    lines = list(dict.fromkeys(str(row["line"]) for row in rates))
    panels = [_panel(rates, _("rate"), lines, horizon)]
    if losses:
        panels.append(_panel(losses, _("training loss (as each logged it)"), lines, horizon))
    where = message("Runs logged elsewhere next to {title}" if title else "Runs logged elsewhere", title=title)
    said = [
        message(
            "Unpaired: other code, data order and weights than the study's, so there is no verdict between them. "
            "Dashed: logged elsewhere; solid: mean over the seeds at the settled rate."
            if study
            else "As they were logged."
        )
    ]
    if len(logged) > MOST:
        said.append(message("The first {most} of {count} are drawn.", most=MOST, count=len(logged)))
    return styled(alt.vconcat(*panels, spacing=18), title=where, subtitle=joined("{one} {other}", said), columns=2)


def _short_names(names: Sequence[str]) -> list[str]:
    """Without the folders that all of them lie in."""
    parts = [PurePath(name).parts for name in names]
    shared = 0
    if len(parts) > 1:
        for level in zip(*(one[:-1] for one in parts), strict=False):
            if len(set(level)) > 1:
                break
            shared += 1
    return [str(PurePath(*one[shared:])) for one in parts]


def _rows(line: str, where: str, pairs: Iterable[tuple[int, float]]) -> list[Row]:
    found = [(step, value) for step, value in sorted(pairs) if np.isfinite(value)]
    if not found:
        return []
    kept = thinned(np.array([value for _, value in found])).tolist()
    return [{"line": line, "where": where, "step": found[place][0], "value": found[place][1]} for place in kept]


def _above(rows: list[Row]) -> list[Row]:
    top = max((float(row["value"]) for row in rows), default=0.0)
    return [row for row in rows if float(row["value"]) >= FLOOR * top > 0]


def _panel(rows: list[Row], what: str, lines: Sequence[str], horizon: int) -> AnyChart:
    values = [float(row["value"]) for row in rows]
    low, high = min(values), max(values)
    y: alt.Y
    if low > 0 and high > 20 * low:
        y = log_y("value", low=low, high=high * 1.1, title=what)
    else:
        y = alt.Y("value:Q", title=what, scale=alt.Scale(zero=False), axis=alt.Axis(format="~r", tickCount=5))
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(lines))]
    x = alt.X(
        "step:Q",
        title=_("step (updates)"),
        scale=alt.Scale(domain=[0, horizon], nice=False),
        axis=alt.Axis(grid=False, tickCount=8, tickMinStep=1),
    )
    chart: AnyChart = (
        alt.Chart(csv_data(rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "line:N",
                scale=alt.Scale(domain=list(lines), range=colours),
                legend=alt.Legend(title=None, orient="top", symbolType="stroke"),
            ),
            strokeDash=alt.StrokeDash(
                "where:N",
                scale=alt.Scale(domain=[HERE, ELSEWHERE], range=[[1, 0], [6, 4]]),
                legend=alt.Legend(title=None, orient="top", symbolType="stroke", labelExpr=worded((HERE, ELSEWHERE))),
            ),
            tooltip=["line:N", "where:N", "step:Q", alt.Tooltip("value:Q", format=".4~g", title=what)],
        )
        .properties(width=WIDTH, height=180)
    )
    return chart
