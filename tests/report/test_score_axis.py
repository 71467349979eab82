"""The score axis shows every score, in order, and labels it as a score."""

import altair as alt
from hypothesis import given
from hypothesis import strategies as st

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
