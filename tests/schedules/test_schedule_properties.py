"""What holds for every schedule, drawn at random and nested up to six deep; values are held against `reference`."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedules.random_schedules import positive, ramps, schedules
from tests.schedules.reference import expected

from calando.errors import UsageError
from calando.schedules import (
    Span,
    constant,
    cosine,
    exponential,
    from_json,
    linear,
    parse,
    polynomial,
    step,
    tanh,
    to_json,
)
from calando.schedules.compose import Then, Times
from calando.schedules.schedule import Extent


@settings(deadline=None, max_examples=400)
@given(schedules(), st.integers(100, 3000), st.data())
def test_values_are_the_formulas(schedule, total, data):
    steps = data.draw(st.lists(st.integers(0, total + 5), min_size=1, max_size=10))
    wanted = np.array([expected(schedule, min(t, total), total, total) for t in steps])
    # beside a zero the plain formulas lose digits, and a power of 0.2 makes 1e-12 of a part 1e-10 of its value
    np.testing.assert_allclose(schedule.bind(total)(steps), wanted, rtol=1e-11, atol=1e-9)


@settings(deadline=None)
@given(schedules(), st.integers(100, 3000), st.data())
def test_a_step_alone_and_in_any_array_agree_to_the_bit(schedule, total, data):
    curve = schedule.bind(total)
    whole = curve.sample()
    assert whole.shape == (total,)
    assert whole.dtype == np.float64
    t = data.draw(st.integers(0, total - 1))
    alone = curve(t)
    assert type(alone) is float
    assert curve(float(t)) == curve(np.int64(t)) == curve(np.float32(t)) == alone == whole[t]
    assert curve([t])[0] == curve(np.array(t, dtype=np.uint16))[()] == alone
    grid = np.arange(total // 2 * 2).reshape(2, -1)[:, ::3]  # not contiguous
    np.testing.assert_array_equal(curve(grid), whole[grid])
    assert curve(grid).shape == grid.shape


def test_long_arrays_agree_to_the_bit_with_every_way_of_cutting_them():
    curve = (linear(0, 1, over="5%") >> cosine(1, 0.01, over="40%") >> exponential(0.01, 1e-6)).bind(100_000)
    whole = curve.sample()
    for width in (1, 7, 1000, 33_333):
        for start in (0, 4_999, 16_383, 60_001):
            steps = np.arange(start, start + width)
            np.testing.assert_array_equal(curve(steps), whole[steps])
    assert [curve(t) for t in range(0, 100_000, 997)] == whole[::997].tolist()


@settings(deadline=None)
@given(schedules(any_unit=True))
def test_text_and_json_read_back_equal(schedule):
    text = str(schedule)
    again = parse(text)
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert str(again) == text == repr(schedule)
    assert from_json(to_json(schedule)) == schedule
    assert json.loads(to_json(schedule))["version"] == 1


@settings(deadline=None)
@given(schedules(any_unit=True))
def test_the_text_is_python_too(schedule):
    from calando import schedules as names

    assert eval(str(schedule), {name: getattr(names, name) for name in names.SCHEDULES}) == schedule


@settings(deadline=None)
@given(schedules(), st.integers(100, 1500))
def test_twice_the_horizon_keeps_every_fraction(schedule, total):
    once, twice = schedule.bind(total), schedule.bind(2 * total)
    steps = np.arange(total + 1)
    np.testing.assert_array_equal(once(steps), twice(2 * steps))


@settings(deadline=None)
@given(schedules(), st.integers(100, 3000))
def test_the_end_value_holds_past_the_horizon(schedule, total):
    curve = schedule.bind(total)
    end = curve(total)
    assert curve(total + 1) == curve(10**30) == curve(math.inf) == end
    assert (curve([total, total + 0.5, 2 * total, 1e300]) == end).all()


@settings(deadline=None)
@given(schedules(), st.integers(100, 3000))
def test_a_curve_survives_copying_and_processes(schedule, total):
    curve = schedule.bind(total, steps_per_epoch=10)
    curve(0)
    for again in (pickle.loads(pickle.dumps(curve)), copy.deepcopy(curve)):
        assert again == curve
        np.testing.assert_array_equal(again.sample(), curve.sample())


@settings(deadline=None)
@given(st.lists(schedules(), min_size=3, max_size=3))
def test_nesting_equals_flattening(drawn):
    a, b, c = (constant(1, over="20%") * part for part in drawn)
    if sum(part.extent is not Extent.FIXED for part in (a, b, c)) > 1:
        with pytest.raises(UsageError, match="only one part of a chain may take what is left"):
            Then((a, b, c))
    else:
        assert (a >> b) >> c == a >> (b >> c) == Then((a, b, c))
    assert (a * b) * c == a * (b * c) == Times((a, b, c))


@pytest.mark.parametrize("total", [1, 2, 3, 7, 100, 999])
def test_chains_of_chains_give_the_same_bits(total):
    a, b, c = linear(0, 1, over="10%"), cosine(1, 0.1), polynomial(0.1, 0, power=3, over="33.3%")
    curves = [s.bind(total).sample() for s in ((a >> b) >> c, a >> (b >> c))]
    np.testing.assert_array_equal(*curves)


@given(ramps.filter(lambda make: make is not tanh), positive, positive, st.integers(1, 10**6), st.data())
def test_a_ramp_meets_its_ends_to_the_bit_and_stays_between(make, start, end, total, data):
    curve = make(start, end).bind(total)
    assert curve(0) == start
    assert curve(total) == end
    inner = curve(data.draw(st.lists(st.floats(0, total), min_size=1)))
    assert (inner >= min(start, end)).all()
    assert (inner <= max(start, end)).all()
    sampled = make(start, end).bind(min(total, 500)).sample()
    slack = 4e-16 * max(start, end)
    assert (np.diff(sampled) * np.sign(end - start) >= -slack).all()


@given(st.integers(1, 99), st.integers(0, 98), st.integers(1, 2000))
def test_seams_are_where_the_shares_say(first, second, total):
    second = min(second, 99 - first) or 1
    if first + second >= 100:
        return
    chain = linear(0, 1, over=f"{first}%") >> constant(2) >> linear(3, 4, over=f"{second}%")
    curve = chain.bind(total)
    assert curve.seams() == (first * total / 100, total - second * total / 100)
    values = curve.sample()
    for t in range(total):
        part = 0 if 100 * t < first * total else 1 if 100 * t < (100 - second) * total else 2
        low, high = [(0, 1), (2, 2), (3, 4)][part]
        assert low <= values[t] <= high, (t, part)


@pytest.mark.parametrize("total", [1000, 10**6, 10**9])
def test_the_last_cosine_step_has_all_its_digits(total):
    """(1 + cos x) / 2 near x = π, by its series: torch's way of computing it has no digit right at 1e9."""
    x = math.pi / 2 / total
    series = x**2 - x**4 / 3 + 2 * x**6 / 45
    assert cosine(1, 0).bind(total)(total - 1) == pytest.approx(series, rel=1e-15, abs=0)
    assert cosine(0, 1).bind(total)(1) == pytest.approx(series, rel=1e-15, abs=0)


@pytest.mark.parametrize("bad", [-1, -0.5, math.nan, np.int64(-3), [0, -1], [math.nan], ["1"], "1", None, [True], 1j])
def test_a_step_is_a_number_from_zero(bad):
    with pytest.raises(UsageError, match=r"steps? must be"):
        cosine(1, 0).bind(10)(bad)


def test_empty_and_scalar_arrays_keep_their_shape():
    curve = cosine(1, 0).bind(10)
    assert curve([]).shape == (0,)
    assert curve(np.array(5)).shape == ()


@pytest.mark.parametrize("raising", ["warn", "raise"])
def test_no_floating_point_warning_leaks(raising):
    with np.errstate(all=raising):
        for schedule in (
            step(every="1 step", factor=0.001),
            step(every="1 step", factor=1e10),
            linear(1e308, 1e308) * 1e308 * 0,
            polynomial(1, 0, power=1e-3),
            polynomial(0, 1, power=300),
            exponential(1e-300, 1e300),
            linear(0, 1, over=Span(5e-324, "%")),
        ):
            schedule.bind(2000).sample()
