"""Texts that mean harm, or nothing: what comes out is a schedule that reads back, or our own error on one line."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.schedules.schedule_texts import TEXTS

from calando.errors import ScheduleTextError, UsageError
from calando.schedules import SCHEDULES, from_json, parse, to_json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1" * 100_001, "at most 100000 are read"),
        ("(" * 51 + "1" + ")" * 51, "nested more than 50 deep"),
        ("(" * 90_000, "nested more than 50 deep"),
        ("step(every=" + "[" * 90_000, "nested more than 50 deep"),
        ("1" + "*1" * 5000, "more than 1000 parts"),
        ("(" + "1*" * 900 + "1)*(" + "1*" * 900 + "1)", "1000 parts"),
        (" >> ".join(["constant(1, over=1)"] * 1001), "more than 1000 parts"),
        ("multistep(at=[" + "1," * 2000 + "], factor=1)", "at must hold 1 to 1000"),
        ("cosine(1, " + "9" * 5000 + ")", "too large"),
        ("constant(1, over=" + "9" * 5000 + ")", "too large"),
        ("cosine(1, 0, over='" + "9" * 5000 + " steps')", "must be a length"),
        ("x" * 90_000, "unknown schedule"),
        ("warp(" * 51 + "1" + ", power=1)" * 51, "nested more than 50 deep"),
        ("warp(" * 20_000, "nested more than 50 deep"),
        ("warp(part=[" * 9_000, "nested more than 50 deep"),
        ("per_group({'a': " * 6_000, "nested more than 50 deep"),
        ("repeat([" + "cosine(1, 0)," * 7_000 + "])", "more than 1000 parts"),
        ("per_group({" + "".join(f"'{i}': 1 * 1," for i in range(5_000)) + "})", "more than 1000 parts"),
        ("per_group({" + "".join(f"'{i}': 1," for i in range(5_000)) + "})", "at most 1000 groups|1000 parts"),
        ("warp(cosine(1, 0), power=" + "cosine(1, 0) + " * 5_000, "more than 1000 parts"),
        ("1" + "+1" * 5000, "more than 1000 parts"),
        ("clip(1" + "+1" * 40_000, "more than 1000 parts"),
    ],
)
def test_hostile_texts_are_refused(text, said):
    with pytest.raises(ScheduleTextError, match=said) as caught:
        parse(text)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "__import__('os')",
        "().__class__.__bases__",
        "cosine.__globals__",
        "cosine(().__class__, 0)",
        "cosine(1, 0).bind(10)",
        "repeat(__import__('os'), every=5)",
        "per_group({'a': __import__('os')})",
        "eval('1')",
        "print(1)",
        "lambda: 0",
        "(lambda: cosine(1, 0))()",
        "cosine(1, [x for x in (0,)])",
        "f'{1}'",
        "cosine(1, f'{0}')",
        "'{0}'.format(1)",
        "cosine(1, 0) if 1 else 2",
        "(a := cosine(1, 0))",
        "cosine(*[1, 0])",
        "cosine(**{'start': 1, 'end': 0})",
        "cosine(1, 0); linear(1, 0)",
        "cosine(1, 0)\nlinear(1, 0)",
        "cosine(1, 0) # * 2",
        "cosine(1, 0x10)",
        "cosine(1, 1_0)",
        "cosine(1, 1j)",
        "cosine(1, inf)",
        "cosine(1, nan)",
        "cosine(1, 1/2)",
        "cosine(1, 2**2)",
        "cosine(1, -(1))",
        "cosine(1, ...)",
        "-cosine(1, 0)",
        "cosine\x00(1, 0)",
        "\u212fxponential(1, 0.1)",
        "cosine(\u0661, 0)",
        "cosine(1,\u00a00)",
        "cosine\uff081, 0)",
        "function('os.system')",
        "function(os.system)",
        "function(print)",
    ],
)
def test_what_only_python_understands_is_refused(text):
    with pytest.raises(ScheduleTextError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("warp(", ", power=2)"),
        ("per_group({'a': ", "})"),
        ("clip((constant(1, over='1 step') >> ", ") * 2, low=0)"),
        ("(constant(1, over='1 step') >> (1 + ", ") * 2)"),
    ],
)
def test_what_can_be_built_can_be_read_back_at_the_greatest_depth(before, after):
    texts = ["multistep(at=['1 step'], factor=0.5)"]  # the deepest leaf: two brackets
    for _ in range(50):
        texts.append(f"{before}{texts[-1]}{after}")
    read = []
    for text in texts:
        try:
            schedule = eval(text, dict(SCHEDULES))
        except UsageError:
            with pytest.raises(ScheduleTextError, match="50 deep"):
                parse(text)
        else:
            read.append(parse(str(schedule)) == parse(text) == schedule)
    assert 10 < len(read) < 51
    assert all(read)


def outcome(text):
    """What `parse` makes of it: a schedule that reads back equal, or our own error on one line."""
    try:
        schedule = parse(text)
    except UsageError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
    if message:
        return None
    assert parse(str(schedule)) == schedule
    assert from_json(to_json(schedule)) == schedule
    return schedule


arguments = [
    "start",
    "end",
    "over",
    "power",
    "every",
    "factor",
    "at",
    "shape",
    "part",
    "groups",
    "others",
    "true",
    "none",
]
marks = [
    ">>",
    "*",
    "+",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    "=",
    ":",
    "|",
    "'5%'",
    '"2 epochs"',
    "'",
    '"',
    "%",
    "é",
    " ",
    "\n",
]
words = st.sampled_from([*SCHEDULES, *arguments, *marks, "0", "1", "-1", ".5", "1e-3", "1e999"])


@settings(deadline=None, max_examples=500)
@given(st.one_of(st.text(), st.lists(words, max_size=30).map("".join), st.lists(words, max_size=30).map(" ".join)))
def test_any_text_gives_a_schedule_or_our_own_error(text):
    outcome(text)


@settings(deadline=None, max_examples=1000)
@given(
    st.sampled_from(TEXTS),
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 3), words | st.characters()), max_size=4),
)
@example(TEXTS[0], [])
def test_any_mutated_text_gives_a_schedule_or_our_own_error(text, edits):
    for place, removed, inserted in edits:
        text = text[:place] + inserted + text[place + removed :]
    schedule = outcome(text)
    assert schedule is not None or edits


def test_what_is_no_schedule_is_looked_up_as_a_strategy_once():
    """A strategy's schedules are parsed as well, and fail as well: looking up again and again had no end."""
    nested = "repeat(" * 51 + "linear(0, 1" + ")" * 52
    for text in (nested, f"sgd | {nested}", "sgd | warmup-cosine | nonsense("):
        with pytest.raises(UsageError):
            parse(text)
