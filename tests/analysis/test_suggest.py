"""The judgement of a range test: what it must not depend on, what it must find, and when it must say that it cannot."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calando.analysis.range_curves import RULES, RangeCurves
from calando.analysis.suggest import suggest
from calando.errors import UsageError

RATES = np.geomspace(1e-6, 10, 100)
CHANCE = math.log(10)
SEEDS = st.integers(0, 2**32 - 1)


def network(seed, *, fall=0.01, edge=0.5, noise=0.05, bottom=0.2, start=2.3, dies=False, repeats=3, rates=RATES):
    """Repeats of a loss that is half fallen at `fall` and comes back at `edge`: it explodes, or dies at `start`."""
    generator = np.random.default_rng(seed)
    x, steepness = np.log(rates), 2.0
    fallen = 1 / (1 + np.exp(-steepness * (x - math.log(fall))))
    loss = start - (start - bottom) * fallen
    over = np.maximum(x - math.log(edge), 0)
    loss = np.where(over > 0, start if dies else start + 3 * over**2, loss)
    return loss + generator.normal(0, noise, (repeats, len(rates)))


def quadratic(seed, *, sharpness, rates=RATES, repeats=3, momentum=0.0, dims=20):
    """Sweeps of noisy gradient descent on a quadratic with curvatures up to `sharpness`.

    It is stable up to 2 (1 + momentum) / sharpness, and not beyond.
    """
    generator = np.random.default_rng(seed)
    curvature = np.geomspace(sharpness / 30, sharpness, dims)
    losses = np.full((repeats, len(rates)), np.nan)
    for row in losses:
        place, speed = np.ones(dims) / np.sqrt(curvature), np.zeros(dims)
        for index, rate in enumerate(rates):
            row[index] = 0.5 * float(curvature @ place**2) * (1 + 0.03 * generator.normal())
            if not np.isfinite(row[index]) or row[index] > 1e30:
                row[index:] = np.nan
                break
            noise = 0.02 * np.sqrt(curvature) * generator.normal(size=dims)
            speed = momentum * speed + curvature * place + noise
            place = place - rate * speed
    return losses


def judged(losses, rates=RATES, **told):
    return suggest(RangeCurves.from_arrays(rates, losses, **told))


def rates_of(found):
    """Every rate that is said, lowest and highest included."""
    every = [found.decayed, found.constant, *found.rules.values()]
    return np.array([number for rule in every for number in (rule.rate, rule.low, rule.high)] + [found.diverged_at])


@given(seed=SEEDS, factor=st.floats(1e-4, 1e4))
@settings(max_examples=30)
def test_scaling_the_rates_scales_what_is_suggested(seed, factor):
    losses = network(seed)
    here, there = judged(losses, chance=CHANCE), judged(losses, RATES * factor, chance=CHANCE)
    np.testing.assert_allclose(rates_of(there), factor * rates_of(here), rtol=1e-9)
    assert there.doubts == here.doubts


@given(seed=SEEDS, factor=st.floats(1e-3, 1e3), shift=st.floats(-100, 100), dies=st.booleans())
@settings(max_examples=30)
def test_the_unit_of_the_loss_and_its_zero_do_not_matter(seed, factor, shift, dies):
    losses = network(seed, dies=dies)
    here = judged(losses)
    there = judged(factor * (losses + shift))
    np.testing.assert_allclose(rates_of(there), rates_of(here), rtol=1e-6)
    assert there.doubts == here.doubts


@given(seed=SEEDS, order=st.permutations(range(4)), stop=st.integers(60, 99))
@settings(max_examples=30)
def test_the_order_of_the_repeats_does_not_matter(seed, order, stop):
    losses = network(seed, repeats=4)
    losses[1, stop:] = np.nan
    stopped = [None, "diverged", None, None]
    here = judged(losses, stopped=stopped)
    there = judged(losses[order], stopped=[stopped[place] for place in order])
    np.testing.assert_allclose(rates_of(there), rates_of(here), rtol=1e-12)
    assert (there.doubts, there.reasons, there.explanation) == (here.doubts, here.reasons, here.explanation)


@given(
    seed=SEEDS,
    fall=st.floats(1e-4, 1e-2),
    width=st.floats(10, 300),
    dies=st.booleans(),
    noise=st.floats(0, 0.2),
    start=st.floats(2.3, 3.0),
)
@settings(max_examples=60)
def test_the_middle_of_a_valley_is_found_however_it_ends(seed, fall, width, dies, noise, start):
    edge = min(fall * width, 5.0)
    found = judged(network(seed, fall=fall, edge=edge, noise=noise, dies=dies, start=start), chance=CHANCE)
    assert found.decayed.rate == pytest.approx(math.sqrt(fall * edge), rel=0.4)
    assert found.diverged_at == pytest.approx(edge, rel=0.4)
    assert found.decayed.low <= found.decayed.rate <= found.decayed.high
    assert not set(found.doubts) - {"disagree"}, found.reasons


@given(seed=SEEDS, sharpness=st.floats(1, 1e4), momentum=st.sampled_from([0.0, 0.5, 0.9]))
@settings(max_examples=25)
def test_a_quadratic_s_stability_limit_bounds_what_is_suggested(seed, sharpness, momentum):
    limit = 2 * (1 + momentum) / sharpness
    rates = RATES * 100 / sharpness
    found = judged(quadratic(seed, sharpness=sharpness, rates=rates, momentum=momentum), rates)
    assert found.reliable, found.reasons
    assert found.decayed.rate < limit
    assert found.rules["steepest"].rate < limit
    # an explosion takes a few updates to show, in each of which the rate has grown by a sixth
    assert limit < found.diverged_at < 4 * limit


def test_death_counts_as_divergence():
    """Loss back at chance, for good, without an explosion: the largest stable rate lies before it."""
    alive = judged(network(0, edge=0.1, dies=False), chance=CHANCE)
    dead = judged(network(0, edge=0.1, dies=True), chance=CHANCE)
    assert dead.rules["largest stable"].rate == pytest.approx(alive.rules["largest stable"].rate, rel=0.1)
    assert dead.rules["largest stable"].rate < 0.12
    assert dead.decayed.rate == pytest.approx(alive.decayed.rate, rel=0.1)
    assert "dies" in dead.explanation
    assert "explodes" in alive.explanation
    assert "dies" not in alive.explanation


@pytest.mark.parametrize("dies", [True, False])
def test_a_repeat_that_was_stopped_says_what_it_would_have_said(dies):
    whole = network(1, dies=dies)
    cut = whole.copy()
    cut[:, 88:] = np.nan
    reason = "died" if dies else "diverged"
    here, there = judged(whole, chance=CHANCE), judged(cut, chance=CHANCE, stopped=[reason] * 3)
    np.testing.assert_allclose(rates_of(there), rates_of(here), rtol=0.05)
    assert np.isnan(there.smoothed.median[88:]).all()
    assert np.isfinite(there.smoothed.median[:88]).all()


def test_one_repeat_of_three_that_goes_wrong_early_does_not_move_the_answer_far():
    good = network(2)
    bad = good.copy()
    bad[1, 60:] = np.nan
    moved = judged(bad, chance=CHANCE).decayed.rate / judged(good, chance=CHANCE).decayed.rate
    assert 1 / 3 < moved < 1.5


@given(seed=SEEDS, sd=st.floats(1e-4, 1.0), repeats=st.integers(2, 5), known=st.booleans())
@settings(max_examples=60)
def test_pure_noise_is_no_fall(seed, sd, repeats, known):
    losses = 2.5 + np.random.default_rng(seed).normal(0, sd, (repeats, 100))
    found = judged(losses, chance=2.5 if known else None)
    assert not found.reliable
    assert found.doubts[0] in ("noise", "nothing learned")
    assert found.decayed.rate is None
    assert found.diverged_at is None


@pytest.mark.parametrize("loss", [2.302585, 0.0, -7.0, 1e-30])
@pytest.mark.parametrize("repeats", [1, 3])
def test_a_flat_curve_is_flat(loss, repeats):
    found = judged(np.full((repeats, 100), loss))
    assert found.doubts == ("flat",)
    assert found.decayed.rate is None
    assert all(rule.rate is None and math.isnan(rule.low) for rule in found.rules.values())


@given(seed=SEEDS, kept=st.floats(0.8, 0.9))
@settings(max_examples=30)
def test_noise_that_wanders_is_no_fall_either(seed, kept):
    """Each value `kept` times the one before, and a little: from update to update it looks quiet."""
    white = np.random.default_rng(seed).normal(0, 0.1 * math.sqrt(1 - kept**2), (4, 400))
    for column in range(1, 400):
        white[:, column] += kept * white[:, column - 1]
    assert judged(2.3 + white[:, 300:]).doubts[0] in ("noise", "diverged at once")


@pytest.mark.parametrize("begins", [50, 85])
def test_an_explosion_alone_is_no_fall(begins):
    losses = 2.3 + np.random.default_rng(8).normal(0, 0.05, (3, 100))
    losses[:, begins:] += 1.5 ** np.arange(100 - begins)
    found = judged(losses, chance=CHANCE)
    assert found.doubts[0] in ("noise", "nothing learned")
    assert found.decayed.rate is None
    assert "explodes" in found.explanation


def test_a_spike_at_the_first_rates_is_no_divergence():
    losses = 2.3 + np.random.default_rng(8).normal(0, 0.05, (3, 100))
    losses[:, 8:12] += 3
    assert judged(losses, chance=CHANCE).doubts == ("noise",)


def test_a_spike_that_the_network_recovers_from_is_not_the_end():
    losses = network(9, edge=0.5)
    spiked = losses.copy()
    spiked[:, 68:72] = 2.3
    here, there = judged(losses), judged(spiked)
    assert there.diverged_at == pytest.approx(here.diverged_at, rel=0.02)
    assert there.decayed.rate == pytest.approx(here.decayed.rate, rel=0.05)


def test_two_valleys_disagree():
    """The loss is lowest at a hundredth of the rate at which it is lost for good."""
    losses = network(10, fall=1e-4, edge=5.0, bottom=0.8)
    losses[:, 35:40] -= 0.6
    found = judged(losses)
    assert found.doubts == ("disagree",)
    assert "factor" in found.reasons[0]


def test_the_explanation_says_how_it_ends():
    explodes, never, stops, hovers = (network(11, edge=edge) for edge in (0.5, 1e9, 0.5, 1e9))
    stops[:, 84:] = np.nan
    hovers[:, 80:] = 1.6 + np.random.default_rng(0).normal(0, 0.05, (3, 20))
    for losses, words in (
        (explodes, "the loss explodes"),
        (never, "where too large begins was not seen"),
        (stops, "no longer finite"),
        (hovers, "neither explodes nor comes back"),
    ):
        assert words in judged(losses).explanation
    assert "already falls" in judged(network(11, fall=1e-6)).explanation


def test_a_fall_to_chance_and_no_further_is_nothing_learned():
    losses = network(3, start=2.9, bottom=CHANCE + 0.02, noise=0.02)
    assert judged(losses, chance=CHANCE).doubts == ("nothing learned",)
    assert judged(losses).reliable  # what chance is has to be known for that


@given(seed=SEEDS, kept=st.floats(0.001, 0.04))
@settings(max_examples=20)
def test_a_network_that_has_barely_begun_to_learn_says_little(seed, kept):
    losses = network(seed, start=CHANCE, bottom=CHANCE * (1 - kept), noise=0.0005)
    found = judged(losses, chance=CHANCE)
    assert found.doubts == ("barely learned",)
    assert found.decayed.rate == pytest.approx(math.sqrt(0.01 * 0.5), rel=0.4)
    assert judged(losses).reliable  # without it the loss has no zero to measure from


def test_a_curve_without_an_end_never_diverged():
    found = judged(network(4, edge=1e9))
    assert found.doubts == ("never diverged",)
    assert "10" in found.reasons[0]
    assert found.decayed.rate is None
    assert found.diverged_at is None
    assert found.rules["steepest"].rate == pytest.approx(0.01, rel=0.5)


@pytest.mark.parametrize("begins", [0, 1, 4, 10])
def test_a_curve_that_is_lost_from_the_first_rate_on_diverged_at_once(begins):
    losses = 2.3 + np.random.default_rng(5).normal(0, 0.05, (3, 100))
    losses[:, begins:] += np.arange(100 - begins) ** 2
    assert judged(losses, chance=CHANCE).doubts == ("diverged at once",)
    losses[:, begins + 3 :] = np.nan
    found = judged(losses, chance=CHANCE, stopped=["diverged"] * 3)
    assert found.doubts == ("diverged at once",)
    assert found.decayed.rate is None


def test_a_curve_that_falls_from_the_first_rate_on_began_too_high():
    rates = np.geomspace(0.01, 10, 60)
    found = judged(network(6, fall=0.01, rates=rates), rates)
    assert found.doubts[0] == "fell at once"
    assert "start lower" in found.reasons[0]


def test_repeats_that_contradict_each_other_are_not_relied_on():
    losses = np.concatenate([network(7, edge=0.05, repeats=1), network(7, edge=9.0, fall=0.03, repeats=2)])
    assert "repeats disagree" in judged(losses).doubts


@given(
    seed=SEEDS,
    repeats=st.integers(1, 4),
    n=st.integers(10, 150),
    scale=st.sampled_from([1e-300, 1e-3, 1.0, 1e30, 1e200]),
    holes=st.booleans(),
    chance=st.sampled_from([None, 0.0, 2.3, -1e5]),
)
@settings(max_examples=150)
def test_whatever_comes_is_judged_in_whole_sentences(seed, repeats, n, scale, holes, chance):
    generator = np.random.default_rng(seed)
    losses = scale * generator.standard_cauchy((repeats, n)).cumsum(axis=1)
    if holes:
        for row in losses:
            row[generator.integers(0, n) :] = np.nan
    found = judged(losses, np.geomspace(1e-5, 1, n), chance=chance)
    assert found.reliable == (not found.doubts) == (not found.reasons)
    assert len(found.doubts) == len(found.reasons)
    assert found.explanation.endswith(".")
    assert not {"nan", "inf"} & set(found.explanation.replace(".", " ").replace(",", " ").split())
    assert tuple(found.rules) == RULES
    for rule in (found.decayed, found.constant, *found.rules.values()):
        assert rule.rate is None or 0 < rule.low <= rule.rate <= rule.high < math.inf
    if found.reliable:
        assert found.decayed.rate is not None
        assert found.constant.rate < found.decayed.rate < found.diverged_at


def test_curves_are_checked_at_the_door():
    rates, losses = np.geomspace(0.1, 1, 12), np.ones((2, 12))
    for wrong in (
        lambda: RangeCurves.from_arrays(rates[:9], losses[:, :9]),
        lambda: RangeCurves.from_arrays(rates, losses[:, :11]),
        lambda: RangeCurves.from_arrays(rates[::-1], losses),
        lambda: RangeCurves.from_arrays(np.linspace(0.1, 1, 12), losses),
        lambda: RangeCurves.from_arrays(-rates, losses),
        lambda: RangeCurves.from_arrays(np.full(12, np.nan), losses),
        lambda: RangeCurves.from_arrays(rates, losses, chance=math.nan),
        lambda: RangeCurves.from_arrays(rates, losses, stopped=["diverged"]),
        lambda: RangeCurves.from_arrays(rates, losses, stopped=["diverged", "bored"]),
        lambda: RangeCurves.from_arrays(rates, np.ones((2, 2, 12))),
    ):
        with pytest.raises(UsageError) as refused:
            wrong()
        assert "\n" not in str(refused.value)


def test_nothing_follows_a_loss_that_is_not_finite():
    losses = np.ones((2, 12))
    losses[1, 5] = np.inf
    curves = RangeCurves.from_arrays(np.geomspace(0.1, 1, 12), losses)
    assert curves.stopped == (None, "not finite")
    assert np.isnan(curves.losses[1, 5:]).all()
    assert np.isfinite(curves.losses[1, :5]).all()
    assert np.isfinite(losses[1, 6:]).all()  # the caller's own array is as it was


@given(seed=SEEDS, usual=st.floats(1e-5, 1e3))
@settings(max_examples=30)
def test_the_recommendation_is_half_way_to_the_usual_rate_and_no_further_than_a_factor_of_two(seed, usual):
    curves = RangeCurves.from_arrays(RATES, network(seed), chance=CHANCE)
    alone, drawn = suggest(curves), suggest(curves, usual=usual)
    assert drawn.rules == alone.rules
    assert drawn.doubts == alone.doubts
    for before, after in zip(
        (alone.decayed.rate, alone.constant.rate), (drawn.decayed.rate, drawn.constant.rate), strict=True
    ):
        moved = after / before
        assert 0.5 * (1 - 1e-12) <= moved <= 2 * (1 + 1e-12)
        if 0.5 < moved < 2:
            assert math.isclose(moved, math.sqrt(usual / alone.rules["valley"].rate), rel_tol=1e-9)
    assert drawn.decayed.low <= drawn.decayed.rate <= drawn.decayed.high
    assert f"the {usual:.2g} that is usual" in drawn.explanation


def test_what_is_usual_says_nothing_where_nothing_was_learned():
    found = suggest(RangeCurves.from_arrays(RATES, np.full(100, 2.3), chance=CHANCE), usual=0.1)
    assert found.decayed.rate is None
    assert "usual" not in found.explanation
