"""The rules of race and ride, on simulated losses of all kinds: nothing is trained here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calando.analysis.arms import Leg, Question, Traced
from calando.analysis.ride import Settled, settle

CHANCE = math.log(10)


@dataclass(frozen=True)
class World:
    """Losses as a function of rate and update: each arm learns the faster the nearer its rate is to the best.

    Args:
        best: the best rate; `fatal`: rates from here on die, or are not finite where `explodes`.
        begins: update at which the best rate leaves chance; inf: never.
        dies_at: update after which fatal rates die.
        noise: of single losses, the same for all arms of a seed but for a tenth.
    """

    best: float = 0.05
    fatal: float = 1.0
    begins: float = 20.0
    dies_at: float = 0.0
    noise: float = 0.05
    explodes: bool = False
    spikes: bool = False
    seed: int = 0
    drawn: dict[int, np.ndarray] = field(default_factory=dict, compare=False, hash=False)

    def losses(self, rate: float, steps: int, cuts: tuple[tuple[int, float], ...]) -> np.ndarray:
        if steps not in self.drawn:
            self.drawn[steps] = np.random.default_rng(self.seed).normal(size=2000)[:steps] * self.noise
        t = np.arange(steps, dtype=float)
        now = np.full(steps, rate)
        for step, factor in cuts:
            now[step:] = rate * factor
        off = abs(math.log(rate / self.best))
        speed = 1 / (1 + off)
        known = np.clip((t - self.begins / speed) * speed / 200, 0, None) if self.begins < math.inf else 0 * t
        loss = CHANCE * (0.2 + 0.8 * np.exp(-known)) + self.drawn[steps]
        own = np.random.default_rng(round(1e6 * rate) % 2**32).normal(size=2000)[:steps]
        loss = loss + 0.1 * self.noise * own
        if self.spikes:
            loss[::97] *= 3
        dead = (now >= self.fatal) & (t >= self.dies_at)
        if dead.any():
            first = int(np.flatnonzero(dead)[0])
            loss[first:] = np.nan if self.explodes else CHANCE + self.drawn[steps][first:]
        return loss.astype(np.float32)


class Track:
    """Answers legs from a world, and keeps accounts of its own."""

    def __init__(self, question: Question, world: Callable[[float, int, tuple[tuple[int, float], ...]], np.ndarray]):
        self.question, self.world = question, world
        self.made: dict[tuple[float, int, tuple[tuple[int, float], ...]], int] = {}
        self.updates, self.looks, self.legs = 0, 0.0, list[Leg]()

    def run(self) -> Settled:
        game = settle(self.question)
        try:
            legs = next(game)
            while True:
                legs = game.send({leg: self.train(leg) for leg in legs})
                assert self.charged <= self.question.budget * self.question.steps + 1e-6
        except StopIteration as end:
            settled: Settled = end.value
            return settled

    def train(self, leg: Leg) -> Traced:
        self.legs.append(leg)
        key = (leg.rate, leg.steps, leg.cuts)
        start = self.made.get(key, leg.cuts[-1][0] if leg.cuts else 0)
        assert 0 <= start <= leg.until <= leg.steps <= self.question.steps
        if leg.cuts and key not in self.made:
            parents = [(made, other) for other, made in self.made.items() if other[0] == leg.rate and other != key]
            assert start == 0 or any(made >= start for made, _ in parents), "it starts where nobody was"
        losses = self.world(leg.rate, leg.steps, leg.cuts)[: leg.until]
        broken = np.flatnonzero(~np.isfinite(losses))
        stop = int(broken[0]) + 1 if len(broken) else leg.until
        self.updates += max(0, stop - start)
        every = self.question.look_every
        if every:
            self.looks += (stop // every - start // every) * self.question.look_cost
        self.made[key] = max(stop, start)
        return Traced(losses[:stop], diverged=len(broken) > 0)

    @property
    def charged(self) -> float:
        return self.updates + self.looks


worlds = st.builds(
    World,
    best=st.floats(1e-4, 3.0),
    fatal=st.floats(1e-3, 10.0),
    begins=st.one_of(st.floats(0, 300), st.just(math.inf)),
    dies_at=st.floats(0, 1500),
    noise=st.floats(0, 0.5),
    explodes=st.booleans(),
    spikes=st.booleans(),
    seed=st.integers(0, 99),
)
questions = st.builds(
    Question,
    steps=st.integers(100, 1500),
    rate=st.floats(1e-3, 1.0),
    budget=st.floats(1.0, 4.0),
    chance=st.one_of(st.none(), st.just(CHANCE)),
    look_every=st.integers(0, 400),
    look_cost=st.floats(0, 3),
    open=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(question=questions, world=worlds)
def test_the_budget_is_never_exceeded_and_the_accounts_agree(question: Question, world: World) -> None:
    # A look costs at most a hundredth of a run in real questions; one run of looks alone is not within one run.
    if question.look_every and question.look_cost * (question.steps // question.look_every) > 0.03 * question.steps:
        question = Question(**{**vars(question), "look_every": question.steps})
    if question.budget < 1.05:
        question = Question(**{**vars(question), "look_cost": 0.0})
    track = Track(question, world.losses)
    settled = track.run()
    assert settled.charged == pytest.approx(track.charged)
    assert settled.charged <= question.budget * question.steps + 1e-6
    made = track.made[settled.leg.rate, settled.leg.steps, settled.leg.cuts]
    assert made == settled.leg.steps or settled.died
    assert settled.low <= settled.leg.rate <= settled.high
    assert sum(arm.ending == "won" for arm in settled.arms) == 1


@settings(max_examples=40, deadline=None)
@given(question=questions, world=worlds)
def test_the_same_losses_give_the_same_legs(question: Question, world: World) -> None:
    first, second = Track(question, world.losses), Track(question, world.losses)
    assert first.run().leg == second.run().leg
    assert first.legs == second.legs


@pytest.mark.parametrize("best", [0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8])
def test_the_rate_found_is_near_the_best(best: float) -> None:
    question = Question(steps=1000, rate=0.1, chance=CHANCE)
    settled = Track(question, World(best=best, begins=10).losses).run()
    assert best / 2.01 <= settled.leg.rate <= best * 2.01
    assert settled.charged <= 1500


def test_ties_go_to_the_higher_rate() -> None:
    question = Question(steps=1000, rate=0.1, chance=CHANCE, most=0.4)
    flat = World(best=0.1, begins=0)
    settled = Track(question, lambda rate, steps, cuts: flat.losses(0.1, steps, ())).run()
    assert settled.leg.rate == pytest.approx(0.4)
    assert settled.edge


def test_an_arm_at_chance_while_a_lower_rate_learns_is_dead() -> None:
    world = World(best=0.05, fatal=0.3, begins=10)
    settled = Track(Question(steps=1000, rate=0.1, chance=CHANCE), world.losses).run()
    (dead,) = [arm for arm in settled.arms if arm.rate > 0.3]
    assert dead.ending == "dead"
    assert settled.begun is not None
    assert dead.step <= settled.begun + 20


@pytest.mark.parametrize("explodes", [False, True])
@pytest.mark.parametrize("dies_at", [200, 400])
def test_a_ride_that_dies_goes_on_lower_and_lives(dies_at: int, explodes: bool) -> None:
    world = World(best=0.1, fatal=0.09, begins=10, dies_at=dies_at, explodes=explodes)
    settled = Track(Question(steps=1000, rate=0.1, chance=CHANCE, least=0.1, most=0.1), world.losses).run()
    assert not settled.died
    assert settled.leg.cuts
    assert settled.leg.cuts[0][0] <= dies_at
    assert settled.back > 0
    assert settled.charged <= 1500


def test_where_nothing_learns_it_says_so() -> None:
    settled = Track(Question(steps=500, rate=0.1, chance=CHANCE), World(begins=math.inf).losses).run()
    assert settled.begun is None
    assert settled.died
    assert settled.charged <= 750


def test_a_spike_does_not_hide_that_an_arm_has_lost() -> None:
    world = World(best=0.1, begins=0)

    def losses(rate: float, steps: int, cuts: tuple[tuple[int, float], ...]) -> np.ndarray:
        found = world.losses(0.1, steps, cuts)
        if rate > 0.3:
            found = np.full(steps, CHANCE, np.float32)
            found[::5] = 40 * CHANCE
        return found

    settled = Track(Question(steps=400, rate=0.1, chance=CHANCE), losses).run()
    assert settled.leg.rate < 0.3
