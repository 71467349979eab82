"""Transformers' schedules as oracle, by calando's functions of the same names: whole traces, two groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles.traces import BASES, CLOSED, agree, each_kind, horizons, sgd, stepped

from calando.errors import UsageError
from calando.loops import transformers as ours_by_name

theirs_by_name = pytest.importorskip("transformers.optimization")

tensors = st.booleans()
cycles = st.just(0.5) | st.integers(10, 300).map(lambda count: count / 100)


def both(name, total, *, tensors, **arguments):
    """Our rates and theirs of updates 0 .. total - 1, each shape (total, groups)."""
    rates = []
    for module in (ours_by_name, theirs_by_name):
        optimizer = sgd(tensors=tensors)
        scheduler = getattr(module, name)(optimizer, **arguments)
        rates.append(stepped(scheduler, optimizer, total))
    return rates


@st.composite
def spans(draw):
    """A horizon and a shorter warmup."""
    total = draw(horizons)
    return total, draw(st.integers(0, total - 1))


def waves(count):
    """The argument of their cosine is as large as the count of waves, and so is its rounding."""
    return CLOSED * (1 + 4 * count)


def test_constant():
    agree(*both("get_constant_schedule", 9, tensors=False))


@each_kind
@given(horizons, st.integers(0, 150), tensors)
def test_constant_with_warmup(total, warmup, tensors):
    agree(*both("get_constant_schedule_with_warmup", total, tensors=tensors, num_warmup_steps=warmup))


@each_kind
@given(spans(), tensors)
def test_linear(span, tensors):
    total, warmup = span
    name = "get_linear_schedule_with_warmup"
    agree(*both(name, total + 9, tensors=tensors, num_warmup_steps=warmup, num_training_steps=total))


@each_kind
@given(spans(), cycles, tensors)
def test_cosine(span, count, tensors):
    total, warmup = span
    arguments = {"num_warmup_steps": warmup, "num_training_steps": total, "num_cycles": count}
    agree(*both("get_cosine_schedule_with_warmup", total, tensors=tensors, **arguments), ulps=waves(count))


@each_kind
@given(spans(), st.integers(1, 6), tensors)
def test_cosine_with_hard_restarts(span, count, tensors):
    total, warmup = span
    arguments = {"num_warmup_steps": warmup, "num_training_steps": total, "num_cycles": count}
    name = "get_cosine_with_hard_restarts_schedule_with_warmup"
    agree(*both(name, total + 9, tensors=tensors, **arguments), ulps=waves(count))


@each_kind
@given(spans(), cycles, st.floats(0, 1), st.booleans(), tensors)
def test_cosine_with_min_lr(span, count, floor, as_rate, tensors):
    total, warmup = span
    least = {"min_lr": floor * BASES[0]} if as_rate else {"min_lr_rate": floor}
    arguments = {"num_warmup_steps": warmup, "num_training_steps": total, "num_cycles": count, **least}
    agree(*both("get_cosine_with_min_lr_schedule_with_warmup", total, tensors=tensors, **arguments), ulps=waves(count))


@each_kind
@given(spans().filter(lambda span: span[1] > 0), cycles, st.floats(0, 1), st.none() | st.floats(0, 1), tensors)
def test_cosine_with_min_lr_and_warmup_rate(span, count, floor, start, tensors):
    total, warmup = span
    arguments = {"num_warmup_steps": warmup, "num_training_steps": total, "num_cycles": count, "min_lr_rate": floor}
    name = "get_cosine_with_min_lr_schedule_with_warmup_lr_rate"
    agree(*both(name, total, tensors=tensors, **arguments, warmup_lr_rate=start), ulps=waves(count))


@each_kind
@given(spans(), st.floats(0, 0.09), st.floats(0.2, 5), tensors)
def test_polynomial(span, end, power, tensors):
    total, warmup = span
    arguments = {"num_warmup_steps": warmup, "num_training_steps": total, "lr_end": end, "power": power}
    mine, theirs = both("get_polynomial_decay_schedule_with_warmup", total + 9, tensors=tensors, **arguments)
    # theirs is 1 - p rounded, to a power
    agree(mine, theirs, ulps=CLOSED * 10)


@each_kind
@given(horizons, st.integers(0, 100), st.none() | st.integers(1, 500), tensors)
def test_inverse_sqrt(total, warmup, timescale, tensors):
    arguments = {"num_warmup_steps": warmup, "timescale": timescale}
    agree(*both("get_inverse_sqrt_schedule", total, tensors=tensors, **arguments))


@each_kind
@given(
    st.tuples(*[st.integers(0, 40)] * 3),
    st.sampled_from(["linear", "cosine", "1-sqrt"]),
    st.sampled_from(["linear", "cosine", "1-sqrt"]),
    st.floats(0, 1),
    cycles,
    st.booleans(),
    tensors,
)
def test_wsd(lengths, warmup_type, decay_type, floor, count, by_total, tensors):
    warmup, stable, decay = lengths
    named = {"num_training_steps": sum(lengths)} if by_total else {"num_stable_steps": stable}
    arguments = {"num_warmup_steps": warmup, "num_decay_steps": decay, "num_cycles": count, "min_lr_ratio": floor}
    arguments |= {"warmup_type": warmup_type, "decay_type": decay_type, **named}
    # 1 - sqrt(1 - p) of theirs loses what is near 0
    agree(*both("get_wsd_schedule", sum(lengths) + 9, tensors=tensors, **arguments), ulps=waves(count))


@each_kind
@given(spans(), st.integers(0, 50))
def test_resumed_after_an_update_it_goes_on(span, made):
    total, warmup = span
    rates = []
    for module in (ours_by_name, theirs_by_name):
        optimizer = sgd()
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        arguments = {"num_warmup_steps": warmup, "num_training_steps": total, "last_epoch": made}
        scheduler = module.get_linear_schedule_with_warmup(optimizer, **arguments)
        rates.append(stepped(scheduler, optimizer, 5))
    agree(*rates)


def test_where_we_differ_a_cosine_does_not_climb_again():
    arguments = {"num_warmup_steps": 0, "num_training_steps": 10}
    mine, theirs = both("get_cosine_schedule_with_warmup", 21, tensors=False, **arguments)
    assert theirs[20].tolist() == list(BASES)
    assert mine[20].tolist() == [0, 0]


def test_where_we_differ_a_restart_is_not_missed():
    # 22 * (30 / 44) is 15, but a rounding error less in floating point: the end of the cycle before
    arguments = {"num_warmup_steps": 0, "num_training_steps": 44, "num_cycles": 22}
    mine, theirs = both("get_cosine_with_hard_restarts_schedule_with_warmup", 44, tensors=False, **arguments)
    assert mine[::2, 0].tolist() == [BASES[0]] * 22
    assert np.flatnonzero(theirs[::2, 0] < 1e-9).tolist() == [15]


def test_where_we_differ_without_a_warmup_the_first_update_has_the_whole_rate():
    arguments = {"num_warmup_steps": 0, "num_training_steps": 10, "min_lr_rate": 0.1}
    mine, theirs = both("get_cosine_with_min_lr_schedule_with_warmup_lr_rate", 11, tensors=False, **arguments)
    assert mine[0].tolist() == list(BASES)
    agree(mine[1:], theirs[:-1])


def test_where_we_differ_a_warmup_must_leave_something():
    with pytest.raises(UsageError, match="nothing is left of 10 steps"):
        ours_by_name.get_linear_schedule_with_warmup(sgd(), 10, 10)
    assert both("get_linear_schedule_with_warmup", 9, tensors=False, num_warmup_steps=5, num_training_steps=10)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("get_wsd_schedule", {"num_warmup_steps": 1, "num_decay_steps": 1}, "needs num_stable_steps or"),
        (
            "get_wsd_schedule",
            {"num_warmup_steps": 1, "num_decay_steps": 1, "num_stable_steps": 1, "decay_type": "cosin"},
            "decay_type must be one of .*did you mean 'cosine'",
        ),
        (
            "get_cosine_with_min_lr_schedule_with_warmup",
            {"num_warmup_steps": 1, "num_training_steps": 9},
            "one of min_lr and min_lr_rate is needed",
        ),
        (
            "get_cosine_schedule_with_warmup",
            {"num_warmup_steps": 1, "num_training_steps": 9, "num_cycles": 0},
            "num_cycles must be a finite number above 0",
        ),
    ],
)
def test_what_cannot_be_is_refused(name, arguments, message):
    with pytest.raises(UsageError, match=message):
        getattr(ours_by_name, name)(sgd(), **arguments)
