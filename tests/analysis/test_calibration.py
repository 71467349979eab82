"""The comparison is calibrated: simulated studies whose truth is known, and controls that must fail."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.verdicts.calibration import (
    bootstrap_misses,
    compare_many,
    false_alarms,
    false_alarms_uncorrected,
    found,
    found_leads,
    interval_misses,
)
from benchmarks.verdicts.noises import NOISES, ROUNDED, SCALE, UNEQUAL, diverging, rounded

from calando.analysis.paired import paired_interval, paired_p
from calando.analysis.pooled_spread import own_share

STUDIES = 4000
# Nominal rate and the binomial 99.9% bound of a simulated rate: 6.1% of 4000 studies.
AT_MOST = 0.05 + 3.09 * math.sqrt(0.05 * 0.95 / STUDIES)
SHAPES = [(k, n) for k in (2, 3, 6, 14) for n in (2, 3, 5, 10)]


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)


@pytest.mark.parametrize("noise", NOISES)
def test_equal_strategies_are_told_apart_at_most_at_the_nominal_rate(noise, rng):
    rates = {(k, n): false_alarms(SCALE * NOISES[noise](rng, (STUDIES, k, n))) for k, n in SHAPES}
    assert max(rates.values()) <= AT_MOST, rates


@pytest.mark.parametrize("scores", ROUNDED)
def test_rounded_scores_of_equal_strategies(scores, rng):
    sd, images = ROUNDED[scores]
    rates = {
        (k, n): false_alarms(rounded(rng, (STUDIES, k, n), sd=sd, images=images), resolution=1 / images)
        for k, n in SHAPES
    }
    assert max(rates.values()) <= AT_MOST, rates


@pytest.mark.parametrize("n", range(2, 11))
def test_one_pair_at_every_number_of_seeds(n, rng):
    """Differences of two equal strategies: false verdicts at most, coverage at least nominal."""
    for draw in NOISES.values():
        pair = SCALE * draw(rng, (STUDIES, 2, n))
        low, high = paired_interval(pair[:, 0] - pair[:, 1], resolution=0.0)
        assert ((low > 0) | (high < 0)).mean() <= AT_MOST


@pytest.mark.parametrize(("strategies", "seeds"), [(5, 3), (5, 7), (9, 4), (24, 3)])
def test_whatever_the_spreads_of_equal_strategies(strategies, seeds, rng):
    shape = (STUDIES // 2, strategies, seeds)
    rates = {name: false_alarms(SCALE * draw(rng, shape)) for name, draw in UNEQUAL.items()}
    assert max(rates.values()) <= 0.05 + 3.09 * math.sqrt(0.05 * 0.95 / shape[0]), rates


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_runs_that_diverge_now_and_then(share, rng):
    rates = {
        (k, n): false_alarms(SCALE * diverging(share)(rng, (STUDIES, k, n))) for k in (4, 9, 24) for n in (3, 4, 7)
    }
    assert max(rates.values()) <= AT_MOST, rates


def test_the_whole_allowance_is_used(rng):
    """Calibrated, not merely cautious: about 5%, with normal noise where nothing is borrowed, else with some noise."""
    for k, n in SHAPES:
        kinds = {"normal": NOISES["normal"]} if own_share(k, n) == 1 else {**NOISES, **UNEQUAL}
        rates = (false_alarms(SCALE * draw(rng, (STUDIES, k, n))) for draw in kinds.values())
        assert any(0.035 <= rate <= AT_MOST for rate in rates), (k, n)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("gaps", [(0, 0, 0.5, 1, 2, 4, 8), (0, 0, 0, 3, 3, 3), (0, 0, 50, 100), (0, 0.2, 0.4)])
def test_some_strategies_truly_worse(n, gaps, rng):
    """Intervals hold the truth at their level, and no strategy is called worse than a best that is no better."""
    truth = -SCALE * np.array(gaps)
    scores = truth[:, None] + SCALE * rng.standard_normal((STUDIES, len(gaps), n))
    assert interval_misses(scores, truth)[0] <= AT_MOST
    equal_to_best = scores[:, : gaps.count(0)]
    assert gaps.count(0) < 2 or false_alarms(equal_to_best) <= AT_MOST


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("gaps", [(0,) * 5, (0, 0, 0.5, 1, 2, 4, 8), (0, 0, 0, 3, 3, 3), (0, 0, 50, 100)])
@pytest.mark.parametrize("wider", [1, 10])
def test_borrowed_intervals_of_a_study_hold_together(n, gaps, wider, rng):
    truth = -SCALE * np.array(gaps)
    spread = np.ones((len(gaps), 1))
    spread[1] = wider
    scores = truth[:, None] + SCALE * spread * rng.standard_normal((STUDIES, len(gaps), n))
    assert interval_misses(scores, truth)[1] <= AT_MOST


def test_control_charging_only_the_others_is_too_little(rng):
    scores = rng.standard_normal((STUDIES, 14, 10))
    assert false_alarms_uncorrected(scores, factor=13) > 2 * AT_MOST


def test_control_charging_all_pairs_is_wasteful_at_few_seeds(rng):
    scores = rng.standard_normal((STUDIES, 14, 3))
    assert false_alarms_uncorrected(scores, factor=14 * 13 / 2) < 0.025


def test_control_without_the_floor_rounding_makes_false_verdicts(rng):
    scores = rounded(rng, (STUDIES, 6, 2), sd=0.003, images=360)
    assert false_alarms(scores, resolution=0.0) > 0.4
    assert false_alarms(scores, resolution=1 / 360) <= AT_MOST


def test_control_a_bootstrap_of_three_seeds_is_not_calibrated(rng):
    differences = rng.standard_normal((2000, 3))
    assert bootstrap_misses(differences, rng=rng) > 0.2
    assert (paired_p(differences, resolution=0.0) <= 0.05).mean() <= 0.05 + 3.09 * math.sqrt(0.05 * 0.95 / 2000)


def test_a_large_difference_is_found(rng):
    assert found(5, strategies=2, seeds=5, studies=1000, rng=rng) > 0.99
    assert found(5, strategies=5, seeds=5, studies=1000, rng=rng) > 0.95
    assert found(5, strategies=14, seeds=7, studies=1000, rng=rng) > 0.95


@pytest.mark.parametrize("strategies", [5, 7, 9, 14, 24])
def test_three_seeds_find_a_lead_of_five_standard_deviations(strategies, rng):
    """Student's t on three differences finds 44%, 17% and 3% with 5, 9 and 24 strategies."""
    found_of_all = found_leads(5, strategies=strategies, seeds=3, studies=4000, rng=rng)
    assert found_of_all > 0.78
    assert found(5, strategies=strategies, seeds=3, studies=2000, rng=rng) > 0.85


@pytest.mark.parametrize("strategies", [3, 5, 9])
def test_a_steady_pair_among_unsteady_strategies_is_found_with_more_seeds(strategies, rng):
    lead = found_leads(5, strategies=strategies, seeds=7, studies=1000, rng=rng, unsteady=[strategies - 1])
    assert lead > 0.9


def test_two_strategies_are_compared_by_their_own_spread_alone(rng):
    """To the last bit what it was before anything was borrowed."""
    for n in (2, 3, 10):
        pair = SCALE * rng.standard_normal((200, 2, n))
        best, worse, low, high, level = compare_many(pair)
        differences = np.sign(best - 0.5)[:, None] * (pair[:, 0] - pair[:, 1])
        other = np.arange(200), 1 - best
        np.testing.assert_array_equal((low[other], high[other]), paired_interval(differences, resolution=0.0))
        np.testing.assert_array_equal(worse[other], paired_p(differences, resolution=0.0) <= 0.05)
        assert (level[other] == 0.95).all()
