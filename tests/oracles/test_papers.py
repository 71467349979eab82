"""HyperbolicLR (hyperbolic_lr.py), torchtitan (components/lr_scheduler.py) and papers as oracles.

How near they must come is said in `formulas`.
"""

import math

from hypothesis import given
from hypothesis import strategies as st
from tests.oracles.formulas import agree, each_kind, floors, horizons

from calando.schedules import (
    chebyshev,
    constant,
    cosine,
    cut,
    exponential_hyperbolic,
    hyperbolic,
    linear,
    noam,
    one_minus_sqrt,
    slanted_triangular,
)


@each_kind
@given(horizons, st.floats(1, 10), st.floats(1e-4, 0.9))
def test_hyperbolic_lr(max_iter, spare, infimum):
    upper_bound = math.ceil(spare * max_iter)

    def left(x):
        return math.sqrt((max_iter - x) / upper_bound * (2 - (max_iter + x) / upper_bound)) - math.sqrt(
            max_iter / upper_bound * (2 - max_iter / upper_bound)
        )

    agree(hyperbolic(1, infimum, bound=upper_bound), max_iter, lambda x: 1 + (1 - infimum) * left(x))
    agree(exponential_hyperbolic(1, infimum, bound=upper_bound), max_iter, lambda x: (1 / infimum) ** left(x))


@each_kind
@given(
    st.integers(1, 40),
    st.integers(0, 40),
    st.integers(1, 60),
    floors,
    st.sampled_from(["linear", "sqrt", "cosine"]),
)
def test_torchtitan_warmup_stable_decay(warmup_steps, stable_steps, decay_steps, lr_min, kind):
    make, shape = {
        "linear": (linear, lambda p: 1 - p),
        "sqrt": (one_minus_sqrt, lambda p: 1 - math.sqrt(p)),
        "cosine": (cosine, lambda p: 0.5 * (1 + math.cos(math.pi * p))),
    }[kind]
    # it counts both ends of the warmup and of the decay from 1
    fall = cut(make(1, lr_min, over=decay_steps + 1), skip=1)
    schedule = linear(1 / (warmup_steps + 1), 1, over=warmup_steps)
    schedule = schedule >> constant(1, over=stable_steps) >> fall if stable_steps else schedule >> fall

    def rate(t):
        if t < warmup_steps:
            return (t + 1) / (warmup_steps + 1)
        if t < warmup_steps + stable_steps:
            return 1.0
        progress = (t + 1 - warmup_steps - stable_steps) / (decay_steps + 1)
        return lr_min + (1 - lr_min) * shape(progress)

    agree(schedule, warmup_steps + stable_steps + decay_steps, rate)


@each_kind
@given(st.integers(1, 8), st.integers(2, 20), st.floats(1.5, 100))
def test_slanted_triangular_of_ulmfit(cut_steps, times, ratio):
    total, cut_frac = cut_steps * times, 1 / times

    def rate(t):
        p = t / cut_steps if t < cut_steps else 1 - (t - cut_steps) / (cut_steps * (1 / cut_frac - 1))
        return (1 + p * (ratio - 1)) / ratio

    agree(slanted_triangular(rise=cut_steps, ratio=ratio), total, rate)


@each_kind
@given(horizons, st.integers(1, 100), st.integers(1, 1024))
def test_noam_of_attention_is_all_you_need(total, warmup_steps, d_model):
    total = max(total, warmup_steps)
    peak = (d_model * warmup_steps) ** -0.5

    def rate(t):
        number = t + 1
        return d_model**-0.5 * min(number**-0.5, number * warmup_steps**-1.5) / peak

    agree(noam(warmup=warmup_steps), total, rate)


@each_kind
@given(horizons, st.integers(0, 6), st.floats(0.01, 0.9))
def test_chebyshev_of_agarwal(total, doublings, m):
    nodes = 2**doublings
    order = [1]
    while len(order) < nodes:  # sigma_2T = interlace(sigma_T, 2T + 1 - sigma_T), counted from 1
        order = [item for o in order for item in (o, 2 * len(order) + 1 - o)]

    def rate(t):
        angle = (order[t % nodes] - 0.5) * math.pi / nodes
        return 1 / ((1 + m) / 2 - (1 - m) / 2 * math.cos(angle))

    agree(chebyshev(nodes=nodes, low=m), total, rate)


def test_where_we_differ_a_slanted_triangle_ends_at_its_ratio():
    """ULMFiT's rise is cut to whole steps and its fall is not: it goes on below 1 / ratio."""
    total, cut_frac, ratio = 25, 0.1, 32
    cut_steps = math.floor(total * cut_frac)
    p = 1 - (total - cut_steps) / (cut_steps * (1 / cut_frac - 1))
    assert p < 0
    assert (1 + p * (ratio - 1)) / ratio < 0
    assert slanted_triangular(rise=cut_steps, ratio=ratio).bind(total)(total) == 1 / ratio
