"""A schedule as a function that Keras' callbacks take; Keras is not needed."""

import pickle

import pytest

import calando
from calando.errors import UsageError
from calando.loops.keras import as_keras

TEXT = "linear(0.1, 1, over='25%') >> cosine(1, 0)"
TOTAL = 12


def test_it_is_the_curve_whatever_the_rate_was_before():
    rates, curve = as_keras(TEXT, 0.3, total_steps=TOTAL), calando.parse(TEXT).bind(TOTAL)
    for step in range(20):
        assert rates(step) == rates(step, 99.0) == 0.3 * curve(step)
        assert type(rates(step)) is float  # LearningRateScheduler wants a float


def test_it_survives_pickling_and_has_its_schedule():
    rates = as_keras(calando.parse(TEXT), 0.3, total_steps=TOTAL)
    assert pickle.loads(pickle.dumps(rates)) == rates == as_keras(TEXT, 0.3, total_steps=TOTAL)
    assert str(rates.curve.schedule) == TEXT


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="needs steps_per_epoch"):
        as_keras("cosine(1, 0, over='2 epochs')", 0.1, total_steps=10)
    assert as_keras("linear(1, 0, over='2 epochs')", 1.0, total_steps=10, steps_per_epoch=4)(4) == 0.5
