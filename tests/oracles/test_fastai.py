"""fastai (callback/schedule.py) as oracle; how near it must come is said in `formulas`."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles.formulas import agree, each_kind, horizons, powers, shares

from calando.schedules import (
    cosine_restarts,
    discriminative,
    flat_cosine,
    layer_decay,
    linear,
    one_cycle,
    one_cycle_momentum,
    warp,
)


def sched_cos(start, end, pos):
    return start + (1 + math.cos(math.pi * (1 - pos))) * (end - start) / 2


def combined_cos(pct, start, middle, end):
    return lambda pos: (
        sched_cos(start, middle, pos / pct) if pos < pct else sched_cos(middle, end, (pos - pct) / (1 - pct))
    )


@each_kind
@given(horizons, st.integers(1, 99), st.floats(1, 100), st.floats(1, 1e6), st.floats(0.5, 1))
def test_fastai_one_cycle_and_flat_cosine(total, percent, div, div_final, low):
    pct = percent / 100
    for schedule, curve in (
        (
            one_cycle(warmup=f"{percent}%", start=1 / div, end=1 / div_final),
            combined_cos(pct, 1 / div, 1, 1 / div_final),
        ),
        (one_cycle_momentum(warmup=f"{percent}%", low=low), combined_cos(pct, 1, low, 1)),
        (flat_cosine(flat=f"{percent}%", end=1 / div_final), combined_cos(pct, 1, 1, 1 / div_final)),
    ):
        agree(schedule, total, lambda t, curve=curve: curve(t / total))


@each_kind
@given(st.integers(1, 20), st.integers(2, 3), st.integers(1, 4))
def test_fastai_sgdr(cycle_len, cycle_mult, n_cycles):
    total = cycle_len * (cycle_mult**n_cycles - 1) // (cycle_mult - 1)

    def rate(t):
        start = 0
        for i in range(n_cycles):
            steps = cycle_len * cycle_mult**i
            if t < start + steps:
                return sched_cos(1, 0, (t - start) / steps)
            start += steps
        raise AssertionError(t)

    agree(cosine_restarts(first=cycle_len, stretch=cycle_mult, limit=n_cycles), total, rate)


@each_kind
@given(horizons, shares, shares, powers)
def test_fastai_sched_poly(total, start, end, power):
    agree(warp(linear(start, end), power=power), total, lambda t: start + (end - start) * (t / total) ** power)


@each_kind
@given(st.integers(2, 20), st.floats(1e-4, 1))
def test_discriminative_rates_of_fastai_and_layer_decay_of_timm(layers, low):
    names = [str(layer) for layer in range(layers)]
    spread = discriminative(names, factor=(1 / low) ** (1 / (layers - 1)))
    decayed = layer_decay(names, factor=low)
    for i, name in enumerate(names):
        # even_mults(low, 1, layers), and param_groups_layer_decay's lr_scale
        assert spread.for_group(name).bind(1)(0) == pytest.approx(low * (1 / low) ** (i / (layers - 1)), rel=1e-12)
        assert decayed.for_group(name).bind(1)(0) == pytest.approx(low ** (layers - 1 - i), rel=1e-12)
