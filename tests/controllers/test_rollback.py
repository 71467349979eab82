"""Rollback: silent on noise, quick on what went wrong, gives up in the end, and a pure function of a JSON state."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controllers.loss_traces import CHANCE, NOISE, ask, drifting_up, falling, normal, restarting, student

from calando.controllers import Observation, Rollback, state_from_json, state_to_json
from calando.errors import UsageError

UPDATES = 300
rollback = Rollback(warmup=10, every=32, tries=3, patience=100)


@pytest.mark.parametrize("noise", NOISE)
def test_noise_is_no_alarm(noise):
    """1,000 traces in all, none of them an alarm: by the rule of three fewer than 0.3 % of such runs have one."""
    alarms = []
    for seed in range(100):
        actions, _ = ask(rollback, noise(np.random.default_rng([seed, 1]), UPDATES))
        if len(actions) < UPDATES:
            alarms.append((seed, actions[-1].event))
    assert alarms == []


@pytest.mark.parametrize("noise", sorted({*NOISE} - {restarting}, key=lambda noise: noise.__name__))
def test_nor_is_it_where_chance_is_not_known(noise):
    for seed in range(20):
        actions, _ = ask(rollback, noise(np.random.default_rng([seed, 2]), UPDATES), chance=None)
        assert len(actions) == UPDATES, (seed, actions[-1].event)


@given(st.integers(0, 10**6), st.integers(40, 250), st.floats(2, 1000), st.sampled_from([normal, drifting_up]))
@settings(deadline=None, max_examples=50)
def test_a_loss_that_jumps_above_chance_is_seen_after_five_updates(seed, at, height, noise):
    rng = np.random.default_rng(seed)
    losses = noise(rng, UPDATES)
    losses[at:] = CHANCE * height * (1 + 0.1 * rng.random(UPDATES - at))
    actions, _ = ask(rollback, losses)
    # right after the start chance is the usual level, and 20 % of noise hides a loss of twice that for some updates
    assert actions[-1].rewind
    assert at + 4 <= len(actions) - 1 <= at + (4 if height > 8 else 60)


@given(st.integers(0, 10**6), st.integers(20, 250), st.floats(1.05, 3))
@settings(deadline=None, max_examples=30)
def test_an_explosion_is_seen_before_it_overflows(seed, at, pace):
    losses = normal(np.random.default_rng(seed), 2 * UPDATES)
    losses[at:] += np.minimum(pace ** np.arange(2 * UPDATES - at) - 1, 1e30)
    actions, _ = ask(rollback, losses)
    assert actions[-1].rewind
    assert len(actions) <= at + (30 if pace > 1.5 else rollback.patience + 60)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("at", [0, 1, 100])
def test_a_loss_that_is_not_finite_is_seen_at_once(loss, at):
    losses = normal(np.random.default_rng(0), UPDATES)
    losses[at] = loss
    actions, _ = ask(rollback, losses)
    assert len(actions) == at + 1
    assert actions[-1].rewind
    assert f"loss is {loss} at step {at}" in actions[-1].event


@given(st.integers(0, 10**6), st.integers(100, 200), st.floats(0, 0.03))
@settings(deadline=None, max_examples=30)
def test_a_loss_back_at_chance_level_is_seen_after_fifty_updates(seed, at, spread):
    rng = np.random.default_rng(seed)
    losses = 0.3 + (falling(rng, UPDATES) - 0.3) * 0.5
    losses[at:] = CHANCE * (1 + spread * rng.standard_normal(UPDATES - at))
    actions, _ = ask(rollback, losses)
    assert actions[-1].rewind
    assert len(actions) - 1 - at <= 52


def test_a_network_that_died_unseen_is_told_by_its_gradients():
    """At chance level from the start, as one that has not learned yet; the loop looks every 16 updates."""

    def looks(*, died):
        return lambda step: None if step % 16 else 0.92 if step >= died else 0.0

    losses = np.full(UPDATES, CHANCE)
    actions, _ = ask(rollback, losses, dead=looks(died=40))
    assert (actions[-1].rewind, len(actions) - 1) == (True, 64)
    assert "92% of its gradients are exactly zero" in actions[-1].event
    # one that never used the most of its weights, or that knows something, is none
    assert len(ask(rollback, losses, dead=looks(died=0))[0]) == UPDATES
    assert len(ask(rollback, losses * 0.5, dead=looks(died=40))[0]) == UPDATES


def test_an_explosion_that_never_recovers_is_seen_after_its_patience():
    losses = np.full(UPDATES, CHANCE * 1.01)
    losses[3] = 2.5 * CHANCE
    actions, _ = ask(rollback, losses)
    assert actions[-1].rewind
    assert rollback.patience <= len(actions) <= rollback.patience + 16


def test_a_network_that_never_learns_is_given_up_after_its_wait_and_one_that_does_is_not():
    waiting = Rollback(warmup=10, every=32, tries=3, patience=100, wait=150)
    noise = np.random.default_rng(0).normal(0, 0.02, UPDATES)
    actions, _ = ask(waiting, CHANCE + 0.01 + noise)
    assert "nothing is learned in 150 updates" in actions[-1].event
    assert 150 <= len(actions) <= 150 + 32
    late = np.where(np.arange(UPDATES) < 140, CHANCE + 0.01, 0.5 * CHANCE) + noise
    assert len(ask(waiting, late)[0]) == UPDATES


@given(st.integers(0, 10**6), st.sampled_from(NOISE))
@settings(deadline=None, max_examples=40)
def test_the_same_answers_after_a_round_trip_through_json_at_any_moment(seed, noise):
    rng = np.random.default_rng(seed)
    losses = noise(rng, 120)
    losses[rng.integers(120)] = math.nan
    one, other = rollback.initial(), rollback.initial()
    for step, loss in enumerate(losses.tolist()):
        seen = Observation(step=step, loss=loss, chance=CHANCE)
        before = state_to_json(one)
        after, action = rollback.respond(one, seen)
        assert state_to_json(one) == before
        again = state_from_json(rollback, json.loads(json.dumps(state_to_json(other))))
        other, same = rollback.respond(again, seen)
        assert (after, action) == (other, same)
        assert repr(after) == repr(other)  # the same types too
        one = after


def test_after_a_rewind_the_rate_is_cut_and_rises_from_a_tenth_of_it():
    _, state = ask(rollback, [1.0, math.nan])
    actions, state = ask(rollback, [1.0] * 30, state=state)
    share = np.minimum(1, 0.1 + 0.9 * np.arange(1, 31) / 10)
    np.testing.assert_allclose([action.multiplier for action in actions], 0.5 * share, rtol=1e-12)
    actions, _ = ask(rollback, [math.inf], state=state)
    assert actions[-1].multiplier == pytest.approx(0.25 * 0.1, rel=1e-12)


def test_it_gives_up_after_its_tries():
    state = rollback.initial()
    for tried in (1, 2, 3):
        actions, state = ask(rollback, [*normal(np.random.default_rng(tried), 50), math.nan], state=state)
        assert actions[-1].event.endswith(f"try {tried} of 3")
    (*_, last), _ = ask(rollback, [1.0, math.nan], state=state)
    assert not last.rewind
    assert last.stop == "loss is nan at step 1; rollback gave up after 3 tries, the last at 0.125 of the rate"


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_it_keeps_states_at_its_pace_and_none_within_a_spike_or_of_a_network_that_knows_nothing(seed):
    rng = np.random.default_rng(seed)
    losses = student(rng, UPDATES)
    losses[:40] = CHANCE
    losses[200:204] = 100.0
    actions, _ = ask(rollback, losses)
    kept = [step for step, action in enumerate(actions) if action.keep]
    assert len(actions) == UPDATES
    assert not kept or min(kept) > 40
    assert min(np.diff(kept), default=32) >= 32
    assert not {200, 201, 202, 203} & set(kept)


def test_it_keeps_every_so_often_while_all_is_well():
    actions, _ = ask(rollback, np.full(UPDATES, 0.5))
    assert [step for step, action in enumerate(actions) if action.keep] == list(range(31, UPDATES, 32))


@pytest.mark.parametrize(
    "options", [{"factor": 1.0}, {"factor": 0}, {"warmup": -1}, {"every": 0}, {"tries": 0}, {"patience": 0}]
)
def test_refuses_what_cannot_be(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        Rollback(**options)
