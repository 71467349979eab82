"""Plateau agrees with torch's ReduceLROnPlateau, is pure, and refuses what cannot be."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calando.controllers import Divergence, Observation, Plateau
from calando.errors import UsageError

losses = st.lists(st.floats(0.01, 10), min_size=1, max_size=40)


@given(losses, st.integers(1, 5), st.sampled_from([0.1, 0.5, 0.9]))
def test_same_multipliers_as_torch(values, patience, factor):
    """One evaluation a step, so that torch's patience in calls is ours in steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    # torch waits for more than `patience` bad calls, we for `patience` steps since the best
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=factor, patience=patience - 1, eps=0)
    plateau = Plateau(factor=factor, patience=patience)
    state = plateau.initial()
    for step, loss in enumerate(values):
        theirs.step(loss)
        state, action = plateau.respond(state, Observation(step=step, loss=loss, validation_loss=loss))
        assert action.multiplier == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)


@given(losses)
def test_never_changes_the_state_it_was_given_nor_falls_below_the_floor(values):
    plateau = Plateau(factor=0.1, patience=1, floor=0.05)
    state = plateau.initial()
    for step, loss in enumerate(values):
        before = dict(state)
        after, action = plateau.respond(state, Observation(step=step, loss=loss, validation_loss=loss))
        assert state == before
        assert action.multiplier >= 0.05
        state = after


def test_holds_its_multiplier_between_evaluations():
    plateau = Plateau(factor=0.5, patience=1)
    state = {"best": 1.0, "since": 3, "multiplier": 0.25}
    assert plateau.respond(state, Observation(step=9, loss=5.0))[1].multiplier == 0.25


@pytest.mark.parametrize("options", [{"factor": 1.0}, {"factor": 0}, {"patience": 0}, {"threshold": 1}, {"floor": -1}])
def test_refuses_what_cannot_be(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        Plateau(**options)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_divergence_stops_at_the_first_non_finite_loss(loss):
    assert Divergence().respond({}, Observation(step=3, loss=loss))[1].stop is not None
    assert Divergence().respond({}, Observation(step=3, loss=1e30))[1].stop is None
