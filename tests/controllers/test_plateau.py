"""Plateau agrees with torch's ReduceLROnPlateau, is pure, and refuses what cannot be."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calando.controllers import Divergence, Observation, Plateau, state_from_json, state_to_json
from calando.controllers.plateau import METRICS, PlateauState
from calando.errors import UsageError
from calando.methods.driver import Driver
from calando.schedules import linear
from calando.schedules.span import Horizon

losses = st.lists(st.floats(0.01, 10), min_size=1, max_size=40)
# few levels, so that ties and stretches without progress are common
levels = st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9, 1.0, 1.1, math.nan, math.inf]), min_size=1, max_size=60)


@given(
    levels,
    st.integers(1, 5),
    st.sampled_from([0.1, 0.5, 0.9]),
    st.integers(0, 6),
    st.sampled_from(["rel", "abs"]),
    st.sampled_from([0.0, 1e-4, 0.3]),
    st.sampled_from([0.0, 0.05, 0.6]),
    st.sampled_from(METRICS),
)
def test_same_multipliers_as_torch(values, patience, factor, cooldown, threshold_mode, threshold, floor, metric):
    """One evaluation a step, so that torch's patience in calls is ours in steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode="max" if metric == "validation_score" else "min",
        factor=factor,
        # torch waits for more than `patience` bad calls, we for `patience` steps since the best
        patience=patience - 1,
        threshold=threshold,
        threshold_mode=threshold_mode,
        cooldown=cooldown,
        min_lr=floor,
        eps=0,
    )
    plateau = Plateau(
        factor=factor,
        # of up to four updates the training loss is as it is, without smoothing
        patience=min(patience, 4) if metric == "training_loss" else patience,
        threshold=threshold,
        threshold_mode=threshold_mode,
        cooldown=cooldown,
        floor=floor,
        metric=metric,
    )
    theirs.patience = plateau.patience - 1
    state = plateau.initial()
    for step, value in enumerate(values):
        if metric == "training_loss" and not math.isfinite(value):
            value = 1.0  # such a loss is no update, and torch sees none
        theirs.step(value)
        seen = {"loss": 7.0, "validation_loss": 8.0, "validation_score": 9.0, _field(metric): value}
        state, action = plateau.respond(state, Observation(step=step, **seen))
        state = state_from_json(plateau, json.loads(json.dumps(state_to_json(state))))
        assert action.multiplier == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)


def _field(metric):
    return "loss" if metric == "training_loss" else metric


@given(losses, st.integers(1, 40))
def test_the_training_loss_is_smoothed_without_bias_over_a_quarter_of_the_patience(values, patience):
    plateau = Plateau(patience=patience, metric="training_loss", threshold=0)
    state = plateau.initial()
    share = min(1, 4 / patience)
    for step, loss in enumerate(values):
        state, _ = plateau.respond(state, Observation(step=step, loss=loss))
        weights = (1 - share) ** np.arange(step, -1, -1)
        mean = np.average(values[: step + 1], weights=weights)
        assert state.mean / state.weight == pytest.approx(mean, rel=1e-9)
    again, _ = plateau.respond(state, Observation(step=len(values), loss=math.nan))
    assert again == state


def test_a_relative_gain_on_a_loss_below_zero_is_one_further_below():
    plateau = Plateau(patience=2, threshold=0.1)
    state = plateau.initial()
    for step, (loss, best) in enumerate([(-1.0, -1.0), (-1.05, -1.0), (-1.2, -1.2)]):
        state, _ = plateau.respond(state, Observation(step=step, loss=0.0, validation_loss=loss))
        assert state.best == best


@given(losses, st.floats(0.01, 1), st.integers(1, 30))
def test_composes_with_a_schedule_in_any_order(values, scheduled, patience):
    """Its multiplier does not depend on the rate: cut and then scheduled is scheduled and then cut."""
    plateau = Plateau(factor=0.5, patience=patience)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    driver = Driver(optimizer, schedules={"lr": linear(scheduled, 1)}, horizon=Horizon(len(values)))
    state, multiplier = plateau.initial(), 1.0
    for step, loss in enumerate(values):
        driver.write(step, multiplier=multiplier)
        alone = linear(scheduled, 1).bind(len(values))(step)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(multiplier * alone, rel=1e-12)
        state, action = plateau.respond(state, Observation(step=step, loss=loss, validation_loss=loss))
        multiplier = action.multiplier


@given(losses)
def test_never_changes_the_state_it_was_given_nor_falls_below_the_floor(values):
    plateau = Plateau(factor=0.1, patience=1, floor=0.05)
    state = plateau.initial()
    for step, loss in enumerate(values):
        before = state_to_json(state)
        after, action = plateau.respond(state, Observation(step=step, loss=loss, validation_loss=loss))
        assert state_to_json(state) == before
        assert action.multiplier >= 0.05
        state = after


def test_holds_its_multiplier_between_evaluations():
    plateau = Plateau(factor=0.5, patience=1)
    state = PlateauState(best=1.0, since=3, multiplier=0.25)
    assert plateau.respond(state, Observation(step=9, loss=5.0))[1].multiplier == 0.25


@pytest.mark.parametrize(
    "options",
    [
        {"factor": 1.0},
        {"factor": 0},
        {"patience": 0},
        {"threshold": 1},
        {"threshold": -1, "threshold_mode": "abs"},
        {"threshold": math.inf, "threshold_mode": "abs"},
        {"threshold_mode": "relative"},
        {"cooldown": -1},
        {"floor": -1},
        {"metric": "loss"},
    ],
)
def test_refuses_what_cannot_be(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        Plateau(**options)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_divergence_stops_at_the_first_non_finite_loss(loss):
    assert Divergence().respond({}, Observation(step=3, loss=loss))[1].stop is not None
    assert Divergence().respond({}, Observation(step=3, loss=1e30))[1].stop is None
