"""Texts of schedules: what they mean, the one way each schedule is spelled, and the names there are to spell it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando import schedules
from calando.errors import ScheduleTextError, UsageError
from calando.schedules import (
    SCHEDULES,
    clip,
    constant,
    cosine,
    linear,
    multistep,
    one_cycle,
    parse,
    per_group,
    polynomial,
    repeat,
    step,
    warp,
    wsd,
)
from calando.schedules.ramp import Shape


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("cosine(1, 0)", cosine(1, 0)),
        (" cosine ( end = 0 ,\n\tstart = 1 , ) ", cosine(1, 0)),
        ("linear(0, 1, over='5%') >> cosine(1, 0)", linear(0, 1, over="5%") >> cosine(1, 0)),
        ("linear(-0, +1, over=5)", linear(0, 1, over="5 steps")),
        ("linear(0, 1, over=none)", linear(0, 1)),
        ("linear(0, 1, over=5) >> 0.5 * 2", linear(0, 1, over=5) >> constant(0.5) * 2),
        ("(linear(0, 1, over=5) >> 0.5) * 2", (linear(0, 1, over=5) >> 0.5) * 2),
        ("linear(0, 1, over=5) >> 0.5", linear(0, 1, over=5) >> 0.5),
        ("0.5", constant(0.5)),
        ("one_cycle", one_cycle()),
        ("wsd()", wsd()),
        ("polynomial(1, 0)", polynomial(1, 0, power=2)),
        ("step(every=30, factor=.1)", step(every="30 steps", factor=0.1)),
        ("multistep(at=(30, '50%'), factor=.1)", multistep(at=[30, "50%"], factor=0.1)),
        ("cosine(1, 0) + 0.5", cosine(1, 0) + 0.5),
        ("cosine(1, 0) +0.5", cosine(1, 0) + 0.5),
        ("cosine(1, 0)+0.5", cosine(1, 0) + 0.5),
        ("cosine(1, 0) + -0.5", cosine(1, 0) + -0.5),
        ("cosine(1, 0) + +0.5", cosine(1, 0) + 0.5),
        ("cosine(1, 0) * +0.5", cosine(1, 0) * 0.5),
        ("1e+3", constant(1000)),
        ("1 +1e+3", constant(1) + 1000),
        ("linear(0, 1, over=5) >> 1 +2 * cosine(1, 0)", linear(0, 1, over=5) >> (constant(1) + 2 * cosine(1, 0))),
        ("(cosine(1, 0) + 1) * 2", (cosine(1, 0) + 1) * 2),
        ("repeat(cosine(1, 0), every='25%')", repeat(cosine(1, 0), every="25%")),
        ("repeat(part=cosine(1, 0), every='25%')", repeat(cosine(1, 0), every="25%")),
        ("repeat((cosine(1, 0)), every='25%')", repeat(cosine(1, 0), every="25%")),
        ("repeat(1, every=5)", repeat(1, every=5)),
        ("clip(0.5 * cosine(1, 0), low=0.1)", clip(0.5 * cosine(1, 0), low=0.1)),
        ("clip(-1 +cosine(1, 0), low=0.1)", clip(constant(-1) + cosine(1, 0), low=0.1)),
        ("clip(one_cycle * 2, low=0.1)", clip(one_cycle() * 2, low=0.1)),
        (
            "warp(linear(0, 1, over='5%') >> cosine(1, 0), power=3)",
            warp(linear(0, 1, over="5%") >> cosine(1, 0), power=3),
        ),
        (
            "repeat((linear(0, 1, over=5) >> linear(1, 0, over=5)) * cosine(1, 0), every=10)",
            repeat((linear(0, 1, over=5) >> linear(1, 0, over=5)) * cosine(1, 0), every=10),
        ),
        (
            "per_group({'head': cosine(1, 0), 'body': 0.1,}, others=2 * cosine(1, 0))",
            per_group({"head": cosine(1, 0), "body": 0.1}, others=2 * cosine(1, 0)),
        ),
        (
            "per_group(groups={\"a\": 1}, others=0) * per_group({'a': per_group({'b': 2}, others=3)}, others=1)",
            per_group({"a": 1}, others=0) * per_group({"a": per_group({"b": 2}, others=3)}, others=1),
        ),
    ],
)
def test_texts_mean_what_python_means(text, schedule):
    assert parse(text) == schedule


operands = st.sampled_from(
    [
        "linear(0, 1, over=3)",
        "constant(.5, over=7)",
        "clip(cosine(1, 0, over=4) + 1, low=1)",
        "repeat(2 * linear(0, 1, over=2), limit=2)",
    ]
).map(lambda text: (text, text))
# a number stands for a constant; Python would work out two of them by itself
numbers = st.sampled_from([(text, f"constant({text})") for text in ("2", "+2", "-.5", "1e+2")])
operators = st.sampled_from([(text, text) for text in (" >> ", ">>", " + ", "+", "+ ", " * ", "*", " *\n")])
signs = st.sampled_from([(text, f"+ constant({text})") for text in ("+2", "+.5", "+1e+2")])


def joined(inner):
    bracketed = inner.map(lambda texts: tuple(f"({text})" for text in texts))
    left, right = inner | bracketed, inner | bracketed | numbers
    pieces = st.tuples(left, operators, right) | st.tuples(left, signs)
    return pieces.map(lambda found: tuple("".join(texts) for texts in zip(*found, strict=True)))


@given(st.recursive(operands, joined, max_leaves=12))
def test_operators_bind_as_they_do_in_python(texts):
    text, python = texts
    meant, said = None, ""
    try:
        # in brackets, a line may break anywhere
        meant = eval(f"({python})", dict(SCHEDULES))
    except UsageError as error:
        said = str(error)
    if meant is None:
        with pytest.raises(ScheduleTextError) as caught:
            parse(text)
        assert said in str(caught.value)
    else:
        assert parse(text) == parse(str(meant)) == meant


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (one_cycle(), "cosine(0.04, 1, over='30%') >> cosine(1, 4e-06)"),
        (wsd(), "linear(0, 1, over='5%') >> constant(1) >> linear(1, 0, over='20%')"),
        (polynomial(1, 0), "polynomial(1, 0, power=2)"),
        (2 * cosine(1, 0) * 3, "constant(2) * cosine(1, 0) * 3"),
        ((linear(0, 1, over=1) >> 1) * 0.1, "(linear(0, 1, over='1 step') >> constant(1)) * 0.1"),
        (multistep(at=[5, "50%"], factor=0.1), "multistep(at=['5 steps', '50%'], factor=0.1)"),
        (step(every="0.5 epochs", factor=0.97, over="80%"), "step(every='0.5 epochs', factor=0.97, over='80%')"),
    ],
)
def test_schedules_are_spelled_one_way(schedule, text):
    assert str(schedule) == text


def test_every_shape_has_the_constructor_it_is_spelled_with():
    names = {shape.name for shape in Shape.__subclasses__()}
    assert len(names) == len(Shape.__subclasses__()) >= 5
    for name in names:
        schedule = SCHEDULES[name](1, 0.5)
        assert schedule.shape.name == name
        assert parse(str(schedule)) == schedule


def test_the_public_names_are_sorted_and_there():
    assert list(schedules.__all__) == sorted(schedules.__all__, key=lambda name: (not name.isupper(), name))
    for name in schedules.__all__:
        assert getattr(schedules, name) is not None
    assert set(SCHEDULES) <= set(schedules.__all__)
