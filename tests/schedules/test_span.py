"""Spans: what is read, how it is spelled, and how many steps it is."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.schedules import Span
from calando.schedules.span import LONGEST_HORIZON, Horizon

lengths = st.floats(min_value=1e-300, max_value=1e300)
units = st.sampled_from(["%", "epochs", "steps"])


@given(lengths, units)
def test_a_span_reads_back_equal_from_its_text(value, unit):
    span = Span(value, unit)
    assert Span.parse(str(span)) == span


@given(st.integers(1, LONGEST_HORIZON))
def test_a_plain_integer_is_steps(count):
    assert Span.parse(count) == Span(count, "steps") == Span.parse(f"{count} steps")
    assert Span.parse(count).resolve(1) == count


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("5%", "5%"),
        (" 5.0 % ", "5%"),
        ("1e1%", "10%"),
        (".5 epochs", "0.5 epochs"),
        ("1 epochs", "1 epoch"),
        ("1 epoch", "1 epoch"),
        ("2 epoch", "2 epochs"),
        ("1steps", "1 step"),
        ("500 steps", "500 steps"),
    ],
)
def test_spelling_is_canonical(text, canonical):
    assert str(Span.parse(text)) == canonical


@pytest.mark.parametrize(
    "bad",
    ["", "5", "%", "5 %%", "five steps", "5 bananas", "0%", "-5%", "0 steps", "nan steps", "inf%", "1e999 steps",
     "5% steps", "٥%", "5\n0%", "1" * 200 + " steps", 0, -1, True, 0.5, None, [5], 10**400],
)  # fmt: skip
def test_what_is_not_a_span_is_refused_by_name(bad):
    with pytest.raises(UsageError, match="over"):
        Span.parse(bad, name="over")


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, "5", True])
def test_a_length_is_finite_and_above_zero(bad):
    with pytest.raises(UsageError):
        Span(bad, "steps")


def test_a_unit_is_one_of_three():
    with pytest.raises(UsageError, match="'%', 'epochs' or 'steps'"):
        Span(5, "minutes")


@given(st.integers(1, 9999), st.integers(1, 10**6))
def test_shares_are_exact_where_they_are_whole_steps(tenths, scale):
    """tenths / 10 percent of 1000 * scale steps is tenths * scale steps, with no rounding left over."""
    assert Span(tenths / 10, "%").resolve(1000 * scale) == tenths * scale


@given(lengths.filter(lambda value: value < 1e200), st.integers(1, 10**6))
def test_epochs_are_counted_in_steps_per_epoch(value, steps_per_epoch):
    assert Span(value, "epochs").resolve(10, steps_per_epoch) == pytest.approx(value * steps_per_epoch, rel=1e-15)


def test_epochs_without_steps_per_epoch_say_what_to_pass():
    with pytest.raises(UsageError, match="pass steps_per_epoch="):
        Span.parse("2 epochs").resolve(100)


def test_a_span_too_long_to_count_is_refused():
    with pytest.raises(UsageError, match="more steps than can be counted"):
        Span(1e308, "epochs").resolve(100, 1000)


@pytest.mark.parametrize("bad", [0, -1, 1.5, "10", True, None, LONGEST_HORIZON + 1])
def test_a_horizon_is_a_whole_number_of_steps(bad):
    with pytest.raises(UsageError, match="total_steps must be a whole number from 1 to"):
        Horizon(bad)


@pytest.mark.parametrize("bad", [0, -1, 1.5, "10", True])
def test_an_epoch_is_a_whole_number_of_steps(bad):
    with pytest.raises(UsageError, match="steps_per_epoch must be a whole number"):
        Horizon(10, bad)
