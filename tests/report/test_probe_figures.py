"""Figures of a probe: each from rows, or nothing where the rows have nothing to show."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calando.records.probe import LayerRow, ProbeRow
from calando.report.figures import (
    depth_figure,
    gradients_figure,
    ratios_figure,
    sharpness_figure,
)
from calando.report.figures.theme import finished
from calando.report.pictures import png, spec, svg

DRAW = (sharpness_figure, ratios_figure, gradients_figure)


def rows(n=4, *, layers=3):
    return [
        ProbeRow(
            step=10 * k, rate=0.1, loss=2.0 / (k + 1), sharpness=5.0 * (k + 1), limit=38.0,
            layers=tuple(
                LayerRow(name=f"layer.{i}", update_ratio=1e-3 * 10**-i, gradient=0.1 * 3**i) for i in range(layers)
            ),
        )
        for k in range(1, n + 1)
    ]  # fmt: skip


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("n", [1, 2, 30])
def test_each_can_be_drawn(draw, n):
    chart = finished(draw(rows(n)), title="A title", subtitle="n = 1")
    if n == 2:
        assert png(svg(spec(chart))).startswith(b"\x89PNG")
    assert spec(chart)


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("empty", [[], [ProbeRow(step=1, rate=0.0)]])
def test_where_there_is_nothing_to_show_there_is_no_figure(draw, empty):
    assert draw(empty) is None


def test_layers_keep_the_networks_order():
    made = spec(ratios_figure(rows(2, layers=12)))
    assert made["encoding"]["y"]["sort"] == [f"layer.{i}" for i in range(12)]


def points(chart):
    """(moment, layer) of every point that is drawn."""
    made = spec(chart)
    panels = made.get("vconcat", [made])
    return [
        (moment, int(line[made_of.index("layer")]))
        for moment, panel in enumerate(panels)
        for made_of, *lines in [[text.split(",") for text in _data(made, panel).strip().splitlines()]]
        for line in lines
    ]


def _data(made, panel):
    data = panel["data"]
    return data["values"] if "values" in data else made["datasets"][data["name"]]


def test_layers_that_get_no_gradient_leave_the_others_where_they_are():
    late = ProbeRow(
        step=20, rate=0.1, layers=tuple(LayerRow(name=str(i), gradient=size) for i, size in enumerate((0.0, None, 0.3)))
    )
    assert points(gradients_figure([*rows(1), late])) == [(0, 1), (0, 2), (0, 3), (1, 3)]


@pytest.mark.parametrize("layers", [2, 3, 8, 9, 40])
def test_ticks_are_layers_and_the_axis_has_its_name(layers):
    *above, last = spec(gradients_figure(rows(2, layers=layers)))["vconcat"]
    for panel in (*above, last):
        ticks = panel["encoding"]["x"]["axis"]["values"]
        assert ticks == sorted({round(tick) for tick in ticks})
        assert 1 <= ticks[0] <= ticks[-1] <= layers
        assert len(ticks) <= 8
    assert last["encoding"]["x"]["title"] == "layer, from the input to the output"
    assert all(panel["encoding"]["x"]["title"] is None for panel in above)


def test_the_twin_is_a_line_of_its_own():
    text = json.dumps(spec(gradients_figure(rows(), rows(2))))
    assert "this network" in text
    assert "its plain twin" in text
    assert "its plain twin" not in json.dumps(spec(gradients_figure(rows())))


def test_a_limit_that_is_unknown_is_left_out():
    without = [ProbeRow(step=row.step, rate=0.1, sharpness=row.sharpness) for row in rows()]
    assert '"limit"' not in json.dumps(spec(sharpness_figure(without)))


maybe = st.one_of(st.none(), st.floats(1e-30, 1e30), st.sampled_from([0.0, -1.0, math.inf, math.nan]))
layer = st.builds(LayerRow, name=st.sampled_from(["a", "b"]), update_ratio=maybe, gradient=maybe)
row = st.builds(
    ProbeRow, step=st.integers(0, 1000), rate=st.floats(0, 10), loss=maybe, sharpness=maybe, limit=maybe,
    layers=st.tuples(layer, layer),
)  # fmt: skip


@given(st.lists(row, max_size=4))
@settings(max_examples=30, deadline=None)
def test_any_rows_give_a_chart_without_numbers_that_are_none(those):
    for draw in DRAW:
        chart = draw(those)
        if chart is not None:
            text = json.dumps(spec(finished(chart, title="t", subtitle="s")), allow_nan=False)
            assert not any(word in text for word in (",nan", ",inf", ",-inf"))


def test_depth_has_a_panel_for_each_moment():
    one = {"plain": [0.1, 0.2, 0.4], "residual": [0.3, 0.3, 0.4]}
    assert len(spec(depth_figure({"at update 1": one, "at update 50": one}))["vconcat"]) == 2
    assert "vconcat" not in spec(depth_figure({"at update 1": one}))
