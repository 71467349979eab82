from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.verdicts.calibration import compare_many
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calando.analysis import against_best, paired_interval, paired_p
from calando.analysis.pooled_spread import own_share
from calando.analysis.verdicts import charged, step_down

tables = arrays(
    np.float64, st.tuples(st.integers(2, 6), st.integers(2, 6)), elements=st.integers(0, 360).map(lambda i: i / 360)
)


def compare(table, *, resolution=1 / 360):
    names = [f"s{i}" for i in range(len(table))]
    best = names[int(table.mean(axis=1).argmax())]
    return against_best(
        best, {name: row.tolist() for name, row in zip(names, table, strict=True)}, resolution=resolution
    )


@given(st.integers(2, 40), st.integers(2, 40))
def test_what_is_charged_lies_between_the_others_and_all_pairs(k, n):
    assert k - 1 <= charged(k, n) <= k * (k - 1) / 2
    assert charged(k, n) <= charged(k, n + 1) <= charged(k + 1, n + 1)


def test_one_pair_is_charged_once():
    assert charged(2, 2) == charged(2, 10) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(2, 10), st.randoms())
def test_step_down_keeps_order_and_ignores_position(p, seeds, random):
    adjusted, level = step_down(p, seeds=seeds)
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    assert (np.diff(level[order]) <= 0).all()
    assert (adjusted >= np.asarray(p)).all()
    assert (adjusted <= 1).all()
    shuffled = random.sample(range(len(p)), len(p))
    np.testing.assert_array_equal(step_down([p[i] for i in shuffled], seeds=seeds)[0], adjusted[shuffled])


def test_step_down_by_hand():
    """Two seeds, four strategies: ranks are charged for 4, 3 and 2 strategies in question."""
    price = [charged(4, 2), charged(3, 2), 1.0]
    adjusted, level = step_down([0.9, 0.001, 0.02], seeds=2)
    assert adjusted.tolist() == pytest.approx([0.9, 0.001 * price[0], 0.02 * price[1]])
    assert level.tolist() == pytest.approx([1 - 0.05, 1 - 0.05 / price[0], 1 - 0.05 / price[1]])
    # The first that is not rejected stops the descent: all after it share its level.
    adjusted, level = step_down([0.9, 0.001, 0.04], seeds=2)
    assert level.tolist() == pytest.approx([1 - 0.05 / price[1], 1 - 0.05 / price[0], 1 - 0.05 / price[1]])


@given(tables)
def test_verdict_interval_and_p_agree(table):
    for c in compare(table):
        assert c.verdict in ("worse", "cannot distinguish")
        assert (c.verdict == "worse") == (c.high < 0) == (c.p <= 0.05)
        assert c.low <= c.difference <= c.high
        assert c.difference <= 1e-12
        assert 0.95 <= c.level < 1
        assert c.text.startswith("worse by" if c.verdict == "worse" else "cannot distinguish at n =")


@given(tables)
def test_never_narrower_than_one_uncorrected_comparison_unless_spread_is_borrowed(table):
    assume(own_share(*table.shape) == 1)
    best = table[int(table.mean(axis=1).argmax())]
    for c in compare(table):
        d = table[int(c.strategy[1:])] - best
        low, high = paired_interval(d, resolution=1 / 360)
        assert c.low <= low + 1e-12
        assert high - 1e-12 <= c.high
        assert c.p >= paired_p(d, resolution=1 / 360)


@given(tables)
def test_the_pairs_own_spread_keeps_its_share_of_the_allowance(table):
    """Borrowing may find more than the pair's own spread at its share of 5%, never less."""
    share = own_share(*table.shape)
    best = table[int(table.mean(axis=1).argmax())]
    compared = compare(table)
    p = [paired_p(table[int(c.strategy[1:])] - best, resolution=1 / 360) for c in compared]
    adjusted, level = step_down(p, seeds=table.shape[1], alpha=0.05 * share)
    for c, most, at in zip(compared, adjusted, level, strict=True):
        low, high = paired_interval(table[int(c.strategy[1:])] - best, resolution=1 / 360, level=at)
        assert low - 1e-12 <= c.low
        assert c.high <= high + 1e-12
        assert c.p <= min(most / share, 1)
        assert c.level == (pytest.approx(at) if share == 1 else 0.95)


@given(tables)
def test_the_simulated_decision_is_the_real_one(table):
    best, worse, low, high, level = compare_many(table[None], resolution=1 / 360)
    assert not worse[0, best[0]]
    for c in compare(table):
        i = int(c.strategy[1:])
        assert (c.verdict == "worse") == worse[0, i]
        assert (c.low, c.high, c.level) == pytest.approx((low[0, i], high[0, i], level[0, i]))


def test_words():
    scores = {"a": [0.950, 0.952, 0.951], "b": [0.940, 0.941, 0.9395], "c": [0.949, 0.953, 0.950]}
    b, c = against_best("a", scores, resolution=1 / 1000)
    assert b.text == "worse by 1.08 points (97.9% interval 0.75 to 1.42, n = 3)"
    assert c.text == "cannot distinguish at n = 3 (difference -0.03 points, 95% interval -0.34 to 0.27)"
    assert (b.best, b.strategy, b.n) == ("a", "b", 3)


def test_two_strategies_coarse_scores_read_in_tenths():
    (only,) = against_best("a", {"a": [0.95, 0.95, 0.95], "b": [0.90, 0.91, 0.90]}, resolution=1 / 360)
    assert only.text.startswith("worse by 4.7 points (95% interval ")


def test_an_end_that_excludes_zero_is_not_printed_as_zero():
    (only,) = against_best("a", {"a": [0.5001, 0.5001, 0.5001], "b": [0.5, 0.5, 0.50001]}, resolution=1e-6)
    assert only.verdict == "worse"
    assert " 0.0 " not in only.text
    assert " 0.00 " not in only.text


def test_one_seed_tells_nothing_apart():
    (only,) = against_best("a", {"a": [0.99], "b": [0.10]}, resolution=1 / 360)
    assert only.text == "cannot distinguish at n = 1"
    assert math.isnan(only.low)
    assert math.isnan(only.high)
    assert (only.verdict, only.p, only.difference) == ("cannot distinguish", 1.0, pytest.approx(-0.89))


def test_equal_runs_are_not_told_apart():
    (only,) = against_best("a", {"a": [0.9, 0.91], "b": [0.9, 0.91]}, resolution=1 / 360)
    assert only.text.startswith("cannot distinguish at n = 2 (difference 0.0 points")


def test_a_strategy_alone_has_no_comparison():
    assert against_best("a", {"a": [0.9, 0.91]}, resolution=1 / 360) == ()
