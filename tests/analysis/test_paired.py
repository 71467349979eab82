from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from calando.analysis import paired_interval, paired_p
from calando.analysis.paired import paired_sd

differences = arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(2, 10)),
    elements=st.integers(-2000, 2000).map(lambda i: i / 10_000),
)
resolutions = st.sampled_from([0.0, 1 / 10_000, 1 / 360, 0.1])


@given(differences)
def test_unrounded_is_students_t(values):
    assume((values.std(axis=-1) > 1e-6).all())
    ours = paired_p(values, resolution=0.0)
    theirs = stats.ttest_1samp(values, 0, axis=-1)
    np.testing.assert_allclose(ours, theirs.pvalue, rtol=1e-9)
    low, high = paired_interval(values, resolution=0.0, level=0.99)
    expected = theirs.confidence_interval(0.99)
    np.testing.assert_allclose(low, np.maximum(expected.low, -1), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(high, np.minimum(expected.high, 1), rtol=1e-9, atol=1e-12)


@given(differences, resolutions, st.floats(0.5, 0.999))
def test_the_interval_excludes_zero_exactly_where_p_is_small(values, resolution, level):
    p = paired_p(values, resolution=resolution)
    low, high = paired_interval(values, resolution=resolution, level=level)
    clear = np.abs(p - (1 - level)) > 1e-9
    assert (((low > 0) | (high < 0)) == (p < 1 - level))[clear].all()
    assert ((low >= -1) & (low <= values.mean(-1) + 1e-12) & (values.mean(-1) - 1e-12 <= high) & (high <= 1)).all()


@given(differences, resolutions)
def test_swapping_the_two_strategies_mirrors_the_interval(values, resolution):
    low, high = paired_interval(values, resolution=resolution)
    mirrored = paired_interval(-values, resolution=resolution)
    np.testing.assert_allclose((low, high), (-mirrored[1], -mirrored[0]), rtol=1e-12, atol=0)
    np.testing.assert_array_equal(paired_p(values, resolution=resolution), paired_p(-values, resolution=resolution))


@given(differences)
def test_a_coarser_score_never_narrows_the_interval(values):
    sds = [paired_sd(values, resolution=h) for h in (0.0, 1 / 10_000, 1 / 360, 0.1)]
    assert all((fine <= coarse).all() for fine, coarse in pairwise(sds))


@pytest.mark.parametrize("n", [2, 3])
def test_equal_differences_are_not_certainty(n):
    """One test image of 360 more, in each of n seeds: that is no evidence."""
    values = np.full(n, 1 / 360)
    low, high = paired_interval(values, resolution=1 / 360)
    assert low < 0 < high
    assert paired_p(values, resolution=1 / 360) > 0.05
    assert paired_sd(values, resolution=1 / 360) == pytest.approx(1 / 360 / math.sqrt(6), rel=1e-12)


def test_no_difference_at_all_is_no_evidence_at_any_resolution():
    assert paired_p(np.zeros((2, 3)), resolution=0.0).tolist() == [1.0, 1.0]
    assert paired_p(np.zeros(3), resolution=0.1) == 1.0


def test_intervals_stay_within_what_scores_can_differ():
    low, high = paired_interval([-0.9, 0.1], resolution=0.001)
    assert (low, high) == (-1.0, 1.0)
