"""Keras (optimizers/schedules/learning_rate_schedule.py) and TensorFlow 1 (learning_rate_decay.py) as oracles.

And optax's exponential decay, which is Keras's with an end value. How near they must come is said in `formulas`.
"""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles.formulas import (
    agree,
    agree_between_cycles,
    borders,
    each_kind,
    factors,
    floors,
    horizons,
    off,
    powers,
    shares,
)

from calando.schedules import (
    clip,
    constant,
    cosine,
    cosine_restarts,
    exponential_decay,
    inverse_time,
    linear,
    natural_exponential,
    noise,
    piecewise,
    polynomial,
    polynomial_cycles,
    power_decay,
    repeat,
    staircase,
    step,
)


@each_kind
@given(horizons, st.integers(1, 60), st.floats(0.05, 1.3))
def test_keras_exponential_decay(total, decay_steps, decay_rate):
    agree(exponential_decay(factor=decay_rate, every=decay_steps), total, lambda t: decay_rate ** (t / decay_steps))
    agree(step(every=decay_steps, factor=decay_rate), total, lambda t: decay_rate ** math.floor(t / decay_steps))


@each_kind
@given(horizons, st.integers(1, 60), factors, floors)
def test_optax_exponential_decay_with_an_end_value(total, transition_steps, decay_rate, end_value):
    schedule = clip(exponential_decay(factor=decay_rate, every=transition_steps), low=end_value)
    agree(schedule, total, lambda t: max(decay_rate ** (t / transition_steps), end_value))


@each_kind
@given(horizons, st.sets(st.integers(0, 150), min_size=1, max_size=5), st.data())
def test_keras_piecewise_constant_decay(total, boundaries, data):
    at = sorted(boundaries)
    values = data.draw(st.lists(shares, min_size=len(at) + 1, max_size=len(at) + 1))
    # its boundaries belong to the value before them
    schedule = piecewise(values=values, at=[boundary + 1 for boundary in at])
    agree(schedule, total, lambda t: values[sum(t > boundary for boundary in at)])


def keras_polynomial(t, decay_steps, end, power, *, cycle):
    if cycle:
        decay_steps *= 1.0 if t == 0 else math.ceil(t / decay_steps)
    else:
        t = min(t, decay_steps)
    return (1 - end) * (1 - t / decay_steps) ** power + end


@each_kind
@given(horizons, st.integers(1, 100), floors, powers)
def test_keras_polynomial_decay(total, decay_steps, end, power):
    decay_steps = min(decay_steps, total)
    schedule = polynomial(1, end, power=power, over=decay_steps)
    agree(schedule, total, lambda t: keras_polynomial(t, decay_steps, end, power, cycle=False))


@each_kind
@given(horizons, st.integers(2, 40), floors, powers)
def test_keras_cycling_polynomial_decay(total, decay_steps, end, power):
    schedule = polynomial_cycles(every=decay_steps, power=power, end=end)
    ours = schedule.bind(total).sample()
    theirs = np.array([keras_polynomial(t, decay_steps, end, power, cycle=True) for t in range(total)])
    steps = np.arange(total)
    borders = (steps % decay_steps == 0) & (steps > 0)
    assert (off(ours, theirs)[~borders] <= 0).all()
    # at a border theirs is at the end of the cycle, ours at the start of the next
    np.testing.assert_allclose(theirs[borders], end, rtol=1e-12)
    np.testing.assert_allclose(
        ours[borders], end + (1 - end) * (steps[borders] / decay_steps + 1) ** -power, rtol=1e-12
    )
    exact = constant(1, over=1) >> (
        repeat(
            polynomial((1 - end) * (1 - 1 / decay_steps) ** power, 0, power=power, over=decay_steps - 1)
            >> constant(0, over=1)
        )
        * staircase(power_decay(exponent=power, timescale=decay_steps), every=decay_steps)
        + end
    )
    agree(exact, total, lambda t: theirs[t])


@each_kind
@given(horizons, st.integers(1, 60), st.floats(0.01, 5))
def test_keras_inverse_time_and_tensorflow_natural_exponential_decay(total, decay_steps, decay_rate):
    timescale = f"{decay_steps / decay_rate!r} steps"
    smooth, stairs = (lambda t: t / decay_steps), (lambda t: math.floor(t / decay_steps))
    for schedule, formula in (
        (inverse_time(timescale=timescale), lambda p: 1 / (1 + decay_rate * p)),
        (natural_exponential(timescale=timescale), lambda p: math.exp(-decay_rate * p)),
    ):
        agree(schedule, total, lambda t, formula=formula: formula(smooth(t)))
        agree(staircase(schedule, every=decay_steps), total, lambda t, formula=formula: formula(stairs(t)))


@each_kind
@given(horizons, floors, st.integers(1, 50), shares)
def test_keras_cosine_decay_with_warmup(decay_steps, alpha, warmup_steps, initial):
    schedule = linear(initial, 1, over=warmup_steps) >> cosine(1, alpha, over=decay_steps)

    def rate(t):
        t = min(t, decay_steps + warmup_steps)
        if t < warmup_steps:
            return (1 - initial) * (t / warmup_steps) + initial
        return (1 - alpha) * (0.5 * (1 + math.cos(math.pi * (t - warmup_steps) / decay_steps))) + alpha

    agree(schedule, decay_steps + warmup_steps + 3, rate)


@each_kind
@given(horizons, st.integers(2, 40), st.sampled_from([1.0, 1.5, 2.0, 3.0]), st.floats(0.2, 1.1), floors)
def test_keras_cosine_decay_with_restarts(total, first, t_mul, m_mul, alpha):
    schedule = cosine_restarts(first=first, stretch=t_mul, decay=m_mul) * (1 - alpha) + alpha

    def rate(t):
        done = t / first
        if t_mul == 1.0:
            i = math.floor(done)
            done -= i
        else:
            i = math.floor(math.log(1 - done * (1 - t_mul)) / math.log(t_mul))
            done = (done - (1 - t_mul**i) / (1 - t_mul)) / t_mul**i
        return (1 - alpha) * (0.5 * m_mul**i * (1 + math.cos(math.pi * done))) + alpha

    agree_between_cycles(schedule, total, rate, dict.fromkeys(borders(first, t_mul, 8 if t_mul > 1 else total), alpha))


@each_kind
@given(horizons, shares, shares, st.floats(0.05, 2), shares, st.integers(0, 1000))
def test_tensorflow_noisy_linear_cosine_decay(total, alpha, beta, variance, variance_decay, seed):
    draws = noise(1, seed=seed, kind="normal")
    plain = (linear(1, 0) + alpha) * cosine(1, 0) + beta
    deviation = (draws + -1) * power_decay(exponent=variance_decay / 2) if variance_decay else draws + -1
    noisy = (linear(1, 0) + alpha + deviation * math.sqrt(variance)) * cosine(1, 0) + beta
    epsilon = (draws.bind(total).sample() - 1).tolist()  # another generator than theirs

    def rate(t, noise=0.0):
        linear_decayed = (total - t) / total
        return (alpha + linear_decayed + noise) * (0.5 * (1 + math.cos(math.pi * t / total))) + beta

    agree(plain, total, rate)
    agree(noisy, total, lambda t: rate(t, epsilon[t] * math.sqrt(variance / (1 + t) ** variance_decay)))
