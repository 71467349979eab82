"""What a probe saw of a training, and of its layers.

rate and loss       of each update that was looked at, one above the other
sharpness           the largest eigenvalue of the Hessian, and the limit above which this optimizer oscillates
update ratios       |Δw| / |w|, a row a layer, a column a look
gradients           |∂L/∂h| at each layer, from the first to the last, of one network or several
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import altair as alt

from calando.language import _, message, translated
from calando.records.probe import LayerRow, ProbeRow
from calando.report.figures.scales import log_y, powers_of_ten
from calando.report.figures.theme import INK, WIDTH, AnyChart, Row, csv_data, dash, faded, picked, stroke
from calando.report.palette import COLOURS, WORSE, LineStyle, line_styles

__all__ = ["depth_figure", "gradients_figure", "ratios_figure", "sharpness_figure"]

PANEL = 210
MOST_TICKS = 8
ROW = 17  # pixels of a layer in the heat map
NETWORK, TWIN = message("this network"), message("its plain twin")


def depth_figure(
    gradients: Mapping[str, Mapping[str, Sequence[float]]], *, styles: Mapping[str, LineStyle] | None = None
) -> AnyChart:
    """Gradient at each layer, a line a network, a panel a moment.

    Args:
        gradients: moment -> network -> |∂L/∂h| of its layers, first to last; one that is not positive and finite has no
            point, and at least one is.
        styles: by network.
    """

    def drawn(size: float) -> bool:
        return 0 < size < math.inf

    names = list(dict.fromkeys(name for those in gradients.values() for name in those))
    shown = styles or line_styles(names)
    sizes = [size for those in gradients.values() for layers in those.values() for size in layers if drawn(size)]
    deepest = max(len(layers) for those in gradients.values() for layers in those.values())
    low, high = _around(sizes)
    places = [*range(1, deepest + 1, math.ceil(deepest / MOST_TICKS))]  # a tick between two layers has no name
    panels: list[alt.Chart] = []
    for panel, (moment, those) in enumerate(gradients.items(), start=1):
        x = alt.X(
            "layer:Q",
            title=_("layer, from the input to the output") if panel == len(gradients) else None,
            scale=alt.Scale(domain=[1, max(2, deepest)], nice=False, padding=6),
            axis=alt.Axis(grid=False, format="d", values=places),
        )
        rows: list[Row] = [
            {"strategy": name, "layer": place + 1, "gradient": float(size)}
            for name, layers in those.items()
            for place, size in enumerate(layers)
            if drawn(size)
        ]
        y = log_y("gradient", low=low, high=high, title=_("gradient {moment}", moment=message(moment)))
        lines = alt.Chart(csv_data(rows)).mark_line(point=alt.OverlayMarkDef(size=26, filled=True), strokeWidth=2)
        panels.append(
            lines.encode(
                x=x, y=y, stroke=stroke(names, shown), strokeDash=dash(names, shown), strokeOpacity=faded(picked()),
                tooltip=[alt.Tooltip("strategy:N"), alt.Tooltip("layer:Q"), alt.Tooltip("gradient:Q", format=".3g")],
            ).properties(width=WIDTH, height=PANEL)
        )  # fmt: skip
    panels[0] = panels[0].add_params(picked())
    if len(panels) == 1:
        alone: AnyChart = panels[0].properties(height=PANEL + 60)
        return alone
    both: AnyChart = alt.vconcat(*panels, spacing=18).resolve_scale(stroke="shared", strokeDash="shared")
    return both


def gradients_figure(rows: Sequence[ProbeRow], twin: Sequence[ProbeRow] = ()) -> AnyChart | None:
    """Gradients by depth at the first and at the last look; of the plain twin as well. None: no gradient was seen."""
    moments: dict[str, dict[str, list[float]]] = {}
    for name, those in ((NETWORK, rows), (TWIN, twin)):
        seen = [row for row in those if any(0 < size < math.inf for size in _sizes(row.layers))]
        for row in seen[:1] + seen[1:][-1:]:
            moments.setdefault(_("at update {step}", step=row.step), {})[translated(name)] = _sizes(row.layers)
    return depth_figure(moments) if moments else None


def _sizes(layers: Iterable[LayerRow]) -> list[float]:
    """Of each layer in its place: one that gets no gradient, or none that is finite, keeps it."""
    return [math.nan if layer.gradient is None else layer.gradient for layer in layers]


def sharpness_figure(rows: Sequence[ProbeRow]) -> AnyChart | None:
    """Sharpness and its limit over time, on a logarithmic axis. None: it was not measured, or never positive."""
    lines = {_("sharpness"): COLOURS[0], _("limit"): WORSE}
    points: list[Row] = [
        {"strategy": name, "step": row.step, "size": float(value)}
        for row in rows
        if row.sharpness is not None
        for name, value in zip(lines, (row.sharpness, row.limit), strict=True)
        if value is not None and 0 < value < math.inf
    ]
    measured, limit = lines
    if not any(point["strategy"] == measured for point in points):
        return None
    names = [name for name in lines if any(point["strategy"] == name for point in points)]
    styles = {name: LineStyle(lines[name], (7, 3) if name == limit else ()) for name in names}
    low, high = _around([point["size"] for point in points])
    chart: AnyChart = alt.Chart(csv_data(points)).mark_line(
        point=alt.OverlayMarkDef(size=26, filled=True), strokeWidth=2
    ).encode(
        x=_steps(rows), y=log_y("size", low=low, high=high, title=_("sharpness")),
        stroke=stroke(names, styles), strokeDash=dash(names, styles),
        tooltip=[alt.Tooltip("strategy:N"), alt.Tooltip("step:Q"), alt.Tooltip("size:Q", format=".3g")],
    )  # fmt: skip
    return chart


def ratios_figure(rows: Sequence[ProbeRow]) -> AnyChart | None:
    """Update ratios as a heat map, the first layer above, looks in order. None: no layer's was seen."""
    cells: list[Row] = [
        {"layer": layer.name, "step": row.step, "ratio": float(layer.update_ratio)}
        for row in rows
        for layer in row.layers
        if layer.update_ratio is not None and 0 < layer.update_ratio < math.inf
    ]
    if not cells:
        return None
    layers = list(dict.fromkeys(layer.name for row in rows for layer in row.layers))
    layers = [name for name in layers if any(cell["layer"] == name for cell in cells)]
    low, high = _around([cell["ratio"] for cell in cells])
    scale = alt.Scale(type="log", domain=[low, high], scheme="viridis")
    axis = powers_of_ten(low, high)
    legend = alt.Legend(
        title=_("update / weight"), orient="bottom", direction="horizontal", gradientLength=220,
        titleFontWeight="normal", titleFontSize=12.5, values=axis.values, labelExpr=axis.labelExpr,
    )  # fmt: skip
    chart: AnyChart = alt.Chart(csv_data(cells)).mark_rect().encode(
        x=alt.X("step:O", title=_("update"), axis=alt.Axis(grid=False, labelAngle=0, labelOverlap=True)),
        y=alt.Y(
            "layer:N", sort=layers, title=_("layer, by name"), axis=alt.Axis(grid=False, labelLimit=150, labelColor=INK)
        ),
        color=alt.Color("ratio:Q", scale=scale, legend=legend),
        tooltip=[alt.Tooltip("layer:N"), alt.Tooltip("step:O"), alt.Tooltip("ratio:Q", format=".3g")],
    ).properties(height=max(80, ROW * len(layers)))  # fmt: skip
    return chart


def _steps(rows: Sequence[ProbeRow]) -> alt.X:
    steps = [row.step for row in rows]
    scale = alt.Scale(domain=[min(steps), max(*steps, min(steps) + 1)], nice=False, padding=6)
    axis = alt.Axis(grid=False, tickCount=alt.ExprRef("ceil(width / 90)"), tickMinStep=1, format="d")
    return alt.X("step:Q", title=_("step (updates)"), scale=scale, axis=axis)


def _around(sizes: Iterable[float]) -> tuple[float, float]:
    """The ends of a logarithmic axis that holds all of them."""
    those = [*sizes]
    low, high = min(those) / 1.15, max(those) * 1.15
    return (low, high) if high > 1.5 * low else (low / 1.5, high * 1.5)
