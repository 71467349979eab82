"""Commands to a run, and the branches that they make."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.records import RunSpec, StrategySpec, WorkloadSpec
from calando.records.command import branch_of, parse_command
from calando.schedules import cosine, parse


def run(schedule="cosine(1, 0)", *, steps=300, **more):
    schedules = {"lr": schedule, **more}
    strategy = StrategySpec(name="mine", method="sgd", lr=0.1, options={"momentum": 0.9}, schedules=schedules)
    workload = WorkloadSpec(data="digits")
    return RunSpec(workload=workload, strategy=strategy, steps=steps, steps_per_epoch=30, evaluate_every=30, seed=1)


def rates(spec):
    curve = parse(spec.strategy.schedules["lr"]).bind(spec.steps, steps_per_epoch=spec.steps_per_epoch)
    return curve.sample() * spec.lr


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("rate *0.5", "factor", 0.5),
        ("RATE x2", "factor", 2.0),
        ("rate * 0", "factor", 0.0),
        ("rate =1e-3", "rate", 0.001),
        ("  schedule   cosine(1,0) ", "schedule", cosine(1, 0)),
        ("from 7: rate *2", "since", 7),
        ("fork from 7: rate *2", "fork", True),
        ("pause", "verb", "pause"),
        ("Stop", "verb", "stop"),
    ],
)
def test_what_a_line_says(text, field, value):
    assert getattr(parse_command(text), field) == value


NO_COMMANDS = ("", "rate", "rate *", "rate *-1", "rate *nan", "rate =0", "rate *1e999", "rate =1_0", "rate *0.5.5")
NOR_THESE = ("faster", "schedule", "schedule __import__('os')", "horizon", "horizon -3", "fork", "from 3:", "rate *٣")
NOR_TWO = (
    "rate 0.02",
    "from x: rate *2",
    "rate *2; rate *3",
    "rate *2; schedule cosine(1, 0)",
    "pause; rate *2",
    "x" * 3000,
)


@pytest.mark.parametrize("text", [*NO_COMMANDS, *NOR_THESE, *NOR_TWO])
def test_what_is_no_command_is_refused_in_a_line(text):
    with pytest.raises(UsageError) as refused:
        parse_command(text)
    assert "\n" not in str(refused.value)


@given(step=st.integers(0, 299), factor=st.floats(0, 10).filter(lambda x: x != 1))
def test_a_branch_shares_its_past_to_the_bit(step, factor):
    parent = run()
    branch = branch_of(parent, parse_command(f"rate *{factor!r}"), step=step)
    assert branch.digest() != parent.digest()
    assert np.array_equal(rates(branch)[:step], rates(parent)[:step])
    assert RunSpec.model_validate_json(branch.model_dump_json()) == branch
    np.testing.assert_allclose(rates(branch)[step:], rates(parent)[step:] * factor, rtol=1e-15)


@given(step=st.integers(0, 299), rate=st.floats(1e-9, 100))
def test_a_rate_that_is_set_is_that_rate(step, rate):
    branch = branch_of(run(), parse_command(f"rate ={rate!r}"), step=step)
    np.testing.assert_allclose(rates(branch)[step:], rate, rtol=4e-16)


def test_a_longer_branch_goes_on_as_over_the_new_length_and_its_momentum_too():
    parent = run("linear(0, 1, over='10%') >> cosine(1, 0)", momentum="one_cycle_momentum()")
    branch = branch_of(parent, parse_command("horizon 20 epochs"), step=100)
    assert branch.steps == 600
    assert np.array_equal(rates(branch)[:100], rates(parent)[:100])
    whole = parse("linear(0, 1, over='10%') >> cosine(1, 0)").bind(600).sample() * 0.1
    np.testing.assert_allclose(rates(branch)[100:], whole[100:], rtol=1e-12)
    before = parse("one_cycle_momentum()").bind(300).sample()
    assert np.array_equal(parse(branch.strategy.schedules["momentum"]).bind(600).sample()[:100], before[:100])


def test_from_says_where_whether_past_or_to_come():
    for since in (0, 20, 200):
        branch = branch_of(run(), parse_command(f"from {since}: rate *0.5"), step=100)
        assert np.array_equal(rates(branch) == rates(run()), np.arange(300) < since)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate *1", "changes nothing"),
        ("horizon 100", "begin at update 100"),
        ("from 300: rate *2", "begin at update 300"),
        ("schedule linear(0, 1, over='500 steps')", "too many"),
        ("schedule linear(1, -1)", "negative"),
        ("horizon 30000000", "30000000"),
    ],
)
def test_what_cannot_be_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        branch_of(run(), parse_command(text), step=100)


def test_a_branch_of_a_branch():
    once = branch_of(run(), parse_command("rate *0.5"), step=100)
    twice = branch_of(once, parse_command("rate =0.02"), step=200)
    assert np.array_equal(rates(twice)[:200], rates(once)[:200])
    np.testing.assert_allclose(rates(twice)[200:], 0.02, rtol=4e-16)


def test_what_was_lengthened_is_shortened_as_the_refusal_says():
    once = branch_of(run(), parse_command("horizon 400"), step=100)
    with pytest.raises(UsageError, match=r"longer than 250 updates; name what follows as well, as in '; schedule c"):
        branch_of(once, parse_command("horizon 250"), step=200)
    twice = branch_of(once, parse_command("horizon 250; schedule cosine(1, 0)"), step=200)
    assert (twice.steps, len(rates(twice))) == (250, 250)
    assert np.array_equal(rates(twice)[:200], rates(once)[:200])
