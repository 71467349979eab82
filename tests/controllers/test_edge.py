"""The cap from slope and curvature: never raises a rate, is at the edge of a parabola, is pure and survives JSON."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.controllers import Observation, state_from_json, state_to_json
from calando.controllers.edge import Edge
from calando.errors import UsageError

positive = st.floats(1e-6, 1e6)
anything = st.floats(-1e9, 1e9)


def after(edge, measurements):
    state = edge.initial()
    for slope, curvature in measurements:
        state = edge.measure(state, slope=slope, curvature=curvature)
    return state


@given(st.lists(st.tuples(anything, anything), max_size=10), positive, st.integers(0, 200), st.floats(0.01, 2))
def test_is_a_cap(measurements, rate, step, sigma):
    edge = Edge(until=100, sigma=sigma)
    assert 0 <= edge.multiplier(after(edge, measurements), step=step, rate=rate) <= 1


@given(positive, st.floats(0.001, 1000), st.floats(0.1, 2))
def test_of_a_parabola_it_is_sigma_over_the_curvature_wherever_one_stands(height, curvature, sigma):
    edge = Edge(until=10, sigma=sigma, eps=1e-300)
    gradients = [curvature * height, curvature * height / 3]
    state = after(edge, [(g**2, curvature * g**2) for g in gradients])
    rate = 10 * sigma / curvature
    assert rate * edge.multiplier(state, step=0, rate=rate) == pytest.approx(sigma / curvature, rel=1e-9)
    low = 0.1 * sigma / curvature
    assert edge.multiplier(state, step=0, rate=low) == 1


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 10)), min_size=1, max_size=20), st.floats(0, 0.99))
def test_the_averages_are_weighted_means_of_what_was_measured(measurements, smoothing):
    edge = Edge(until=1, smoothing=smoothing)
    state, count = after(edge, measurements), len(measurements)
    weights = [smoothing ** (count - 1 - i) * (1 if i == 0 else 1 - smoothing) for i in range(count)]
    assert sum(weights) == pytest.approx(1)
    for place, key in enumerate(["slope", "curvature"]):
        wanted = sum(w * m[place] for w, m in zip(weights, measurements, strict=True))
        assert getattr(state, key) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@given(anything, anything)
def test_is_pure_and_survives_json(slope, curvature):
    edge = Edge(until=5)
    state = edge.measure(edge.initial(), slope=1.0, curvature=2.0)
    before = state_to_json(state)
    following = edge.measure(state, slope=slope, curvature=curvature)
    assert state_to_json(state) == before
    assert state_from_json(edge, json.loads(json.dumps(state_to_json(following)))) == following


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_passed_over(odd):
    edge = Edge(until=5)
    state = edge.measure(edge.initial(), slope=1.0, curvature=2.0)
    assert edge.measure(state, slope=odd, curvature=1.0) == state
    assert edge.measure(state, slope=1.0, curvature=odd) == state


def test_a_direction_that_climbs_stops_and_a_bend_downwards_counts_as_one_upwards():
    edge = Edge(until=5, smoothing=0.0)
    assert edge.multiplier(after(edge, [(-1.0, 2.0)]), step=0, rate=0.1) == 0
    assert after(edge, [(1.0, -2.0)]) == after(edge, [(1.0, 2.0)])


def test_says_nothing_before_a_measurement_after_its_part_and_of_no_rate():
    edge = Edge(until=5)
    low = after(edge, [(1e-9, 1.0)])
    assert edge.multiplier(edge.initial(), step=0, rate=1.0) == 1
    assert edge.multiplier(low, step=4, rate=1.0) < 1e-6
    assert edge.multiplier(low, step=5, rate=1.0) == 1
    assert edge.multiplier(low, step=0, rate=0.0) == 1


@given(st.floats(0.5, 50), st.floats(0.01, 10))
def test_descent_under_the_cap_never_diverges_on_a_bowl(sharpness, rate):
    """Two axes, the other with curvature 1; the rate alone diverges where it is above 2 / sharpness."""
    edge = Edge(until=1000, sigma=1.0)
    x, y, state = 1.0, 1.0, edge.initial()
    for step in range(100):
        gx, gy = sharpness * x, y
        state = edge.measure(state, slope=gx**2 + gy**2, curvature=sharpness * gx**2 + gy**2)
        capped = rate * edge.multiplier(state, step=step, rate=rate)
        x, y = x - capped * gx, y - capped * gy
    assert sharpness * x**2 + y**2 <= 10 * (sharpness + 1)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"until": 0}, "until"),
        ({"sigma": 0.0}, "sigma"),
        ({"sigma": 2.1}, "sigma"),
        ({"smoothing": 1.0}, "smoothing"),
        ({"smoothing": math.nan}, "smoothing"),
        ({"eps": 0.0}, "eps"),
    ],
)
def test_refuses_what_cannot_be(options, named):
    with pytest.raises(UsageError, match=f"edge: {named} must be"):
        Edge(**({"until": 1} | options))


@pytest.mark.parametrize("rate", [1e-200, 1e-320])
def test_rates_too_small_to_be_divided_by_twice_are_passed_over(rate):
    edge = Edge(until=10)
    state, action = edge.respond(edge.initial(), Observation(step=0, loss=1.0, rate=rate, slope=1e-300, curvature=1.0))
    assert state.measured == 0
    assert 0 < action.multiplier <= 1


def test_the_cap_is_of_what_is_scheduled_next():
    """A schedule that jumps up a hundredfold finds its cap there already."""
    edge = Edge(until=10, sigma=1)
    _, action = edge.respond(
        edge.initial(), Observation(step=0, loss=1.0, rate=0.001, slope=0.01 * 0.001, curvature=0.001**2, ahead=0.1)
    )
    assert action.multiplier * 0.1 == pytest.approx(0.01)
