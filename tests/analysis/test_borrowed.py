"""What strategies lend each other: the properties of the borrowed spread and of the table of its critical values."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from benchmarks.verdicts.noises import NOISES
from benchmarks.verdicts.tabulate import kinds, needed
from hypothesis import given
from hypothesis import strategies as st

from calando.analysis import against_best
from calando.analysis.paired import paired_sd
from calando.analysis.pooled_spread import SEEDS, STRATEGIES, TABLE, borrowed_sd, critical, lenders, own_share

H = 1 / 10_000

studies = st.tuples(st.integers(4, 9), st.integers(3, 6), st.integers(0, 10**6)).map(
    lambda t: 0.9 + 0.002 * np.random.default_rng(t[2]).standard_normal(t[:2])
)


def best_of(scores):
    return scores.mean(axis=-1).argmax(axis=-1)


def spread(scores, *, resolution=H):
    return borrowed_sd(scores, best_of(scores), resolution=resolution)


def verdicts(scores):
    named = {f"s{i}": row.tolist() for i, row in enumerate(scores)}
    return {c.strategy: c for c in against_best(f"s{best_of(scores)}", named, resolution=H)}


@given(studies, st.randoms())
def test_neither_the_order_of_strategies_nor_that_of_seeds_counts(scores, random):
    strategies = random.sample(range(len(scores)), len(scores))
    seeds = random.sample(range(scores.shape[1]), scores.shape[1])
    others = [i for i in strategies if i != best_of(scores)]
    shuffled = spread(scores[strategies][:, seeds])
    np.testing.assert_allclose(shuffled[[strategies.index(i) for i in others]], spread(scores)[others], rtol=1e-9)


@given(studies, st.integers(0, 10**6))
def test_what_all_strategies_have_in_common_at_a_seed_leaves_the_spread(scores, seed):
    common = 0.02 * np.random.default_rng(seed).standard_normal(scores.shape[1])
    # The scores' own variance decides only who is too narrow to lend, and these are all of one kind.
    if lenders(scores, resolution=H).all() and lenders(scores + common, resolution=H).all():
        np.testing.assert_allclose(spread(scores + common)[:], spread(scores), rtol=1e-6)


@given(studies, st.floats(0.01, 100))
def test_the_unit_of_the_score_does_not_count(scores, factor):
    np.testing.assert_allclose(
        spread(factor * scores, resolution=factor * H), factor * spread(scores), rtol=1e-6, atol=1e-9
    )


@given(studies)
def test_many_studies_at_once_are_each_of_them(scores):
    both = np.stack([scores, scores[::-1]])
    at_once = borrowed_sd(both, best_of(both), resolution=H)
    np.testing.assert_allclose(at_once[0], spread(scores), rtol=1e-9)
    np.testing.assert_allclose(at_once[1], spread(scores[::-1]), rtol=1e-9)


@given(studies)
def test_between_bounds(scores):
    """Never without limit, never below a third of what the pair itself shows where that is much."""
    own = paired_sd(scores - scores[best_of(scores)], resolution=H)
    lend = lenders(scores, resolution=H)
    pairs = [
        paired_sd(scores[i] - scores[j], resolution=H)
        for i in range(len(scores))
        for j in range(i)
        if lend[i] and lend[j]
    ]
    pooled = math.sqrt(np.mean(np.square(pairs)))
    borrowed = np.delete(spread(scores), best_of(scores))
    own = np.delete(own, best_of(scores))
    assert (borrowed >= pooled).all()
    assert (borrowed <= 3 * np.maximum(own, pooled) + 1e-12).all()


def test_a_borrowed_spread_scatters_less_than_the_pairs_own():
    scores = np.random.default_rng(0).standard_normal((2000, 9, 3))
    best = best_of(scores)
    others = np.arange(9) != best[:, None]
    own = paired_sd(scores - scores[np.arange(2000), best][:, None], resolution=0)[others]
    borrowed = borrowed_sd(scores, best, resolution=0)[others]
    assert np.log(borrowed).std() < 0.5 * np.log(own).std()


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(
    "fate",
    [
        pytest.param(lambda row: np.where(np.arange(row.size) == 0, 0.1, row), id="one run diverged to chance"),
        pytest.param(lambda row: np.full(row.size, 0.1), id="every run died at chance"),
    ],
)
def test_who_is_plainly_of_another_kind_lends_nothing(fate, seeds):
    rng = np.random.default_rng(1)
    same = 0
    for _ in range(50):
        scores = 0.9 + 0.002 * rng.standard_normal((8, seeds))
        scores[3] = fate(scores[3])
        assert not lenders(scores, resolution=H)[3]
        without = np.delete(scores, 3, axis=0)
        # One strategy fewer moves medians, so that once in a while another one's kind is judged otherwise.
        if (np.delete(lenders(scores, resolution=H), 3) == lenders(without, resolution=H)).all():
            same += 1
            np.testing.assert_allclose(np.delete(spread(scores), 3), spread(without), rtol=1e-9)
    assert same >= 40


def test_who_diverged_once_borrows_nothing():
    """One run of three at chance lies 28 points behind, and may be as good as any."""
    scores = 0.95 + 0.001 * np.random.default_rng(2).standard_normal((24, 3))
    scores[5, 1] = 0.1
    assert verdicts(scores)["s5"].verdict == "cannot distinguish"
    assert np.isclose(spread(scores)[5], 3 * paired_sd(scores[5] - scores[best_of(scores)], resolution=H))


def test_many_dead_strategies_take_nothing_from_the_others():
    rng = np.random.default_rng(3)
    scores = 0.9 + 0.002 * rng.standard_normal((24, 3))
    scores[0] += 0.02
    scores[12:] = 0.1
    told = verdicts(scores)
    assert [told[f"s{i}"].verdict for i in range(1, 24)] == ["worse"] * 23


def test_far_behind_and_unsteady_is_found_among_many():
    """50 points behind with a standard deviation of 6, three seeds, 24 strategies."""
    rng = np.random.default_rng(4)
    scores = 0.9 + 0.003 * rng.standard_normal((24, 3))
    scores[7] = [0.34, 0.40, 0.46]
    assert verdicts(scores)["s7"].verdict == "worse"


def test_where_no_two_are_of_one_kind_nothing_is_borrowed():
    scores = np.array([[0.9, 0.9, 0.9], [0.8, 0.8, 0.8], [0.7, 0.7, 0.7], [0.1, 0.8, 0.4]])
    assert lenders(scores, resolution=H).sum() <= 1
    assert np.isinf(spread(scores)).all()
    told = verdicts(scores)
    assert told["s1"].p <= 1
    assert (told["s3"].low, told["s3"].high) == (-1, 1)


@pytest.mark.parametrize("strategies", [4, 10, 24])
def test_one_step_of_the_score_at_every_seed_is_no_evidence(strategies):
    """However sure the others make it that nothing varies: rounding alone may put two equal scores one step apart."""
    scores = np.full((strategies, 3), 0.95) + 0.004 * np.arange(3)
    scores[1] -= 1 / 360
    scores[2:] = scores[0] - 0.3
    named = {f"s{i}": row.tolist() for i, row in enumerate(scores)}
    told = {c.strategy: c.verdict for c in against_best("s0", named, resolution=1 / 360)}
    assert told["s1"] == "cannot distinguish"
    assert set(told.values()) == {"cannot distinguish", "worse"}


def test_the_critical_value_is_that_of_the_table_and_between():
    for row, n in zip(TABLE, SEEDS, strict=True):
        assert [critical(k, n) for k in STRATEGIES] == pytest.approx(row)
    assert TABLE[0][1] >= critical(6, 3) >= TABLE[0][2] or TABLE[0][1] <= critical(6, 3) <= TABLE[0][2]
    assert critical(24, 1000) == critical(24, SEEDS[-1]) == TABLE[-1][STRATEGIES.index(24)]
    assert critical(1000, 5) > critical(100, 5) > critical(40, 5)


@given(st.integers(2, 60), st.integers(2, 40))
def test_the_own_spreads_share_falls_with_strategies_and_rises_with_seeds(k, n):
    assert 0 < own_share(k, n) <= 1
    assert own_share(k + 1, n) <= own_share(k, n) or n < 3
    assert k < 4 or n < 3 or own_share(k, n) < own_share(k, n + 1)
    assert own_share(2, n) == own_share(3, n) == own_share(k, 2) == 1


def test_the_table_is_what_its_simulation_gives():
    """Within the Monte-Carlo error of a small run, the kind that needs most needs what the table says."""
    strategies, seeds = 5, 3
    rng = np.random.default_rng(5)
    every = kinds(strategies)
    hard = [name for name in every if "one strategy" in name or "0% of spread" in name or "families" in name]
    found = [
        needed(every[name][0], strategies=strategies, seeds=seeds, studies=5000, allowed=every[name][1], rng=rng)
        for name in hard
    ]
    assert max(found) == pytest.approx(critical(strategies, seeds), rel=0.1)
    normal = needed(NOISES["normal"], strategies=strategies, seeds=seeds, studies=5000, allowed=0.053, rng=rng)
    assert normal < critical(strategies, seeds)


def test_more_seeds_need_no_more_of_a_lead():
    """Half of the interval in standard deviations of one run's score, all strategies of one kind."""
    halves = [critical(9, n) * math.sqrt(1 / n) for n in range(3, 31)]
    assert all(fewer >= more for fewer, more in pairwise(halves))
