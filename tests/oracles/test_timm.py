"""timm (scheduler/*.py) as oracle; how near it must come is said in `formulas`."""

import math

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.oracles.formulas import (
    agree,
    agree_between_cycles,
    borders,
    each_kind,
    factors,
    floors,
    horizons,
    powers,
    shares,
    stretches,
)

from calando.schedules import (
    constant,
    cosine,
    cosine_restarts,
    cut,
    exponential,
    k_decay,
    linear,
    multistep,
    one_minus_sqrt,
    polynomial,
    power_decay,
    repeat,
    step,
    tanh,
    warp,
)


def timm_cycle(t, t_initial, cycle_mul):
    """The number of the cycle, its length and the time since it began: CosineLRScheduler._get_lr and its kin."""
    if cycle_mul != 1:
        i = math.floor(math.log(1 - t / t_initial * (1 - cycle_mul), cycle_mul))
        return i, cycle_mul**i * t_initial, t - (1 - cycle_mul**i) / (1 - cycle_mul) * t_initial
    i = t // t_initial
    return i, t_initial, t - t_initial * i


def timm_cycles(shape, *, t_initial, lr_min, cycle_mul, cycle_decay, cycle_limit):
    def rate(t):
        i, t_i, t_curr = timm_cycle(t, t_initial, cycle_mul)
        if i >= cycle_limit:
            return lr_min
        # rounding may find a cycle that has not begun
        return lr_min + (cycle_decay**i - lr_min) * shape(max(t_curr, 0.0), t_i)

    return rate


cycles = {
    "t_initial": st.integers(2, 30),
    "cycle_mul": stretches,
    "cycle_decay": factors,
    "cycle_limit": st.integers(1, 4),
}


@each_kind
@given(st.fixed_dictionaries({**cycles, "lr_min": floors}))
def test_timm_cosine_with_restarts(given):
    first, stretch, limit = given["t_initial"], given["cycle_mul"], given["cycle_limit"]
    assume(given["cycle_mul"] >= 1 or limit == 1)  # their logarithm ends where shrinking cycles would meet
    total = math.ceil(first * sum(stretch**k for k in range(limit))) + 5
    schedule = cosine_restarts(
        first=first, stretch=stretch, decay=given["cycle_decay"], limit=limit, floor=given["lr_min"]
    )
    rate = timm_cycles(lambda t, t_i: 0.5 * (1 + math.cos(math.pi * t / t_i)), **given)
    agree_between_cycles(schedule, total, rate, dict.fromkeys(borders(first, stretch, limit), given["lr_min"]))


@each_kind
@given(
    st.fixed_dictionaries({**cycles, "cycle_mul": st.sampled_from([1, 2])}), st.floats(-8, -2), st.floats(1, 4), floors
)
def test_timm_tanh_with_restarts(given, lb, ub, lr_min):
    first, stretch, limit = given["t_initial"], given["cycle_mul"], given["cycle_limit"]

    def again(part, **more):
        return repeat(part, every=first, stretch=stretch, limit=limit, **more)

    fall = tanh(1, 0, lower=lb, upper=ub)
    schedule = again(fall, decay=given["cycle_decay"]) + again(tanh(0, lr_min, lower=lb, upper=ub))
    rate = timm_cycles(lambda t, t_i: 0.5 * (1 - math.tanh(lb * (1 - t / t_i) + ub * t / t_i)), lr_min=lr_min, **given)
    left = (1 - math.tanh(ub)) / 2  # it does not quite meet its floor
    starts = borders(first, stretch, limit)
    ends = {start: lr_min + (given["cycle_decay"] ** k - lr_min) * left for k, start in enumerate(starts)}
    agree_between_cycles(schedule, starts[-1], rate, ends)


@each_kind
@given(horizons, powers, powers, floors, st.integers(0, 30), shares)
def test_timm_polynomial_and_cosine_with_k_decay_after_a_prefix(total, k, power, lr_min, warmup_t, init):
    def after(curve):
        return lambda t: init + t * (1 - init) / warmup_t if t < warmup_t else curve(t - warmup_t)

    def behind(part):
        return linear(init, 1, over=warmup_t) >> part if warmup_t else part

    agree(
        behind(warp(polynomial(1, lr_min, power=power, over=total), power=k)),
        total + warmup_t,
        after(lambda t: lr_min + (1 - lr_min) * (1 - t**k / total**k) ** power),
    )
    agree(
        behind(k_decay(1, lr_min, k=k, over=total)),
        total + warmup_t,
        after(lambda t: lr_min + 0.5 * (1 - lr_min) * (1 + math.cos(math.pi * t**k / total**k))),
    )


@each_kind
@given(horizons, floors, st.data(), shares)
def test_timm_cosine_that_counts_on_from_the_warmup(total, lr_min, data, init):
    warmup_t = data.draw(st.integers(1, total - 1))
    schedule = linear(init, 1, over=warmup_t) >> cut(cosine(1, lr_min, over=total), skip=warmup_t)

    def rate(t):
        if t < warmup_t:
            return init + t * (1 - init) / warmup_t
        return lr_min + 0.5 * (1 - lr_min) * (1 + math.cos(math.pi * t / total))

    agree(schedule, total, rate)


@each_kind
@given(horizons, st.integers(1, 50), factors, st.sets(st.integers(1, 200), min_size=1, max_size=5), st.integers(1, 20))
def test_timm_step_and_multistep(total, decay_t, decay_rate, milestones, warmup_t):
    def after(curve):
        return lambda t: t / warmup_t if t < warmup_t else curve(t - warmup_t)

    at = sorted(milestones)
    rise = linear(0, 1, over=warmup_t)
    agree(
        rise >> step(every=decay_t, factor=decay_rate), total + warmup_t, after(lambda t: decay_rate ** (t // decay_t))
    )
    agree(
        rise >> multistep(at=at, factor=decay_rate),
        total + warmup_t,
        after(lambda t: decay_rate ** sum(m <= t for m in at)),
    )


@each_kind
@given(
    st.integers(1, 40),
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from(["linear", "1-sqrt", "cosine", "power", "exp"]),
    st.floats(0.3, 3),
    st.floats(0.01, 0.9),
    st.floats(0.2, 2),
    st.integers(1, 100),
)
def test_timm_warmup_stable_decay(warmup_t, stable_t, decay_t, decay_fn, decay_power, ratio, stable_power, timescale):
    fall, factor = {
        "linear": (linear(1, 0, over=decay_t), lambda p: 1 - p),
        "1-sqrt": (one_minus_sqrt(1, 0, over=decay_t), lambda p: 1 - math.sqrt(p)),
        "cosine": (cosine(1, 0, over=decay_t), lambda p: 0.5 * (1 + math.cos(math.pi * p))),
        "power": (warp(linear(1, 0, over=decay_t), power=decay_power), lambda p: 1 - p**decay_power),
        "exp": (
            exponential(1, ratio, over=decay_t) * (1 / (1 - ratio)) + -ratio / (1 - ratio),
            lambda p: (ratio**p - ratio) / (1 - ratio),
        ),
    }[decay_fn]
    pace = power_decay(exponent=stable_power, timescale=timescale)
    schedule = linear(0, 1, over=warmup_t) >> pace * (constant(1) >> fall)

    def rate(t):
        if t < warmup_t:
            return t / warmup_t
        t_s = t - warmup_t
        stable = (1 + t_s / timescale) ** -stable_power
        return stable if t_s <= stable_t else stable * factor(min((t_s - stable_t) / decay_t, 1))

    agree(schedule, warmup_t + stable_t + decay_t, rate)


def test_where_we_differ_a_cycle_begins_where_it_begins():
    """timm's and Keras' logarithm rounds down at some borders: the last value of a cycle comes one step late."""
    first, limit = 10, 6
    starts = borders(first, 3, limit)[:-1]
    late = [start for start in starts if timm_cycle(start, first, 3)[0] != starts.index(start) + 1]
    assert late
    ours = cosine_restarts(first=first, stretch=3).bind(sum(starts))
    assert all(ours(start) == 1 for start in starts)
