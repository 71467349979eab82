from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.analysis import planned_runs, rates_that_may_come, settle_rate


def settle(fake, scores, *, losses=None, grid=(0.01, 0.1, 1.0), **options):
    """Settle the rate of one strategy whose trial at a rate gives `scores[rate]`; missing rates stay pending."""
    study = fake.study(fake.strategy("a"), grid=grid, **options)
    runs = {}
    for lr, verdict in scores.items():
        run = study.run(study.strategies[0].at_rate(lr), seed=0)
        runs[run.digest()] = fake.record(run, verdict, loss=(losses or {}).get(lr))
    return settle_rate(study, study.strategies[0], runs)


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


@pytest.mark.parametrize(("edge", "beyond"), [("low", (0.001, 1e-4, 1e-5, 1e-6)), ("high", (10.0, 100.0, 1e3, 1e4))])
@pytest.mark.parametrize("steps", range(5))
def test_the_grid_goes_on_until_the_best_is_inside(fake, edge, beyond, steps):
    """One rate after another past the end where the best is; `steps` of them are better than the one before."""
    grid = (0.01, 0.1, 1.0)
    made = dict(zip(grid, (0.3, 0.2, 0.1) if edge == "low" else (0.1, 0.2, 0.3), strict=True))
    for place, rate in enumerate(beyond[: steps + 1]):
        choice = settle(fake, made)
        assert (choice.lr, choice.extended, [run.lr for run in choice.pending]) == (None, edge, [rate])
        assert [run.lr for run in choice.trials] == sorted([*made, rate])
        made[rate] = 0.4 + place / 10 if place < steps else 0.25
    won = (grid[0] if edge == "low" else grid[-1], *beyond)[steps]
    choice = settle(fake, made)
    assert (choice.lr, choice.extended, choice.pending) == (won, edge, ())
    assert (choice.at_edge, choice.fully_tuned) == (steps == 4, steps < 4)


@pytest.mark.parametrize("beyond", [0, 1, 3])
def test_it_goes_on_no_further_than_it_may(fake, beyond):
    made = {0.01: 0.1, 0.1: 0.2, 1.0: 0.3} | {10.0**step: 0.3 + step / 10 for step in range(1, beyond + 1)}
    choice = settle(fake, made, beyond=beyond)
    assert (choice.lr, choice.at_edge, choice.fully_tuned, choice.pending) == (10.0**beyond, True, False, ())


def test_a_score_that_no_longer_rises_towards_the_end_is_not_followed(fake):
    """A plateau that runs over the end: the rate inside does as well, whatever the losses say."""
    flat = settle(fake, {0.01: 0.9, 0.1: 0.9, 1.0: 0.9}, losses={0.01: 0.1, 0.1: 0.3, 1.0: 0.2})
    assert (flat.lr, flat.pending, flat.fully_tuned) == (0.1, (), True)
    rising = {0.01: 0.5, 0.1: 0.8, 1.0: 0.9}
    assert [run.lr for run in settle(fake, rising).pending] == [10.0]
    plateau = settle(fake, rising | {10.0: 0.9}, losses={1.0: 0.2, 10.0: 0.1})
    assert (plateau.lr, plateau.pending, plateau.fully_tuned) == (1.0, (), True)
    two = settle(fake, {0.1: 0.9, 1.0: 0.9}, grid=(0.1, 1.0))
    assert [run.lr for run in two.pending] == [0.01]  # nothing lies inside yet
    assert settle(fake, {0.01: 0.9, 0.1: 0.9, 1.0: 0.9}, grid=(0.1, 1.0)).lr == 0.1


def test_where_all_diverged_it_goes_on_below_until_one_holds(fake):
    made = dict.fromkeys((0.01, 0.1, 1.0), "diverged")
    assert [run.lr for run in settle(fake, made).pending] == [0.001]
    assert [run.lr for run in settle(fake, made | {0.001: "diverged"}).pending] == [1e-4]
    holds = made | {0.001: "diverged", 1e-4: 0.8}
    assert [run.lr for run in settle(fake, holds).pending] == [1e-5]
    found = settle(fake, holds | {1e-5: 0.6})
    assert (found.lr, found.fully_tuned, found.failed) == (1e-4, True, False)
    never = settle(fake, dict.fromkeys((1e-6, 1e-5, 1e-4, 0.001, 0.01, 0.1, 1.0), "diverged"))
    assert (never.lr, never.fully_tuned, never.failed, never.pending) == (1e-6, False, True, ())


def test_a_lowest_rate_that_diverged_says_more_than_a_higher_one_that_died(fake):
    choice = settle(fake, {0.01: "diverged", 0.1: "died", 1.0: "diverged"}, losses={0.1: 2.3})
    assert [run.lr for run in choice.pending] == [0.001]


def test_a_study_of_an_old_store_keeps_its_rule(fake):
    """One rate past the end, rounded as it was, whatever ties: else what was settled would be open again."""
    made = {0.0316: 0.9, 0.1: 0.8, 0.316: 0.7}
    choice = settle(fake, made, grid=tuple(made), beyond=None)
    assert [run.lr for run in choice.pending] == [0.00999]
    settled = settle(fake, made | {0.00999: 0.95}, grid=tuple(made), beyond=None)
    assert (settled.lr, settled.at_edge, settled.pending) == (0.00999, True, ())
    tied = settle(fake, dict.fromkeys((0.01, 0.1, 1.0), 0.9), losses=dict.fromkeys((0.01, 0.1, 1.0), 0.1), beyond=None)
    assert [run.lr for run in tied.pending] == [0.001]
    single = settle(fake, {0.1: 0.9}, grid=(0.1,), beyond=None)
    assert (single.lr, single.at_edge, single.pending) == (0.1, True, ())


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


@given(
    grid=st.lists(st.sampled_from([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]), min_size=1, max_size=5, unique=True).map(
        sorted
    ),
    quality=st.functions(like=lambda lr: None, returns=st.sampled_from([0.2, 0.5, 0.8, "diverged", "died"]), pure=True),
    beyond=st.integers(0, 5),
)
def test_the_best_of_all_wins_and_is_inside_or_said_not_to_be(fake, grid, quality, beyond):
    study = fake.study(fake.strategy("a"), grid=tuple(grid), seeds=2, beyond=beyond)
    strategy = study.strategies[0]
    may_come = None
    for runs in fake.play(study, lambda run: quality(run.lr)):
        choice = settle_rate(study, strategy, runs)
        # What may still come only shrinks, and whatever is asked for was foreseen.
        now = set(rates_that_may_come(study, strategy, choice))
        assert may_come is None or now <= may_come
        may_come = now
        assert {run.lr for run in choice.trials} <= now or choice.lr is not None
    rates = [run.lr for run in choice.trials]
    assert rates == sorted(set(rates))
    assert len(grid) <= len(rates) <= len(grid) + (beyond if len(grid) > 1 else 0)
    assert (len(rates) > len(grid)) == (choice.extended is not None)
    finished = [quality(lr) for lr in rates if not isinstance(quality(lr), str)]
    assert quality(choice.lr) == max(finished) if finished else isinstance(quality(choice.lr), str)
    assert choice.failed == (not finished)
    if choice.fully_tuned:
        assert rates[0] < choice.lr < rates[-1]
    elif finished and len(grid) > 1:
        assert len(rates) == len(grid) + beyond
    # The order in which records came in is of no account.
    assert settle_rate(study, strategy, dict(reversed(runs.items()))) == choice


def test_final_runs_start_with_the_winning_trial(fake):
    study = fake.study(fake.strategy("a"), fake.strategy("b", lr=0.5), seeds=3)
    chosen, given_ = study.strategies
    assert planned_runs(study, chosen, {}).final_runs == ()
    assert [run.seed for run in planned_runs(study, given_, {}).final_runs] == [0, 1, 2]
    *_, runs = fake.play(study, lambda run: 0.9 if run.lr == 0.1 else 0.5)
    finals = planned_runs(study, chosen, runs).final_runs
    assert [(run.lr, run.seed) for run in finals] == [(0.1, 0), (0.1, 1), (0.1, 2)]
    assert finals[0] in settle_rate(study, chosen, runs).trials
    assert len(runs) == 3 + 2 + 3
