from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from calando.analysis import log_grid
from calando.analysis.grids import further_rates, written
from calando.errors import UsageError


@given(st.floats(1e-8, 1e3), st.floats(2, 1e6), st.integers(2, 9))
def test_log_grid_is_geometric_round_its_centre(centre, span, count):
    grid = log_grid(centre, span, count)
    assert len(grid) == count
    assert grid[-1] / grid[0] == pytest.approx(span, rel=0.011)
    assert math.sqrt(grid[0] * grid[-1]) == pytest.approx(centre, rel=0.006)
    ratio = span ** (1 / (count - 1))
    assert all(high / low == pytest.approx(ratio, rel=0.011) for low, high in pairwise(grid))
    assert all(rate == float(f"{rate:.3g}") for rate in grid)


def test_log_grid_of_one_rate_is_its_centre():
    assert log_grid(0.1, 100, 1) == (0.1,)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0.1, 100, 0), "at least 1, got 0"),
        ((0.0, 100, 3), "centre .* positive and finite, got 0.0"),
        ((-1.0, 100, 3), "centre .* got -1.0"),
        ((math.nan, 100, 3), "centre .* got nan"),
        ((math.inf, 100, 3), "centre .* got inf"),
        ((0.1, math.inf, 3), "span .* got inf"),
        ((0.1, math.nan, 1), "span .* got nan"),
        ((0.1, 0.5, 3), "span .* above 1, got 0.5"),
        ((0.1, 1.0001, 3), "too close to tell apart"),
        ((1e308, 1e6, 3), "leaves the range of numbers"),
        ((1e-320, 1e20, 3), "leaves the range of numbers"),
    ],
)
def test_log_grid_refuses(arguments, says):
    with pytest.raises(UsageError, match=says):
        log_grid(*arguments)


@given(st.floats(1e-300, 1e300))
def test_what_is_written_is_near_and_has_three_digits_at_most(rate):
    near = written(rate)
    assert near == pytest.approx(rate, rel=0.0051)
    assert near == float(f"{near:.3g}")


@pytest.mark.parametrize(
    ("count", "span", "low", "high"),
    [
        (3, 10, (0.01, 0.00316, 0.001, 0.000316), (1.0, 3.16, 10.0, 31.6)),
        (5, 100, (0.00316, 0.001, 0.000316, 0.0001), (3.16, 10.0, 31.6, 100.0)),
        (2, 10, (0.00316, 0.000316, 3.16e-5, 3.16e-6), (3.16, 31.6, 316.0, 3160.0)),
        (4, 1000, (0.000316, 3.16e-5, 3.16e-6, 3.16e-7), (31.6, 316.0, 3160.0, 31600.0)),
        (7, 100, (0.00464, 0.00215, 0.001, 0.000464), (2.15, 4.64, 10.0, 21.5)),
        (3, 4, (0.025, 0.0125, 0.00625), (0.4, 0.8, 1.6)),
    ],
)
@pytest.mark.parametrize("power", [-4, 0, 3])
def test_a_grid_goes_on_in_numbers_as_people_write_them(count, span, low, high, power):
    """Round the usual rate 0.1 and decades from it: never 0.00999, however far."""
    scale = 10.0**power
    grid = log_grid(0.1 * scale, span, count)
    for edge, rates in (("low", low), ("high", high)):
        expected = tuple(float(f"{rate * scale:.3g}") for rate in rates)
        assert further_rates(grid, edge, len(rates)) == expected


@given(st.floats(1e-8, 1e3), st.floats(2, 1e3), st.integers(2, 9), st.sampled_from(["low", "high"]), st.integers(1, 6))
def test_it_goes_on_as_if_it_had_been_longer_from_the_start(centre, span, count, edge, more):
    grid = log_grid(centre, span, count)
    rates = further_rates(grid, edge, more)
    whole = sorted([*grid, *rates])
    assert len(set(whole)) == count + more
    assert (tuple(whole[more:]) if edge == "low" else tuple(whole[:count])) == grid
    ratio = (grid[-1] / grid[0]) ** (1 / (count - 1))
    assert all(high / low == pytest.approx(ratio, rel=0.022) for low, high in pairwise(whole))
    assert further_rates(grid, edge, more - 1) == rates[:-1]


@given(st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=5, unique=True).map(sorted).map(tuple))
def test_any_grid_goes_on_outward(grid):
    assume(all(high > low for low, high in pairwise(grid)))
    low, high = further_rates(grid, "low", 3), further_rates(grid, "high", 3)
    assert all(b < a for a, b in pairwise((grid[0], *low)))
    assert all(b > a for a, b in pairwise((grid[-1], *high)))
    assert all(math.isfinite(rate) and rate > 0 for rate in low + high)


def test_an_uneven_grid_goes_on_at_the_ratio_of_its_outermost_rates():
    grid = (0.01, 0.05, 1.0)
    assert further_rates(grid, "low", 2) == (0.002, 0.0004)
    assert further_rates(grid, "high", 2) == (20.0, 400.0)


def test_a_grid_finer_than_three_digits_still_goes_on_outward():
    assert further_rates((1.0, 1.0001, 1.0002), "high", 1)[0] == pytest.approx(1.0003, abs=1e-7)


def test_it_ends_where_single_precision_does():
    assert further_rates((1.0, 1e9), "high", 4) == (1e18, 1e27)
    assert further_rates((1e-9, 1.0), "low", 4) == (1e-18, 1e-27)
    assert further_rates((1e300, 1e305), "high", 4) == ()
    assert further_rates((1e-320, 1e-315), "low", 4) == ()
    assert further_rates((1e-310, 1e-300, 1e300), "high", 4) == ()
    assert further_rates((0.1,), "low", 4) == ()
