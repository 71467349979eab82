"""The score axis shows every score, in order, and labels it as a score."""

import re

import altair as alt
from hypothesis import given
from hypothesis import strategies as st

from calando.records.measure import Measure
from calando.report import pictures
from calando.report.figures.scales import ScoreAxis

some = st.lists(st.integers(0, 360).map(lambda right: right / 360), min_size=1, max_size=20)


@given(some)
def test_every_score_has_a_place_inside_the_axis(scores):
    axis = ScoreAxis.of(scores)
    places = [axis.place(score) for score in scores]
    if axis.logarithmic:
        low, high = axis.y("y", title="score").to_dict()["scale"]["domain"]
        assert all(low <= place <= high for place in places)
        assert low > 0
    assert axis.floor in places


@given(some)
def test_better_is_never_drawn_lower(scores):
    axis = ScoreAxis.of(scores)
    way = -1 if axis.logarithmic else 1
    places = [way * axis.place(score) for score in sorted(scores)]
    assert places == sorted(places)


def test_ticks_are_round_scores_within_the_axis():
    y = ScoreAxis.of([0.1, 0.95, 0.994]).y("y", title="score")
    assert isinstance(y, alt.Y)
    axis = y.to_dict()["axis"]
    low, high = y.to_dict()["scale"]["domain"]
    assert [round(1 - value, 6) for value in axis["values"]] == [0.1, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99]
    assert all(low <= value <= high for value in axis["values"])


def test_marks_of_money_have_no_exponent():
    y = ScoreAxis.of([15000.0, 45000.0], Measure("min", "RMSE")).y("y", title="score")
    chart = alt.Chart(alt.Data(values=[{"y": 15000}, {"y": 45000}])).mark_point().encode(y=y)
    drawn = pictures.svg(pictures.spec(chart))
    marks = re.findall(r"<text [^>]*>([\d.e+]+)</text>", drawn)
    assert "20000" in marks
    assert all(mark.isdigit() for mark in marks)


@given(value=st.floats(-9e6, 9e6))
def test_numbers_below_ten_millions_have_no_exponent_above(value):
    measure = Measure("min", "RMSE")
    for text in (measure.number(value), measure.spread(abs(value)), measure.difference(value), measure.gap(value)):
        assert "e+" not in text
    assert abs(float(measure.number(value)) - value) <= max(5e-4 * abs(value), 1e-300)
