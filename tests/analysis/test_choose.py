from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.analysis import final_runs, log_grid, settle_rate
from calando.errors import UsageError


def settle(fake, scores, *, losses=None, grid=(0.01, 0.1, 1.0)):
    """Settle the rate of one strategy whose trial at a rate gives `scores[rate]`; missing rates stay pending."""
    study = fake.study(fake.strategy("a"), grid=grid)
    runs = {}
    for lr, verdict in scores.items():
        run = study.run(study.strategies[0].at_rate(lr), seed=0)
        runs[run.digest()] = fake.record(run, verdict, loss=(losses or {}).get(lr))
    return settle_rate(study, study.strategies[0], runs)


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


def test_a_given_rate_needs_no_trial(fake):
    study = fake.study(fake.strategy("a", lr=0.3))
    choice = settle_rate(study, study.strategies[0], {})
    assert (choice.trials, choice.pending, choice.lr) == ((), (), 0.3)


def test_nothing_settles_while_a_trial_is_pending(fake):
    choice = settle(fake, {0.01: 0.5, 1.0: 0.9})
    assert choice.lr is None
    assert [run.lr for run in choice.trials] == [0.01, 0.1, 1.0]
    assert [run.lr for run in choice.pending] == [0.1]


def test_an_inner_winner_settles_at_once(fake):
    choice = settle(fake, {0.01: 0.5, 0.1: 0.9, 1.0: 0.6})
    assert (choice.lr, choice.extended, choice.at_edge, choice.pending) == (0.1, None, False, ())


@pytest.mark.parametrize(("winner", "edge", "beyond"), [(0.01, "low", 0.001), (1.0, "high", 10.0)])
def test_a_winner_on_the_edge_asks_for_one_more_point(fake, winner, edge, beyond):
    scores = dict.fromkeys((0.01, 0.1, 1.0), 0.5) | {winner: 0.9}
    choice = settle(fake, scores)
    assert (choice.lr, choice.extended) == (None, edge)
    assert [run.lr for run in choice.pending] == [beyond]
    assert [run.lr for run in choice.trials] == sorted([0.01, 0.1, 1.0, beyond])

    beaten = settle(fake, scores | {beyond: 0.7})
    assert (beaten.lr, beaten.extended, beaten.at_edge, beaten.pending) == (winner, edge, False, ())
    won = settle(fake, scores | {beyond: 0.95})
    assert (won.lr, won.extended, won.at_edge, won.pending) == (beyond, edge, True, ())


def test_the_ratio_is_that_of_the_neighbours(fake):
    low = settle(fake, {0.01: 0.9, 0.05: 0.5, 1.0: 0.5}, grid=(0.01, 0.05, 1.0))
    high = settle(fake, {0.01: 0.5, 0.05: 0.5, 1.0: 0.9}, grid=(0.01, 0.05, 1.0))
    assert [run.lr for run in low.pending + high.pending] == [0.002, 20.0]


def test_a_grid_finer_than_three_digits_still_extends_outward(fake):
    grid = (1.0, 1.0001, 1.0002)
    choice = settle(fake, {1.0: 0.5, 1.0001: 0.5, 1.0002: 0.9}, grid=grid)
    assert choice.pending[0].lr == pytest.approx(1.0003, abs=1e-7)


def test_a_single_rate_is_never_extended(fake):
    choice = settle(fake, {0.1: 0.9}, grid=(0.1,))
    assert (choice.lr, choice.extended, choice.at_edge, choice.pending) == (0.1, None, True, ())


def test_ties_go_to_the_lower_loss_then_to_the_lower_rate(fake):
    grid = (0.01, 0.1, 1.0, 10.0)
    scores = {0.01: 0.5, 0.1: 0.9, 1.0: 0.9, 10.0: 0.5}
    assert settle(fake, scores, grid=grid, losses={0.1: 0.3, 1.0: 0.2}).lr == 1.0
    assert settle(fake, scores, grid=grid, losses={0.1: 0.2, 1.0: 0.2}).lr == 0.1
    assert settle(fake, scores, grid=grid, losses={0.1: math.nan, 1.0: 5.0}).lr == 1.0


def test_where_all_failed_one_that_ran_through_says_more_than_one_that_diverged(fake):
    choice = settle(fake, {0.01: "died", 0.1: "died", 1.0: "diverged"}, losses={0.01: 2.303, 0.1: 2.301})
    assert choice.lr == 0.1


@pytest.mark.parametrize("failure", ["diverged", "died"])
def test_a_failed_trial_wins_only_where_all_failed(fake, failure):
    assert settle(fake, {0.01: failure, 0.1: 0.05, 1.0: failure}).lr == 0.1
    assert settle(fake, dict.fromkeys((0.01, 0.1, 1.0), failure)).pending[0].lr == 0.001
    all_failed = settle(fake, dict.fromkeys((0.001, 0.01, 0.1, 1.0), failure))
    assert (all_failed.lr, all_failed.at_edge) == (0.001, True)


@given(
    grid=st.lists(st.sampled_from([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]), min_size=1, max_size=5, unique=True).map(
        sorted
    ),
    quality=st.functions(like=lambda lr: None, returns=st.sampled_from([0.2, 0.5, 0.8, "diverged", "died"]), pure=True),
)
def test_at_most_one_extra_trial_and_the_best_of_all_wins(fake, grid, quality):
    study = fake.study(fake.strategy("a"), grid=tuple(grid), seeds=2)
    *_, runs = fake.play(study, lambda run: quality(run.lr))
    choice = settle_rate(study, study.strategies[0], runs)
    assert len(grid) <= len(choice.trials) <= len(grid) + (len(grid) > 1)
    assert (len(choice.trials) > len(grid)) == (choice.extended is not None)
    finished = [quality(run.lr) for run in choice.trials if not isinstance(quality(run.lr), str)]
    assert quality(choice.lr) == max(finished) if finished else isinstance(quality(choice.lr), str)
    # The order in which records came in is of no account.
    assert settle_rate(study, study.strategies[0], dict(reversed(runs.items()))) == choice


def test_final_runs_start_with_the_winning_trial(fake):
    study = fake.study(fake.strategy("a"), fake.strategy("b", lr=0.5), seeds=3)
    chosen, given_ = study.strategies
    assert final_runs(study, chosen, {}) == ()
    assert [run.seed for run in final_runs(study, given_, {})] == [0, 1, 2]
    *_, runs = fake.play(study, lambda run: 0.9 if run.lr == 0.1 else 0.5)
    finals = final_runs(study, chosen, runs)
    assert [(run.lr, run.seed) for run in finals] == [(0.1, 0), (0.1, 1), (0.1, 2)]
    assert finals[0] in settle_rate(study, chosen, runs).trials
    assert len(runs) == 3 + 2 + 3
