"""A schedule changed by hand: before the step the same bits, after it what was asked, and a text that reads back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.schedules import constant, cosine, parse
from calando.schedules.span import Horizon
from calando.schedules.steering import followed, lengthened, multiplied

TEXTS = [
    "constant(1)",
    "cosine(1, 0)",
    "linear(0, 1, over='5%') >> cosine(1, 0)",
    "linear(0, 1, over='7 steps') >> constant(1) >> linear(1, 0, over='20%')",
    "wsd()",
    "one_cycle()",
    "step(every='30%', factor=0.5)",
    "warmup('7%') >> repeat(cosine(1, 0), every='20%')",
    "multistep(at=['50%', '75%'], factor=0.3)",
    "warp(cosine(1, 0), power=2)",
    "staircase(exponential(1, 0.01), every='1 epoch')",
    "clip(exponential(1, 0.01), low=0.1)",
    "(linear(0, 1, over='5%') >> constant(1)) * cosine(1, 0)",
    "per_group({'body': 0.1}, others=1) * cosine(1, 0)",
    "radam_warmup() * cosine(1, 0)",
    "exponential_decay(factor=0.5, every='20%')",
    "cosine(1, 0) + 0.1",
    "knots(values=[0.2, 1, 0], at=['20%', '100%'])",
]
TIMES = st.integers(2, 700)


def values(schedule, horizon):
    """By group, the multiplier of every update."""
    names = schedule.group_names or ("all",)
    found = {}
    for name in names:
        one = schedule.for_group(name) if schedule.group_names else schedule
        found[name] = one.bind(horizon.total_steps, steps_per_epoch=horizon.steps_per_epoch).sample()
    return found


def same(left, right):
    names = set(left) & set(right) or {None}
    for name in names:
        one = left[name] if name else next(iter(left.values()))
        other = right[name] if name else next(iter(right.values()))
        yield one, other


@given(text=st.sampled_from(TEXTS), total=TIMES, share=st.floats(0.01, 0.99), factor=st.floats(0, 8))
def test_multiplied_from_a_step_on(text, total, share, factor):
    schedule, horizon, step = parse(text), Horizon(total, 13), max(1, int(share * total))
    changed = multiplied(schedule, factor, step=step)
    assert parse(str(changed)) == changed
    for before, after in same(values(schedule, horizon), values(changed, horizon)):
        assert np.array_equal(after[:step], before[:step])
        assert np.array_equal(after[step:], before[step:] * factor)


@given(text=st.sampled_from(TEXTS), by=st.sampled_from(TEXTS), total=st.integers(60, 700), share=st.floats(0, 0.5))
def test_followed_by_another(text, by, total, share):
    schedule, horizon, step = parse(text), Horizon(total, 13), int(share * total)
    # A share is of the whole horizon however deep it stands, so only what has none is the same alone.
    then = cosine(0.5, 0) if "%" in str(parse(by)) else parse(by)
    changed = followed(schedule, then, step=step, horizon=horizon)
    assert parse(str(changed)) == changed
    alone = values(then, Horizon(total - step, 13))
    for before, after in same(values(schedule, horizon), values(changed, horizon)):
        assert np.array_equal(after[:step], before[:step])
    for wanted, after in same(alone, values(changed, horizon)):
        np.testing.assert_allclose(after[step:], wanted, rtol=1e-12, atol=1e-15)


@given(text=st.sampled_from(TEXTS), total=st.integers(60, 400), share=st.floats(0, 0.9), more=st.integers(1, 500))
def test_lengthened_goes_on_as_over_the_new_length(text, total, share, more):
    schedule, step = parse(text), int(share * total)
    short, long = Horizon(total, 13), Horizon(total + more, 13)
    changed = lengthened(schedule, step=step, before=short, after=long)
    assert parse(str(changed)) == changed
    for before, after in same(values(schedule, short), values(changed, long)):
        assert np.array_equal(after[:step], before[:step])
    for wanted, after in same(values(schedule, long), values(changed, long)):
        np.testing.assert_allclose(after[step:], wanted[step:], rtol=1e-9, atol=1e-12)


def test_a_second_change_goes_on_with_the_first():
    once = multiplied(cosine(1, 0), 0.5, step=10)
    assert (
        str(multiplied(once, 4, step=20)) == "cosine(1, 0) * piecewise(values=[1, 0.5, 2], at=['10 steps', '20 steps'])"
    )
    # A change further back is another factor: the first one stays.
    assert str(multiplied(once, 4, step=5)) == f"{once} * piecewise(values=[1, 4], at=['5 steps'])"


def test_what_has_no_length_to_be_given_is_masked():
    cycles = parse("repeat(cosine(1, 0), limit=4)")
    changed = followed(cycles, constant(0.1), step=30, horizon=Horizon(100))
    assert np.array_equal(changed.bind(100).sample()[:30], cycles.bind(100).sample()[:30])
    assert set(changed.bind(100).sample()[30:]) == {0.1}
    with pytest.raises(UsageError, match="cannot be given another length"):
        lengthened(cycles, step=30, before=Horizon(100), after=Horizon(200))


def test_what_follows_must_fit():
    with pytest.raises(UsageError, match="40 steps too many"):
        followed(constant(1), parse("linear(1, 0, over='90 steps') >> constant(0.1)"), step=50, horizon=Horizon(100))
