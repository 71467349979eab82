"""The rules of whole runs as arms, on simulated scores of all kinds: nothing is trained here."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calando.analysis.arms import Leg, Question, Traced
from calando.analysis.ride import Settled
from calando.analysis.whole_arms import LEAST_RUNS, settle_whole
from calando.records.measure import SHARE

STEPS = 40
World = Callable[[float], tuple[float, float]]
"""Rate -> (score, the share of the run that was made: below 1 where it diverged)."""


class Track:
    """Answers legs from a world, and keeps accounts of its own."""

    def __init__(self, world: World, *, budget: float = 9.0, rate: float = 0.1, passes: float = 1.0) -> None:
        self.world, self.passes, self.charged = world, passes, 0.0
        self.question = Question(
            steps=STEPS, rate=rate, budget=budget * passes, per_update=passes, per_later=passes, open=False
        )
        self.asked: list[float] = []
        self.groups: list[int] = []

    def answer(self, leg: Leg) -> Traced:
        score, share = self.world(leg.rate)
        made = STEPS if share >= 1 else int(share * STEPS)
        self.charged += made * self.passes
        return Traced(np.ones(made, np.float32), diverged=share < 1, charged=made * self.passes, score=score)

    def run(self) -> Settled:
        game = settle_whole(self.question, SHARE)
        try:
            legs = next(game)
            while True:
                assert all(leg.until == leg.steps == STEPS for leg in legs)
                self.asked += [leg.rate for leg in legs]
                self.groups.append(len(legs))
                answers = {leg: self.answer(leg) for leg in legs}
                assert self.charged <= self.question.budget * STEPS + 1e-6
                legs = game.send(answers)
        except StopIteration as end:
            settled: Settled = end.value
            return settled


def peak(best: float, *, fatal: float = math.inf) -> World:
    """The score falls with the distance from the best rate; rates from `fatal` on diverge half-way."""
    return lambda rate: (0.9 - 0.05 * abs(math.log(rate / best)), 0.5 if rate >= fatal else 1.0)


kinds = st.sampled_from(["peak", "monotone", "ties", "nan", "dead", "noise", "diverges"])


def world(kind: str, seed: int) -> World:
    def score(rate: float) -> tuple[float, float]:
        drawn = np.random.default_rng([seed, round(1e6 * math.log(rate)) + 10**9])
        match kind:
            case "peak":
                return peak(10 ** np.random.default_rng(seed).uniform(-5, 2))(rate)
            case "monotone":
                return math.log(rate) / 100, 1.0
            case "ties":
                return 0.5, 1.0
            case "nan":
                return (math.nan if drawn.random() < 0.5 else drawn.random()), 1.0
            case "dead":
                return math.nan, drawn.random()
            case "diverges":
                return drawn.random(), drawn.choice([drawn.random(), 1.0])
        return drawn.random(), 1.0

    return score


@settings(max_examples=300, deadline=None)
@given(
    kinds, st.integers(0, 99), st.floats(LEAST_RUNS, 12), st.sampled_from([1e-7, 0.1, 500.0]), st.sampled_from([1, 2])
)
def test_the_budget_is_never_exceeded_and_the_best_of_all_is_the_answer(
    kind: str, seed: int, budget: float, rate: float, passes: int
) -> None:
    track = Track(world(kind, seed), budget=budget, rate=rate, passes=passes)
    settled = track.run()
    assert settled.charged == pytest.approx(track.charged)
    assert settled.charged <= budget * STEPS * passes + 1e-6
    assert settled.ride + settled.race == pytest.approx(settled.charged)
    assert len(set(track.asked)) == len(track.asked) == len(settled.arms)
    assert sum(arm.ending == "won" for arm in settled.arms) == 1
    alive = [
        arm.trace.score
        for arm in settled.arms
        if not arm.trace.diverged and arm.trace.score is not None and math.isfinite(arm.trace.score)
    ]
    winner = next(arm for arm in settled.arms if arm.ending == "won")
    assert winner.rate == settled.leg.rate
    assert settled.died == (not alive)
    if alive:
        assert winner.trace.score == max(alive)
    assert settled.low <= settled.leg.rate <= settled.high
    assert all(arm.why for arm in settled.arms)


@settings(max_examples=100, deadline=None)
@given(kinds, st.integers(0, 99), st.floats(LEAST_RUNS, 8), st.floats(0, 8))
def test_a_larger_budget_goes_on_where_a_smaller_one_ended(kind: str, seed: int, budget: float, more: float) -> None:
    small = Track(world(kind, seed), budget=budget)
    large = Track(world(kind, seed), budget=budget + more)
    first, second = small.run(), large.run()
    assert large.asked[: len(small.asked)] == small.asked
    scores = [next(arm.trace.score for arm in one.arms if arm.ending == "won") for one in (first, second)]
    if not first.died:
        assert scores[1] is not None
        assert scores[0] is not None
        assert scores[1] >= scores[0]


@pytest.mark.parametrize("best", [1e-6, 0.003, 0.1, 0.9, 100.0])
def test_a_peak_is_found_wherever_it_lies(best: float) -> None:
    settled = Track(peak(best), budget=15).run()
    assert abs(math.log2(settled.leg.rate / best)) < 0.3
    assert not settled.edge


def test_three_runs_bracket_a_rate_and_two_more_refine_it() -> None:
    track = Track(peak(0.13), budget=5)
    settled = track.run()
    assert track.asked == [0.1, 0.4, 0.025, 0.2, 0.05]
    assert settled.leg.rate == 0.1


def test_the_better_side_is_refined_first() -> None:
    track = Track(peak(0.18), budget=4)
    assert track.run().leg.rate == 0.2
    assert track.asked == [0.1, 0.4, 0.025, 0.2]


def test_what_a_failed_run_did_not_spend_buys_another() -> None:
    track = Track(lambda rate: (0.5, 0.1) if rate > 0.1 else (0.4, 1.0), budget=3)
    settled = track.run()
    assert len(track.asked) == 3
    track = Track(lambda rate: (0.5, 0.1) if rate > 0.1 or rate < 0.05 else (0.4, 1.0), budget=3)
    settled = track.run()
    assert len(track.asked) == 4
    assert settled.leg.rate == 0.1
    assert {arm.ending for arm in settled.arms if arm.trace.diverged} == {"dead"}


def test_where_all_fail_it_goes_down_to_a_rate_that_lives() -> None:
    settled = Track(peak(1e-4, fatal=1e-3), budget=9).run()
    assert settled.leg.rate < 1e-3
    assert not settled.died


def test_where_all_fail_it_ends_and_says_so() -> None:
    settled = Track(lambda rate: (math.nan, 1.0), budget=4).run()
    assert settled.died
    assert settled.begun is None


def test_the_edge_is_said_and_ties_keep_the_first() -> None:
    assert Track(lambda rate: (math.log(rate) / 100, 1.0), budget=4).run().edge
    tied = Track(lambda rate: (0.5, 1.0), budget=5).run()
    assert tied.leg.rate == 0.1
    assert not tied.edge
    assert (tied.low, tied.high) == (0.025, 0.4)
    assert any("tried first" in arm.why for arm in tied.arms)


def test_equal_scores_are_decided_by_the_loss() -> None:
    game = settle_whole(Question(steps=STEPS, rate=0.1, budget=3, open=False))
    legs = next(game)
    losses = {0.1: 0.3, 0.4: 0.2, 0.025: math.inf}
    with pytest.raises(StopIteration) as end:
        game.send({leg: Traced(np.ones(STEPS, np.float32), score=0.5, loss=losses[leg.rate]) for leg in legs})
    assert end.value.value.leg.rate == 0.4


def test_groups_are_at_most_what_can_run_side_by_side() -> None:
    track = Track(peak(0.1), budget=9)
    track.run()
    assert track.groups[0] == 3
    assert max(track.groups) == 3


@pytest.mark.parametrize(("best", "begin"), [(0.01, 1.0), (1.0, 0.01)])
def test_where_no_run_has_learned_it_looks_further_out_on_both_sides(best: float, begin: float) -> None:
    """Scores at chance differ by accident, and say nothing of where to go."""
    question = Question(steps=STEPS, rate=begin, budget=7, open=False)
    game, asked = settle_whole(question), list[float]()
    try:
        legs = next(game)
        while True:
            asked += [leg.rate for leg in legs]
            answers = {}
            for leg in legs:
                near = abs(math.log(leg.rate / best)) < 1.5
                score = 0.9 if near else 0.1 + 0.005 * ((1000 * leg.rate) % 1)
                answers[leg] = Traced(np.ones(STEPS, np.float32), score=score, rise=0.5 if near else 0.001)
            legs = game.send(answers)
    except StopIteration as end:
        settled = end.value
    assert abs(math.log(settled.leg.rate / best)) < 1.5
    assert settled.begun == 0


def test_where_nothing_is_told_apart_it_says_so_and_where_one_failed_it_goes_lower() -> None:
    game, asked = settle_whole(Question(steps=STEPS, rate=0.1, budget=6, open=False)), list[float]()
    try:
        legs = next(game)
        while True:
            asked += [leg.rate for leg in legs]
            answers = {leg: Traced(np.ones(STEPS, np.float32), leg.rate > 0.3, score=0.1, rise=0.0) for leg in legs}
            legs = game.send(answers)
    except StopIteration as end:
        settled = end.value
    assert min(asked) == asked[-1] < 0.001
    assert max(asked) == 0.4
    assert "perhaps nothing was learned" in settled.notes[0]
    assert not settled.died


def test_scores_that_rise_are_told_apart_however_close_they_end() -> None:
    game = settle_whole(Question(steps=STEPS, rate=0.1, budget=4, open=False))
    scores = {0.1: 0.99, 0.4: 0.985, 0.025: 0.98}
    legs = next(game)
    legs = game.send({leg: Traced(np.ones(STEPS, np.float32), score=scores[leg.rate], rise=0.2) for leg in legs})
    assert [leg.rate for leg in legs] == [0.2]
