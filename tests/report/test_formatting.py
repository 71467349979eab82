"""Numbers are written as the house writes them."""

import math

from hypothesis import given
from hypothesis import strategies as st

from calando.analysis.results import Spread
from calando.records.measure import SHARE
from calando.report.formatting import ABSENT, duration, rate, spread

scores = st.floats(0, 1)


@given(scores)
def test_percent_is_within_half_its_last_digit(score):
    assert abs(float(SHARE.number(score)) - 100 * score) <= 0.005 + 1e-9


@given(scores, scores)
def test_a_difference_has_a_sign_unless_it_is_zero(one, other):
    assert (SHARE.difference(one - other)[0] in "+-") == (abs(one - other) >= 1e-12)


@given(st.lists(scores, min_size=1, max_size=9), scores)
def test_a_mean_never_comes_without_n(values, sd):
    known = len(values) > 1
    text = spread(Spread(tuple(values), sum(values) / len(values), sd if known else math.nan))
    assert text.endswith(f"({len(values)})")
    assert ("±" in text) == known
    assert "nan" not in text


@given(st.floats(1e-9, 1e4))
def test_a_rate_is_right_to_three_digits(lr):
    assert math.isclose(float(rate(lr)), lr, rel_tol=0.006)


def test_what_is_not_known_is_a_dash():
    assert spread(None) == rate(None) == ABSENT


def test_durations():
    assert [duration(seconds) for seconds in (0.04, 59.9, 60, 3599.7, 7260)] == [
        "0.0 s", "59.9 s", "1 min 0 s", "1 h 0 min", "2 h 1 min",
    ]  # fmt: skip
