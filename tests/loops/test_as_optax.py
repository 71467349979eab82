"""A schedule as a function that optax and jax.jit take."""

import numpy as np
import pytest

import calando
from calando.errors import UsageError
from calando.loops.optax import as_optax

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

TEXT = "linear(0.1, 1, over='25%') >> cosine(1, 0)"
TOTAL = 12


def test_it_is_the_curve_and_holds_beyond_it():
    with jax.enable_x64(True):
        rate = as_optax(TEXT, 0.3, total_steps=TOTAL)
        wanted = 0.3 * calando.parse(TEXT).bind(TOTAL)(np.arange(20))
        assert np.array_equal(rate(np.arange(20)), wanted)
        assert float(rate(5)) == wanted[5]
        assert np.array_equal(jax.jit(jax.vmap(rate))(np.arange(20)), wanted)


def test_an_optimizer_takes_it_under_jit():
    optimizer = optax.sgd(as_optax(TEXT, 0.3, total_steps=TOTAL))

    @jax.jit
    def update(state):
        return optimizer.update(jax.numpy.ones(()), state)

    state, steps = optimizer.init(jax.numpy.zeros(())), []
    for _ in range(TOTAL):
        step, state = update(state)
        steps.append(-float(step))
    assert steps == pytest.approx(0.3 * calando.parse(TEXT).bind(TOTAL).sample(), rel=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="needs steps_per_epoch"):
        as_optax("cosine(1, 0, over='2 epochs')", 0.1, total_steps=10)
    assert float(as_optax("linear(1, 0, over='2 epochs')", 1.0, total_steps=10, steps_per_epoch=4)(4)) == 0.5
