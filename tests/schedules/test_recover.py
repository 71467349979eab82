"""The schedule recovered from logged rates: presets to the letter, any of the families to the rounding, others' too."""

import time
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.schedules import (
    constant,
    cosine,
    exponential,
    linear,
    multistep,
    one_minus_sqrt,
    parse,
    polynomial,
    recover,
    repeat,
    step,
    warmup_inverse_sqrt,
)
from calando.schedules.by_name import BY_NAME
from calando.schedules.finding import Finding

PRESETS = [
    *BY_NAME.values(),
    "linear(0, 1, over='5%') >> cosine(1, 0)",
    "linear(0, 1, over='5%') >> linear(1, 0)",
    "flat_cosine()",
    "warmup_hold_cosine()",
    "wsd(shape='one_minus_sqrt')",
    "wsd(shape='one_minus_square')",
    "wsd(shape='cosine')",
    "warmup_inverse_sqrt()",
    "linear(0, 1, over='5%') >> polynomial(1, 0, power=2)",
    "linear(0, 1, over='5%') >> step(every='30%', factor=0.1)",
    "staircase(cosine(1, 0), every='2%')",
]


def rounded(rates, digits):
    if digits == "float32":
        return np.asarray(rates, dtype=np.float32).astype(np.float64)
    return np.array([float(f"{rate:.{digits}g}") for rate in rates])


def unit(rates, digits):
    """One unit in the last place, and a billionth of the greatest rate."""
    size = np.where(rates > 0, rates, 1.0)
    last = size * 2.0**-23 if digits == "float32" else 10.0 ** (np.floor(np.log10(size)) - digits + 1)
    return np.where(rates > 0, last, 0) + 1.001e-9 * rates.max()


@pytest.mark.parametrize("digits", ["float32", 6])
@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize("text", PRESETS)
def test_a_preset_comes_back_as_its_text(text, every, digits):
    schedule, steps = parse(text), np.arange(0, 1000, every)
    rates = rounded(0.1 * schedule.bind(1000)(steps), digits)
    found = recover(steps, rates, total_steps=1000)
    assert (found.text, found.base, found.exact) == (str(schedule), pytest.approx(0.1, rel=1e-6), True)
    assert parse(found.text) == found.schedule


spans = st.integers(2, 30).map(lambda share: f"{share}%")
ends = st.sampled_from([0, 0.001, 0.01, 0.1]) | st.floats(0, 0.5).map(lambda value: float(f"{value:.3g}"))
powers = st.sampled_from([0.5, 0.9, 1.5, 2, 3])


@st.composite
def falls(draw):
    end = draw(ends)
    return draw(
        st.sampled_from(
            [
                linear(1, end),
                cosine(1, end),
                exponential(1, max(end, 0.001)),
                polynomial(1, end, power=draw(powers)),
                one_minus_sqrt(1, end),
            ]
        )
    )


@st.composite
def schedules(draw):
    rise = linear(draw(st.sampled_from([0, 0.01, 0.1])), 1, over=draw(spans))
    kind = draw(
        st.sampled_from(["fall", "rise", "held", "cycle", "step", "multistep", "inverse", "restarts", "constant"])
    )
    if kind == "fall":
        return draw(falls())
    if kind == "rise":
        return rise >> draw(falls())
    if kind == "held":
        return rise >> constant(1, over=f"{draw(st.integers(10, 50))}%") >> draw(falls())
    if kind == "cycle":
        return cosine(0.04, 1, over=draw(spans)) >> cosine(1, draw(ends))
    if kind == "step":
        return step(every=f"{draw(st.integers(10, 60))}%", factor=draw(st.sampled_from([0.1, 0.2, 0.5, 0.9])))
    if kind == "multistep":
        places = sorted(draw(st.sets(st.integers(2, 18), min_size=1, max_size=4)))
        return multistep(at=[f"{5 * place}%" for place in places], factor=draw(st.sampled_from([0.1, 0.3, 0.5])))
    if kind == "inverse":
        return warmup_inverse_sqrt(warmup=draw(spans))
    if kind == "restarts":
        return repeat(cosine(1, draw(ends)), every=f"{draw(st.integers(12, 50))}%")
    return constant(1)


bases = st.sampled_from([0.1, 3e-4, 1e-3, 0.05, 2.0]) | st.floats(1e-5, 1).map(lambda value: float(f"{value:.3g}"))


@given(schedules(), bases, st.integers(100, 100_000), st.sampled_from(["float32", 6]), st.data())
def test_what_is_recovered_meets_every_logged_rate_within_its_rounding(schedule, base, total, digits, data):
    every = data.draw(st.integers(max(total // 1000, 1), max(total // 60, 1)))
    steps = np.arange(0, total, every)
    rates = rounded(base * schedule.bind(total)(steps), digits)
    found = recover(steps, rates, total_steps=total)
    again = found.base * parse(found.text).bind(found.total_steps)(steps)
    assert found.exact, (str(schedule), found)
    assert (np.abs(again - rates) <= unit(rates, digits)).all(), (str(schedule), found)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=60), st.integers(1, 50))
def test_whatever_is_logged_the_misfit_is_what_it_says(rates, every):
    rates = np.array(rates)
    steps = every * np.arange(len(rates))
    found = recover(steps, rates)
    error = np.abs(found.base * found.schedule.bind(found.total_steps)(steps) - rates).max()
    assert found.misfit == pytest.approx(error / rates.max(), abs=1e-12)
    assert found.exact <= (error <= 2e-3 * rates.max())


def test_the_length_of_the_run_is_read_where_the_rates_end():
    curve = parse("linear(0, 1, over='500 steps') >> cosine(1, 0)").bind(10_000)
    steps = np.arange(50, 9_951, 50)
    found = recover(steps, rounded(3e-4 * curve(steps), 6))
    assert (found.text, found.base, found.total_steps) == ("linear(0, 1, over='5%') >> cosine(1, 0)", 3e-4, 10_000)
    assert found.notes == ("the run is taken to have 10000 steps; the last logged is 9950",)


def test_a_run_that_stopped_early_has_the_rest_of_its_schedule():
    steps = np.arange(0, 600)
    found = recover(steps, 0.1 * cosine(1, 0).bind(1000)(steps))
    assert (found.text, found.total_steps) == ("cosine(1, 0)", 1000)
    found = recover(steps, 0.1 * cosine(1, 0).bind(1000)(steps), total_steps=600)
    assert found.exact
    assert found.total_steps == 600


def test_order_and_repetition_do_not_matter_and_a_resumed_run_counts_last():
    curve = cosine(1, 0).bind(1000)
    steps = np.concatenate([np.arange(0, 500, 10), np.arange(400, 1000, 10), [990]])
    shuffled = np.random.default_rng(0).permutation(len(steps))
    assert recover(steps[shuffled], 0.1 * curve(steps[shuffled]), total_steps=1000).text == "cosine(1, 0)"
    wrong = 0.1 * curve(steps)
    wrong[45:50] = 0.07
    found = recover(steps, wrong, total_steps=1000)
    assert found.text == "cosine(1, 0)"
    assert found.notes[0].startswith("5 of 100 steps were logged with different rates, first step 450")


def test_noise_and_a_plateau_are_no_schedule_of_another_name():
    steps = np.arange(300)
    noisy = 0.1 * cosine(1, 0).bind(300)(steps) * np.random.default_rng(1).uniform(0.98, 1.02, 300)
    found = recover(steps, noisy, total_steps=300)
    assert not found.exact
    assert 0.001 < found.misfit < 0.2
    assert str(found).startswith("no schedule found; the closest: ")
    cut = 0.1 * 0.5 ** np.searchsorted([37, 81, 94, 203], steps, side="right")
    found = recover(steps, cut, total_steps=300)
    assert found.exact
    assert found.text.startswith("multistep(at=")
    assert found.notes == (
        "drops at places of their own: steps say nothing of what made them, a milestone or a plateau",
    )


def test_lint_reads_what_was_recovered():
    steps = np.arange(0, 1000, 5)
    found = recover(steps, 0.1 * parse("linear(0, 1, over='80%') >> cosine(1, 0)").bind(1000)(steps), total_steps=1000)
    findings = found.schedule.bind(found.total_steps).lint()
    assert all(isinstance(one, Finding) for one in findings)
    assert "long-warmup" in [one.name for one in findings]


@pytest.mark.parametrize(
    ("steps", "rates", "message"),
    [
        ([], [], "recover needs logged rates, got none"),
        ([0, 1], [0.1], "recover needs as many rates as steps, got 1 rates at 2 steps"),
        ([0.5], [0.1], "a step must be a whole number from 0 to 1000000000, got 0.5"),
        ([-1], [0.1], "a step must be a whole number from 0"),
        ([0], [float("nan")], "a rate must be a finite number, 0 or more, got nan at step 0; leave such rows out"),
        ([0], [-0.1], "a rate must be a finite number, 0 or more, got -0.1"),
        (["a"], [0.1], "steps must be a list of numbers"),
        (3, [0.1], "steps must be a list of numbers"),
    ],
)
def test_what_is_no_log_is_refused(steps, rates, message):
    with pytest.raises(UsageError, match=message):
        recover(steps, rates)


def test_a_run_is_no_shorter_than_its_log():
    with pytest.raises(UsageError, match="step 99 was logged, after the 50 of total_steps"):
        recover(range(100), [0.1] * 100, total_steps=50)


@pytest.mark.parametrize("rates", [[0.0], [0.1], [0.1, 0.1], [0.1, 0.05], [0.0, 0.0, 0.0], [0.0, 0.1]])
def test_a_few_rates_are_enough_to_say_something(rates):
    found = recover(range(len(rates)), rates)
    assert found.exact
    assert found.misfit < 1e-6


def theirs(make, steps, lr=0.1):
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler.step()
    return np.array(rates)


TORCH = {
    "StepLR(o, 300, 0.1)": "step(every='30%', factor=0.1)",
    "StepLR(o, 100, 0.9)": "step(every='10%', factor=0.9)",
    "MultiStepLR(o, [300, 600, 800], 0.2)": "multistep(at=['30%', '60%', '80%'], factor=0.2)",
    "CosineAnnealingLR(o, 1000, 0.001)": "cosine(1, 0.01)",
    "CosineAnnealingLR(o, 400)": "repeat(cosine(1, 0, over='40%') >> cosine(0, 1, over='40%'))",
    "ExponentialLR(o, 0.995)": "step(every='1 step', factor=0.995)",
    "OneCycleLR(o, 0.3, total_steps=1000)": "cosine(0.04, 1, over='29.9%') >> cosine(1, 4e-06, over='70%')",
    "OneCycleLR(o, 0.3, total_steps=1000, anneal_strategy='linear')": (
        "linear(0.04, 1, over='29.9%') >> linear(1, 4e-06, over='70%')"
    ),
    "LinearLR(o, 0.25, total_iters=100)": "linear(0.25, 1, over='10%') >> constant(1)",
    "PolynomialLR(o, 1000, 0.9)": "polynomial(1, 0, power=0.9)",
    "PolynomialLR(o, 600, 2)": "polynomial(1, 0, power=2, over='60%') >> constant(0)",
    "CosineAnnealingWarmRestarts(o, 300)": "repeat(cosine(1, 0), every='30%')",
    "CosineAnnealingWarmRestarts(o, 100, 2, 0.0001)": "repeat(cosine(1, 0.001), every='10%', stretch=2)",
    "CyclicLR(o, 0.01, 0.1, 100, cycle_momentum=False)": (
        "repeat(linear(0.1, 1, over='10%') >> linear(1, 0.1, over='10%'))"
    ),
    "SequentialLR(o, [s.LinearLR(o, 0.01, total_iters=57), s.CosineAnnealingLR(o, 943)], [57])": (
        "linear(0.01, 1, over='5.7%') >> cosine(1, 0)"
    ),
}


@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize("call", TORCH)
def test_torch_s_schedulers_are_recognised(call, every):
    from torch.optim import lr_scheduler

    rates = theirs(lambda optimizer: eval(f"s.{call}", {"o": optimizer, "s": lr_scheduler}), 1000)
    found = recover(range(0, 1000, every), rates[::every], total_steps=1000)
    assert found.exact, found
    if "linear" not in call or every == 1:  # where the line ended before step 999 was not logged
        assert found.text == TORCH[call]


TRANSFORMERS = {
    "linear": ({}, "linear(0, 1, over='7.3%') >> linear(1, 0)"),
    "cosine": ({}, "linear(0, 1, over='7.3%') >> cosine(1, 0)"),
    "cosine_with_restarts": ({"num_cycles": 3}, "linear(0, 1, over='7.3%') >> repeat(cosine(1, 0), limit=3)"),
    "constant_with_warmup": ({}, "linear(0, 1, over='7.3%') >> constant(1)"),
    "inverse_sqrt": ({}, "linear(0, 1, over='7.3%') >> power_decay(exponent=0.5, timescale='7.3%')"),
    "cosine_with_min_lr": ({"min_lr_rate": 0.1}, "linear(0, 1, over='7.3%') >> cosine(1, 0.1)"),
    "warmup_stable_decay": (
        {"num_decay_steps": 200},
        "linear(0, 1, over='7.3%') >> constant(1) >> cosine(1, 0, over='20%')",
    ),
}


@pytest.mark.parametrize("every", [1, 50])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_schedules_are_recognised(name, every):
    from transformers import get_scheduler

    options, text = TRANSFORMERS[name]
    rates = theirs(
        lambda o: get_scheduler(
            name, o, num_warmup_steps=73, num_training_steps=1000, scheduler_specific_kwargs=options
        ),
        1000,
        lr=3e-4,
    )
    found = recover(range(0, 1000, every), rates[::every], total_steps=1000)
    assert (found.exact, found.text, found.base) == (True, text, 3e-4)


def test_a_thousand_rates_take_less_than_half_a_second_and_many_more_not_much_longer():
    """Processor time, as other processes share the machine, and the least of three, as they share its caches too."""
    for count, most in ((1_000, 0.5), (100_000, 2.0)):
        steps, took = np.arange(count), []
        rates = 0.1 * parse("wsd()").bind(count)(steps)
        for _ in range(3):
            started = time.process_time()
            assert recover(steps, rates, total_steps=count).exact
            took.append(time.process_time() - started)
        assert min(took) < most
