"""pytorch_warmup (base.py, untuned.py, radam.py) as oracle; how near it must come is said in `formulas`."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles.formulas import ULP, agree, each_kind, horizons

from calando.schedules import radam_warmup, saturating, untuned_exponential_warmup, untuned_linear_warmup, warmup


@each_kind
@given(horizons, st.integers(2, 150))
def test_pytorch_warmup_linear_and_exponential(total, period):
    total = max(total, period)
    agree(warmup(period - 1, start=1 / period), total, lambda t: min(1.0, (t + 1) / period))
    agree(saturating(timescale=period), total, lambda t: 1.0 - math.exp(-(t + 1) / period))


@each_kind
@given(st.integers(200, 400), st.floats(0.5, 0.99))
def test_pytorch_warmup_untuned(total, beta2):
    linear_period, exponential_period = int(2.0 / (1.0 - beta2)), int(1.0 / (1.0 - beta2))
    agree(untuned_linear_warmup(beta2=beta2), total, lambda t: min(1.0, (t + 1) / linear_period))
    agree(untuned_exponential_warmup(beta2=beta2), total, lambda t: 1.0 - math.exp(-(t + 1) / exponential_period))


@each_kind
@given(horizons, st.floats(0.61, 0.9999))
def test_pytorch_warmup_radam(total, beta2):
    rho_inf = 2.0 / (1 - beta2) - 1

    def rho_fn(t):
        b2t = beta2**t
        return rho_inf - 2 * t * b2t / (1 - b2t)

    offset = next(t for t in range(1, 100) if rho_fn(t) > 4)

    def rate(t):
        rho = rho_fn(t + offset)
        return math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))

    ours = radam_warmup(beta2=beta2).bind(total).sample()
    theirs = np.array([rate(t) for t in range(total)])
    # rho is the difference of two numbers near 2 / (1 - beta2), and rho - 4 may be small
    rounding = np.array([16 * ULP * rho_inf / min(rho_fn(t + offset) - 4, 1) for t in range(total)])
    assert (np.abs(ours - theirs) <= (1e-12 + rounding) * theirs).all()
