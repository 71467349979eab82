"""The rules of other hyper-parameters, on simulated losses and scores: nothing is trained here."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.analysis.test_race import CHANCE, World

from calando.analysis.also import LEAST_RUNS, RATE_RUNS, Proposed, Tried, Unknown, settle_also
from calando.analysis.arms import Leg, Question, Traced
from calando.analysis.ride import Settled
from calando.records.measure import SHARE

STEPS = 400


def question(budget: float, *, passes: float = 1.0) -> Question:
    return Question(
        steps=STEPS,
        rate=0.05,
        budget=budget * passes,
        chance=CHANCE,
        look_every=40,
        look_cost=1.0,
        per_update=passes,
        per_later=passes,
    )


class Track:
    """Answers legs from a world, proposes what it is given, and keeps accounts of its own."""

    def __init__(
        self, scores: Sequence[float], *, budget: float, world: World | None = None, passes: float = 1
    ) -> None:
        self.scores, self.world, self.passes = scores, world or World(), passes
        self.question = question(budget, passes=passes)
        self.charged, self.seen, self.stays = 0.0, list[list[Tried]](), False
        self.made: dict[tuple[float, int, tuple, Proposed], int] = {}

    def propose(self, tried: Sequence[Tried]) -> Proposed:
        self.seen.append(list(tried))
        return (("momentum", 0.8), ("weight_decay", 10.0 ** -len(tried)))

    def answer(self, leg: Leg) -> Traced:
        key = leg.rate, leg.steps, leg.cuts, leg.also
        before = self.made.get(key, leg.cuts[-1][0] if leg.cuts else 0)
        score = self.scores[(len(self.seen)) % len(self.scores)]
        failed = math.isnan(score) and bool(leg.also)
        losses = self.world.losses(leg.rate, leg.steps, leg.cuts)[: leg.until]
        if leg.also and self.stays:
            losses = np.full(leg.until, CHANCE, np.float32)
        if failed:
            losses = losses[: STEPS // 3]
        bad = np.flatnonzero(~np.isfinite(losses))
        diverged = failed or len(bad) > 0
        losses = losses[: bad[0] + 1] if len(bad) else losses
        stop = len(losses)
        self.charged += max(0, stop - before) * self.passes + (stop // 40 - before // 40)
        self.made[key] = stop
        return Traced(losses, diverged=diverged, charged=stop * self.passes, score=None if diverged else score)

    def run(self) -> Settled:
        game = settle_also(self.question, self.propose, own={"momentum": 0.9}, sums=True, measure=SHARE)
        try:
            legs = next(game)
            while True:
                answers = {leg: self.answer(leg) for leg in legs}
                assert self.charged <= self.question.budget * STEPS + 1e-6
                legs = game.send(answers)
        except StopIteration as end:
            settled: Settled = end.value
            return settled


scores = st.lists(st.one_of(st.floats(0, 1), st.just(0.5), st.just(math.nan)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(scores, st.floats(LEAST_RUNS, 8), st.integers(0, 9), st.sampled_from([1.0, 2.0]), st.booleans())
def test_the_budget_is_never_exceeded_and_the_best_on_validation_is_the_answer(
    drawn: list[float], budget: float, seed: int, passes: float, spikes: bool
) -> None:
    drawn = [0.5 if math.isnan(drawn[0]) else drawn[0], *drawn[1:]]
    track = Track(drawn, budget=budget, passes=passes, world=World(seed=seed, spikes=spikes))
    settled = track.run()
    assert settled.charged == pytest.approx(track.charged)
    assert settled.charged <= budget * STEPS * passes + 1e-6
    (winner,) = [arm for arm in settled.arms if arm.ending == "won"]
    assert (winner.rate, winner.also) == (settled.leg.rate, settled.leg.also)
    tried = [arm for arm in settled.arms if arm.also]
    alive = [arm.trace.score for arm in tried if arm.trace.score is not None]
    assert winner.trace.score is not None
    assert winner.trace.score >= max(alive, default=-1)
    assert all(arm.why for arm in tried)


def test_the_rate_is_settled_by_one_and_a_half_runs_whatever_the_budget() -> None:
    small, large = (Track([0.5], budget=budget).run() for budget in (3.0, 8.0))
    raced = [[arm.rate for arm in one.arms if not arm.also] for one in (small, large)]
    assert raced[0] == raced[1]
    assert small.charged - small.also - STEPS * 10 / 400 <= RATE_RUNS * STEPS
    assert len([arm for arm in small.arms if arm.also]) == 1
    assert len([arm for arm in large.arms if arm.also]) >= 6


def test_a_tie_keeps_the_strategys_own_and_a_better_one_wins() -> None:
    tied = Track([0.5], budget=5).run()
    assert tied.leg.also == ()
    assert all("the same as that of" in arm.why for arm in tied.arms if arm.also)
    better = Track([0.5, 0.6, 0.7], budget=5).run()
    assert dict(better.leg.also)["weight_decay"] == 0.01
    assert better.leg.until == STEPS


def test_a_proposal_hears_of_all_runs_before_it_the_settled_rate_first() -> None:
    track = Track([0.5, 0.6, math.nan, 0.4], budget=5)
    track.run()
    assert [len(seen) for seen in track.seen][:3] == [1, 2, 3]
    assert track.seen[0] == [Tried((), 0.5)]
    assert [one.merit for one in track.seen[2]] == [0.5, 0.6, None]


def test_the_length_of_a_step_is_kept_where_momentum_sums_gradients() -> None:
    settled = Track([0.5, 0.6], budget=3).run()
    own = next(arm.rate for arm in settled.arms if not arm.also and arm.ending == "lost" and arm.step == STEPS)
    assert settled.leg.rate / (1 - 0.8) == pytest.approx(own / (1 - 0.9))
    assert settled.low <= settled.leg.rate <= settled.high


def test_where_nothing_learns_nothing_else_is_tried() -> None:
    settled = Track([0.5], budget=5, world=World(begins=math.inf)).run()
    assert settled.begun is None
    assert settled.charged <= RATE_RUNS * STEPS


def test_what_stays_at_chance_is_dropped_and_leaves_its_budget_to_others() -> None:
    track = Track([0.5, 0.9], budget=3)
    track.stays = True
    settled = track.run()
    dead = [arm for arm in settled.arms if arm.also]
    assert len(dead) > 1
    assert {(arm.ending, arm.step) for arm in dead} == {("dead", round(0.35 * STEPS))}
    assert all("at chance at update 140" in arm.why for arm in dead)
    assert all(one.merit is None for one in track.seen[-1][1:])
    assert settled.leg.also == ()


def test_an_unknown_proposal_ends_the_replay() -> None:
    track = Track([0.5], budget=3)
    track.propose = lambda tried: None  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(Unknown):
        track.run()
