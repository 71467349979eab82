from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.analysis import RateTrial, rate_band

scores = st.lists(st.integers(10, 99).map(lambda i: i / 100), min_size=1, max_size=7)


def trials(values):
    """One trial a decade from 1e-4 on; a text is an outcome, at chance."""
    return [
        RateTrial(lr=10.0 ** (i - 4), score=0.1, loss=2.3, outcome=value)
        if isinstance(value, str)
        else RateTrial(lr=10.0 ** (i - 4), score=value, loss=1 - value, outcome="finished")
        for i, value in enumerate(values)
    ]


@given(scores)
def test_the_band_holds_the_best_and_stays_on_the_grid(values):
    row = trials(values)
    band = rate_band(row)
    best = max(row, key=lambda trial: (trial.score, -trial.lr))
    assert row[0].lr <= band.low <= best.lr <= band.high <= row[-1].lr
    assert band.decades == pytest.approx(math.log10(band.high / band.low), abs=1e-12)
    assert band.open_low == (band.low == row[0].lr)
    assert band.open_high == (band.high == row[-1].lr)


@given(scores, st.floats(0, 0.3), st.floats(0, 0.3))
def test_more_tolerance_never_narrows_the_band(values, one, other):
    narrow, wide = (rate_band(trials(values), tolerance=t) for t in sorted((one, other)))
    assert wide.low <= narrow.low * (1 + 1e-12)
    assert narrow.high <= wide.high * (1 + 1e-12)


def test_ends_are_interpolated_in_the_logarithm():
    band = rate_band(trials([0.88, 0.90, 0.86]))
    assert band.low == pytest.approx(10**-3.5)
    assert band.high == pytest.approx(10**-2.75)
    assert (band.open_low, band.open_high) == (False, False)
    assert band.decades == pytest.approx(0.75)


def test_a_gap_ends_the_band():
    band = rate_band(trials([0.90, 0.50, 0.90, 0.50]))
    assert band.high < 1e-3
    assert band.open_low


def test_a_band_that_runs_over_both_edges_says_so():
    band = rate_band(trials([0.900, 0.905, 0.900]))
    assert (band.low, band.high, band.open_low, band.open_high) == (1e-4, 1e-2, True, True)
    assert band.decades == pytest.approx(2)


def test_order_of_trials_is_of_no_account():
    row = trials([0.88, 0.90, 0.86])
    assert rate_band(reversed(row)) == rate_band(row)


def test_a_diverged_neighbour_ends_the_band_close_by():
    band = rate_band(trials([0.85, 0.90, "diverged"]))
    assert 1e-3 < band.high < 1.05e-3


def test_nothing_to_say_without_a_finished_trial():
    assert rate_band([]) is None
    assert rate_band(trials(["diverged", "died"])) is None
