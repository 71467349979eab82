"""Every schedule that has a name, checked against its documented formula worked in plain Python.

`CASES` has a line for each, from the tables of `curve_cases`, `run_cases` and `operator_cases`: strategies for its
arguments, the formula, and where its values lie. A new schedule joins with its own line, and a test fails until it
does.
"""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedules.curve_cases import CURVES
from tests.schedules.operator_cases import OPERATORS
from tests.schedules.preset_formulas import STEPS_PER_EPOCH
from tests.schedules.run_cases import RUNS

import calando.schedules as names
from calando.errors import UsageError
from calando.schedules import SCHEDULES, describe, parse, to_json
from calando.schedules.known_schedules import FAMILIES
from calando.testing import check_schedule

CASES = {**CURVES, **RUNS, **OPERATORS}

# what depends on the number of steps itself: twice the horizon changes more than the scale
COUNTS_STEPS = {"hyperbolic", "exponential_hyperbolic", "noise", "radam_warmup", "saturating"}

each = pytest.mark.parametrize("name", CASES)
many = settings(deadline=None, max_examples=30)
few = settings(deadline=None, max_examples=10)


def drawn(name, data):
    """A schedule of this name with arguments at random, and these."""
    case = CASES[name]
    given = {key: data.draw(values, label=key) for key, values in case.arguments.items()}
    if "lower" in given:
        given["lower"] = min(given["lower"], given["upper"] - 0.5)
    keywords = {key: value for key, value in given.items() if key not in case.positional}
    return SCHEDULES[name](*(given[key] for key in case.positional), **keywords), given


def of_one_group(schedule):
    return schedule.for_group("body") if schedule.group_names else schedule


def test_every_name_has_its_line_here():
    assert sorted(CASES) == sorted(SCHEDULES)


@each
@many
@given(st.data(), st.integers(100, 1000))
def test_values_are_the_documented_formula(name, data, total):
    schedule, given = drawn(name, data)
    curve = of_one_group(schedule).bind(total, steps_per_epoch=STEPS_PER_EPOCH)
    near_seams = {math.floor(seam) + more for seam in curve.seams()[:20] for more in (0, 1)}
    at = sorted({0, 1, total - 1, total, total + 7, *near_seams, *data.draw(st.lists(st.integers(0, total)))})
    wanted = [CASES[name].formula(min(t, total), total, **given) for t in at]
    # beside a zero the plain formula loses digits
    np.testing.assert_allclose(curve(at), wanted, rtol=1e-10, atol=1e-12 * max(1, max(map(abs, wanted))))


@each
@few
@given(st.data(), st.integers(100, 1000))
def test_values_stay_in_their_bounds(name, data, total):
    schedule, given = drawn(name, data)
    values = of_one_group(schedule).bind(total, steps_per_epoch=STEPS_PER_EPOCH)(np.arange(total + 10))
    low, high = CASES[name].low(given), CASES[name].high(given)
    assert np.isfinite(values).all()
    assert values.min() >= low - 1e-12 * max(1, high)
    assert values.max() <= high + 1e-12 * max(1, high)


@each
@few
@given(st.data(), st.integers(100, 1000))
def test_it_passes_the_public_kit(name, data, total):
    schedule, _ = drawn(name, data)
    check_schedule(schedule, total_steps=(total,), steps_per_epoch=STEPS_PER_EPOCH)
    assert json.loads(to_json(schedule))["text"] == str(schedule)
    assert eval(str(schedule), {maker: getattr(names, maker) for maker in SCHEDULES}) == schedule
    curve = of_one_group(schedule).bind(total, steps_per_epoch=STEPS_PER_EPOCH)
    middle = total / 3
    assert curve(middle) == curve([0, middle, total])[1]
    whole_run = curve.sample()
    for t in data.draw(st.lists(st.integers(0, total - 1), min_size=1, max_size=5)):
        assert curve(t) == curve([t])[0] == curve(float(t)) == whole_run[t]


@each
@few
@given(st.data(), st.integers(100, 500))
def test_twice_the_horizon_keeps_every_fraction_of_a_share(name, data, total):
    schedule = of_one_group(drawn(name, data)[0])
    if " step" in str(schedule) or name in COUNTS_STEPS:
        return
    once, twice = (schedule.bind(steps, steps_per_epoch=STEPS_PER_EPOCH) for steps in (total, 2 * total))
    steps = np.arange(total + 1)
    np.testing.assert_allclose(twice(2 * steps), once(steps), rtol=1e-11, atol=1e-14)


def test_every_schedule_is_described_and_can_be_imported():
    listed = {entry.name: entry for entry in describe()}
    assert sorted(listed) == sorted(SCHEDULES)
    assert list(dict.fromkeys(entry.family for entry in describe())) == [family.title for family in FAMILIES[:-1]]
    for name, entry in listed.items():
        assert getattr(names, name) is SCHEDULES[name]
        assert entry.signature.startswith(f"{name}(")
        assert entry.summary
        assert entry.formula
        assert "\n" not in entry.summary + entry.formula
    assert set(SCHEDULES) <= set(names.__all__)


def test_presets_print_as_what_they_are_made_of():
    texts = {
        "exponential_decay(factor=0.5, every='2 epochs')": "repeat(exponential(1, 0.5, over='2 epochs'), decay=0.5)",
        "k_decay(1, 0.1, k=2)": "warp(cosine(1, 0.1), power=2)",
        "noam(warmup=1)": "power_decay(exponent=0.5, timescale='1 step')",
        "triangular(rise='5%', fall='10%')": "repeat(linear(0.1, 1, over='5%') >> linear(1, 0.1, over='10%'))",
        "cosine_restarts(limit=3)": "repeat(cosine(1, 0), limit=3)",
        "layer_decay(['a', 'b'], factor=0.5, others=1)": "per_group({'a': 0.5, 'b': 1}, others=1)",
        "sqrt_scaling(64) * wsd(shape='one_minus_square')": (
            "constant(0.5) * (linear(0, 1, over='5%') >> constant(1) >> one_minus_square(1, 0, over='20%'))"
        ),
    }
    assert {text: str(parse(text)) for text in texts} == texts


def test_an_exponential_in_stairs_is_a_step():
    smooth = parse("staircase(exponential_decay(factor=0.5, every=7), every=7)").bind(100)
    np.testing.assert_allclose(smooth.sample(), parse("step(every=7, factor=0.5)").bind(100).sample(), rtol=1e-14)


@pytest.mark.parametrize("stretch", [1, 2])
def test_the_warmup_of_a_cycle_keeps_its_length(stretch):
    curve = parse(f"warmup_cosine_restarts(first=40, warmup=10, stretch={stretch}, floor=0.1)").bind(120)
    for start in (0, 40):
        assert curve([start, start + 5, start + 10]).tolist() == pytest.approx([0.1, 0.55, 1], rel=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("warmup('5%', shape='lineal')", "shape must be one of constant, cosine, .*did you mean 'linear'"),
        ("warmup('5%', shape='exponential')", "start must be above 0 for exponential"),
        ("warmup(0)", "over must be a finite number above 0"),
        ("untuned_linear_warmup(beta2=1)", "beta2 must be from 0 to 0.999999, got 1"),
        ("untuned_exponential_warmup(beta2=-0.1)", "beta2 must be from 0 to 0.999999"),
        ("wsd(shape='cosin')", "shape must be one of .*did you mean 'cosine'"),
        ("wsd(decay='5')", "decay must be a length such as"),
        ("slanted_triangular(ratio=1)", "ratio must be a finite number above 1"),
        ("one_cycle(shape='exponential')", "shape must be one of cosine, linear"),
        ("one_cycle_three_phase(warmup=true)", "warmup must be a length such as"),
        ("cosine_restarts()", "first must be given where limit is not"),
        ("cosine_restarts(first='10%', stretch=0)", "stretch must be a finite number above 0"),
        ("polynomial_cycles(every='10%', power=0)", "power must be a finite number above 0|exponent must be"),
        ("noam(warmup='5%')", "warmup must be a whole number from 1"),
        ("k_decay(1, 0, k=0)", "k must be a finite number above 0"),
        ("k_decay(1, 0, k=2, shape='rex')", "shape must be one of cosine, linear, polynomial"),
        ("linear_scaling(0)", "batch_size must be a whole number from 1"),
        ("sqrt_scaling(1, reference=1.5)", "reference must be a whole number from 1"),
        ("layer_decay('head')", "groups must be a list of group names"),
        ("layer_decay(['a', 1])", "groups must be a list of group names"),
        ("layer_decay([])", "groups must map group names|groups must be a list"),
        ("layer_decay(['a', 'b', 'a'])", "groups must name each group once, and 'a' is there more often"),
        ("discriminative(['a', 'b'], factor=0)", "factor must be a finite number above 0"),
        ("discriminative(['a', 'b', 'c'], factor=1e-200)", "factor must leave a finite rate 2 groups away"),
        ("chebyshev(nodes=6)", "nodes must be a power of two, got 6; use 4 or 8"),
        ("chebyshev(nodes=0)", "nodes must be a whole number from 1"),
        ("chebyshev(low=1)", "low must be above 0 and below 1, got 1"),
        ("hyperbolic(1, 1, bound=10)", "infimum must be below start, got 1"),
        ("exponential_hyperbolic(1, 0, bound=10)", "infimum must be a finite number above 0"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(UsageError, match=message):
        parse(text)


def test_a_hyperbola_is_no_longer_than_its_bound():
    with pytest.raises(UsageError, match=r"takes 101 steps, more than its bound of 100 steps; raise bound="):
        parse("hyperbolic(1, 0, bound=100)").bind(101)
    line = parse("hyperbolic(1, 0.25, bound=100)").bind(100)
    np.testing.assert_allclose(line(np.arange(101)), np.linspace(1, 0.25, 101), rtol=1e-15)
    assert (line(0), line(100)) == (1, 0.25)


def test_the_first_steps_of_a_hyperbola_depend_little_on_the_run():
    short, long = (parse("hyperbolic(1, 0, bound=1000)").bind(steps)(10) for steps in (250, 1000))
    cosines = [parse("cosine(1, 0)").bind(steps)(10) for steps in (250, 1000)]
    assert abs(short - long) < 0.01
    assert 1 - short == pytest.approx(1 - long, rel=0.6)
    assert 1 - cosines[0] > 10 * (1 - cosines[1])
