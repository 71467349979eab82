"""The measurement: where a sweep stops, how its range extends, what it trains on."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import calando
from calando.analysis.suggest import RangeCurves
from calando.range_test.borrowed_update import BorrowedUpdate
from calando.range_test.found import judge_held
from calando.range_test.loss import BatchLoss
from calando.range_test.stops import begins_too_high, stop_reason
from calando.range_test.sweep import Measurement, Sweep
from calando.training.restore import restoring

DENSITY = 14  # updates a decade: 100 over seven decades
SEEDS = st.integers(0, 2**32 - 1)


def stop(losses, chance=None):
    """(why, after how many losses) a sweep with these losses ends."""
    for count in range(1, len(losses) + 1):
        if why := stop_reason(np.array(losses[:count], float), per_decade=DENSITY, chance=chance):
            return why, count
    return None, len(losses)


def fallen(seed: int, *, noise: float = 0.05, low: float = 0.3) -> np.ndarray:
    """Three flat decades, then two of falling."""
    rng = np.random.default_rng(seed)
    level = np.r_[np.full(3 * DENSITY, 2.3), np.linspace(2.3, low, 2 * DENSITY)]
    return level + rng.normal(0, noise, len(level))


@settings(max_examples=25)
@given(SEEDS)
def test_an_explosion_is_seen_within_three_updates(seed):
    curve = fallen(seed)
    assert stop(curve) == (None, len(curve))
    why, count = stop(np.r_[curve, 50.0 ** np.arange(1, 8)])
    assert why == "diverged"
    assert count == len(curve) + 3


@settings(max_examples=25)
@given(SEEDS, st.sampled_from([None, math.log(10)]), st.sampled_from([2.3, 2.4]))
def test_a_return_to_chance_is_a_death_within_half_a_decade_and_a_little(seed, chance, level):
    curve = fallen(seed)
    dead = level + 0.02 * np.random.default_rng(seed).normal(size=20)
    why, count = stop(np.r_[curve, dead], chance)
    assert why == "died"
    assert count <= len(curve) + DENSITY // 2 + 4


@settings(max_examples=25)
@given(SEEDS)
def test_a_start_above_chance_does_not_hide_a_death(seed):
    curve = fallen(seed)
    curve[: 2 * DENSITY] += np.r_[np.full(DENSITY, 3.7), np.linspace(3.7, 0, DENSITY)]
    why, count = stop(np.r_[curve, np.full(20, 2.35)], chance=math.log(10))
    assert (why, count) == ("died", len(curve) + DENSITY // 2 + 2)
    assert stop(np.r_[curve, np.full(20, 1.0)], chance=math.log(10))[0] is None


@pytest.mark.parametrize("level", [0.0, 2.3, -5.0])
def test_noise_about_a_level_hardly_ever_stops_a_sweep(level):
    rng = np.random.default_rng(0)
    width = 10 ** rng.uniform(-3, 0, (100, 1))
    white, heavy = level + width * rng.normal(size=(100, 100)), level + width * rng.standard_t(2, size=(100, 100))
    assert sum(stop(losses)[0] is not None for losses in [*white, *heavy]) <= 2


@settings(max_examples=25)
@given(SEEDS, st.lists(st.integers(10, 69), max_size=6, unique=True))
def test_two_outliers_among_five_are_forgiven(seed, places):
    curve = fallen(seed)
    for place in sorted(places):
        near = [other for other in places if abs(other - place) < 5]
        if len(near) <= 2:
            curve[place] = 1e4
    assert stop(curve)[0] is None


@settings(max_examples=25)
@given(SEEDS, st.floats(-100, 100), st.floats(0.01, 100))
def test_the_unit_and_the_zero_of_a_loss_do_not_matter(seed, shift, scale):
    rng = np.random.default_rng(seed)
    curve = np.r_[fallen(seed), rng.choice([2.3, 8.0]) + rng.normal(0, 0.05, 20)]
    assert stop(curve * scale + shift) == stop(curve)


def test_a_loss_that_first_rises_far_and_then_falls_lower_is_not_given_up_too_soon():
    catapult = np.r_[fallen(0, noise=0.01, low=1.0), np.linspace(1.0, 1.6, 6), np.linspace(1.6, 0.2, 14)]
    assert stop(catapult) == (None, len(catapult))


def test_a_curve_that_moves_in_its_first_decade_begins_too_high():
    curve = fallen(1)
    assert not begins_too_high(curve, per_decade=DENSITY, stopped=None)
    assert begins_too_high(curve[2 * DENSITY + 8 :], per_decade=DENSITY, stopped=None)
    assert begins_too_high(np.array([2.3, 40.0, 300.0]), per_decade=DENSITY, stopped="not finite")
    assert not begins_too_high(2.3 + np.random.default_rng(0).normal(size=100), per_decade=DENSITY, stopped=None)


class Quadratic(nn.Module):
    """loss = curvature / 2 * |w - batch|^2: an update of SGD explodes from rate 2 / curvature on."""

    def __init__(self, curvature: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.full((8,), 3.0, dtype=torch.float64))
        self.curvature = curvature

    def forward(self, x):
        return self.curvature / 2 * (self.w - x).square().mean() * 8


def measure(model, *, lr=0.1, repeats=2, sweep=None, group=None, batches=None, groups=None, noise=0.0):
    optimizer = torch.optim.SGD(groups or model.parameters(), lr=lr)
    update = BorrowedUpdate(loss=BatchLoss(model=model), optimizer=optimizer, device=torch.device("cpu"))
    sweep = sweep or Sweep(low=1e-6, high=10.0, steps=100, bottom=1e-12, top=1e4)
    batches = batches or iter(lambda: noise * torch.randn(8, dtype=torch.float64), None)
    with restoring(model, optimizer) as start_again:
        measurement = Measurement(update=update, batches=batches, start_again=start_again, group=group)
        return measurement.curves(sweep, repeats=repeats)


@pytest.mark.parametrize("curvature", [1e-3, 1.0, 1e3, 1e7, 1e9])
def test_the_range_extends_to_where_the_loss_falls_and_explodes(curvature):
    torch.manual_seed(0)
    curves = measure(Quadratic(curvature), noise=0.1)
    assert curves.rates[0] < 0.01 / curvature
    ended = [int(np.isfinite(row).sum()) - 1 for row in curves.losses]
    assert all(1 / curvature < curves.rates[end] < 100 / curvature for end in ended)
    assert set(curves.stopped) <= {"diverged", "not finite"}
    ratios = curves.rates[1:] / curves.rates[:-1]
    assert ratios == pytest.approx(ratios[0], rel=1e-9)
    assert ratios[0] == pytest.approx(1e7 ** (1 / 99), rel=1e-9), "as dense as was asked for"


def test_it_extends_no_further_than_it_may():
    flat = measure(Quadratic(1e-12), repeats=1)
    assert flat.stopped == (None,)
    assert flat.rates[-1] == pytest.approx(1e4, rel=0.2)
    asked = Sweep(low=1.0, high=10.0, steps=20, bottom=1.0, top=10.0)
    assert measure(Quadratic(1e-12), sweep=asked).rates[[0, -1]] == pytest.approx([1, 10])
    at_once = measure(Quadratic(1e9), sweep=asked)
    assert at_once.rates[0] == 1.0
    assert len(at_once.rates) == 20
    assert all(why is not None for why in at_once.stopped)


def test_losses_are_those_before_the_update_at_their_rate_and_repeats_go_on_with_the_batches():
    given = [torch.full((8,), (7 * i % 30) / 30, dtype=torch.float64) for i in range(30)]
    sweep = Sweep(low=1e-3, high=0.1, steps=15, bottom=1e-3, top=0.1)
    curves = measure(Quadratic(1.0), batches=iter(given), sweep=sweep)
    expected = []
    for repeat in range(2):
        w = 3.0
        for x, rate in zip(given[15 * repeat :], curves.rates, strict=False):
            expected.append(4 * (w - float(x[0])) ** 2)
            w -= rate * (w - float(x[0]))
    assert curves.losses.ravel() == pytest.approx(expected, rel=1e-12)


def test_a_gradient_that_is_not_finite_ends_a_repeat_at_once_and_is_not_applied():
    class Poisoned(Quadratic):
        def forward(self, x):
            loss = super().forward(x)
            return loss + 0 * (0 * self.w.sum()).sqrt() if loss.item() < 30 else loss

    curves = measure(Poisoned(1.0), repeats=1)
    assert curves.stopped == ("not finite",)
    assert np.nanmin(curves.losses) < 30
    assert int((curves.losses < 30).sum()) == 1


def without_norm(depth: int = 6) -> nn.Module:
    torch.manual_seed(0)
    layers = itertools.chain.from_iterable((nn.Linear(16, 16), nn.ReLU()) for _ in range(depth))
    return nn.Sequential(*layers, nn.Linear(16, 4))


def test_a_network_without_normalisation_dies_and_the_sweep_ends_there():
    x = torch.randn(1024, 16, generator=torch.Generator().manual_seed(0))
    y = x[:, :4].argmax(1)
    batches = list(zip(x.split(64), y.split(64), strict=True))
    model = without_norm()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    found = calando.find_lr(model, optimizer, F.cross_entropy, batches, steps=160, repeats=3)
    assert "died" in found.curves.stopped
    rate = found.suggestion.decayed.rate
    assert 1e-3 < rate < 0.1
    ended = [found.curves.rates[int(np.isfinite(row).sum()) - 1] for row in found.curves.losses]
    assert max(ended) < 60 * rate


def test_holding_tells_life_from_death():
    curves = measure(Quadratic(1.0), noise=0.1)
    start = float(curves.losses[0, 0])
    for losses, outcome in (
        (np.linspace(start, 0.1, 40), "lives"),
        (np.full(40, start), "no better"),
        (np.r_[np.linspace(start, 0.1, 20), np.full(20, start)], "no better"),
        (np.geomspace(start, 100 * start, 40), "diverged"),
        (np.array([start, np.nan]), "not finite"),
    ):
        assert judge_held(curves, losses, rate=0.1).outcome == outcome


@pytest.mark.parametrize(
    ("kept", "outcome"), [(0.28, "no better"), (0.64, "no better"), (0.8, "lives"), (2.0, "lives")]
)
def test_a_network_that_keeps_little_of_the_gain_does_not_live(kept, outcome):
    rates = np.geomspace(1e-6, 10, 100)
    curves = RangeCurves.from_arrays(rates, 2 - 1 / (1 + 0.01 / rates))
    one = judge_held(curves, np.full(40, 2 - kept * float(2 - curves.losses[0, -5:].mean())), rate=0.1)
    assert one.outcome == ("lives" if kept > 0.75 else "no better")
    assert one.kept == pytest.approx(kept, abs=0.02)


def test_a_network_at_chance_does_not_live_however_high_it_began():
    rates = np.geomspace(1e-6, 10, 100)
    losses = 5 - 4 / (1 + 0.01 / rates)
    for known in ({"trivial": 2.3}, {}):
        curves = RangeCurves.from_arrays(rates, losses, chance=None if known else 2.3)
        assert judge_held(curves, np.full(40, 2.3), rate=0.1, **known).outcome == "no better"
        assert judge_held(curves, np.full(40, 1.1), rate=0.1, **known).outcome == "lives"
    unlearned = RangeCurves.from_arrays(rates, losses)
    mean_alone = judge_held(unlearned, np.full(40, 1.0), rate=0.1, trivial=0.9)
    assert mean_alone.outcome == "no better"
    assert "no more than the mean of its targets" in mean_alone.failure
