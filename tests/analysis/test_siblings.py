"""Runs that share a past are alike at a seed; verdicts rest on seeds alone, so this must not make false ones."""

import math

import numpy as np
import pytest
from benchmarks.verdicts.calibration import SCALE, false_alarms
from benchmarks.verdicts.noises import siblings
from hypothesis import given
from hypothesis import strategies as st

from calando.analysis import against_best, paired_interval, paired_p

STUDIES = 4000
# As in test_calibration: nominal rate and the binomial 99.9% bound of a simulated one.
AT_MOST = 0.05 + 3.09 * math.sqrt(0.05 * 0.95 / STUDIES)


@pytest.fixture
def rng():
    return np.random.default_rng(20261122)


@pytest.mark.parametrize("correlation", [0.5, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize(("strategies", "family"), [(2, 2), (3, 2), (6, 5), (8, 4), (14, 2), (14, 7)])
def test_siblings_are_told_apart_at_most_at_the_nominal_rate(strategies, family, correlation, rng):
    rates = {
        n: false_alarms(SCALE * siblings(rng, (STUDIES, strategies, n), family=family, correlation=correlation))
        for n in (2, 3, 5, 10)
    }
    assert max(rates.values()) <= AT_MOST, rates


def test_siblings_are_as_alike_as_they_say(rng):
    drawn = siblings(rng, (20_000, 4, 1), family=2, correlation=0.9)[:, :, 0]
    found = np.corrcoef(drawn.T)
    assert found[0, 1] == pytest.approx(0.9, abs=0.01)
    assert found[2, 3] == pytest.approx(0.9, abs=0.01)
    assert found[0, 2] == pytest.approx(0, abs=0.03)
    assert drawn.std(axis=0) == pytest.approx(1, abs=0.03)


def test_control_siblings_counted_as_if_each_were_a_seed_make_false_verdicts(rng):
    """Two families of five, three seeds: fifteen pairs that are no fifteen seeds."""
    drawn = siblings(rng, (STUDIES, 10, 3), family=5, correlation=0.9)
    pairs = (drawn[:, :5] - drawn[:, 5:]).reshape(STUDIES, -1)
    assert (paired_p(pairs, resolution=0.0) <= 0.05).mean() > 4 * AT_MOST
    by_seed = (drawn[:, :5] - drawn[:, 5:]).mean(axis=1)
    assert (paired_p(by_seed, resolution=0.0) <= 0.05).mean() <= AT_MOST


scores = st.integers(0, 360).map(lambda right: right / 360)
pairs_of_seeds = st.integers(2, 6).flatmap(
    lambda n: st.lists(st.lists(scores, min_size=n, max_size=n), min_size=3, max_size=3)
)


@given(pairs_of_seeds, st.permutations(range(6)))
def test_what_counts_is_which_scores_share_a_seed_and_not_the_order_of_seeds(table, order):
    n = len(table[0])
    order = [seed for seed in order if seed < n]
    differences = np.subtract(table[0], table[1])
    shuffled = differences[order]
    assert paired_p(shuffled, resolution=1 / 360) == pytest.approx(paired_p(differences, resolution=1 / 360))
    assert np.allclose(paired_interval(shuffled, resolution=1 / 360), paired_interval(differences, resolution=1 / 360))
    named = dict(zip("abc", table, strict=True))
    best = max(named, key=lambda name: np.mean(named[name]))
    resorted = {name: [values[seed] for seed in order] for name, values in named.items()}
    ours, theirs = (against_best(best, what, resolution=1 / 360) for what in (named, resorted))
    assert [one.verdict for one in ours] == [one.verdict for one in theirs]


@given(
    st.lists(st.floats(-0.01, 0.01), min_size=2, max_size=8),
    st.lists(st.floats(-0.1, 0.1), min_size=8, max_size=8),
)
def test_what_all_strategies_have_in_common_at_a_seed_leaves_the_comparison(differences, common):
    first = 0.5 + np.array(common[: len(differences)])
    plain = paired_p(np.array(differences), resolution=1 / 360)
    assert paired_p((first + differences) - first, resolution=1 / 360) == pytest.approx(plain, abs=1e-9)
