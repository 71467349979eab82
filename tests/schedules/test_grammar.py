"""Calls and pipes: the pieces that the text of a strategy is read with."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calando.errors import ScheduleTextError, UsageError
from calando.schedules import parse, parse_call, split_pipe

STRATEGY = "sgd(lr=0.1, momentum=0.9) | linear(0, 1, over='5%') >> cosine(1, 0)"

names = st.from_regex(r"\A[a-z_][a-z0-9_]{0,8}\Z").filter(lambda name: name not in ("true", "false", "none"))
plain = st.text(st.characters(blacklist_characters="'\"\r\n", blacklist_categories=["Cs"]), max_size=10)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**16), 10**16), st.floats(allow_nan=False, allow_infinity=False), plain
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)


def spelled(value):
    if isinstance(value, tuple):
        return f"[{', '.join(spelled(item) for item in value)}]"
    return repr(value) if not isinstance(value, str) else f'"{value}"'


@given(names, st.lists(values, max_size=3), st.dictionaries(names, values, max_size=3))
def test_a_call_reads_back_with_the_place_of_every_argument(name, args, kwargs):
    text = (
        f"{name}({', '.join([*map(spelled, args), *(f'{key} = {spelled(value)}' for key, value in kwargs.items())])})"
    )
    call = parse_call(f"  {text} ")
    assert (call.name, call.args, dict(call.kwargs)) == (name, tuple(args), kwargs)
    assert [type(value) for value in call.args] == [type(value) for value in args]
    assert call.start == 2
    for key, place in call.positions.items():
        value = args[key] if isinstance(key, int) else kwargs[key]
        assert call.text[place:].startswith(spelled(value))
    for key, place in call.names.items():
        assert call.text[place:].startswith(key)
    assert set(call.positions) == {*range(len(args)), *kwargs}


@pytest.mark.parametrize(
    ("text", "args", "kwargs"),
    [
        ("adam", (), {}),
        ("adam()", (), {}),
        ("adamw-cosine", (), {}),
        ("timm.resnet18", (), {}),
        ("sgd(0.1,)", (0.1,), {}),
        ("sgd(lr=auto)", (), {"lr": "auto"}),
        ("sgd(lr=1)", (), {"lr": 1}),
        ("sgd(nesterov=True, fused=false, clip=None, foreach=none)", (),
         {"nesterov": True, "fused": False, "clip": None, "foreach": None}),
        ("adam(betas=(0.9, 0.999))", (), {"betas": (0.9, 0.999)}),
        ("adam(betas=[0.9, 0.999,])", (), {"betas": (0.9, 0.999)}),
        ("a('x|y', \"it's\", [])", ("x|y", "it's", ()), {}),
        ("a(1e-3, -2, +3, 1., .5)", (1e-3, -2, 3, 1.0, 0.5), {}),
    ],
)  # fmt: skip
def test_values_are_what_they_look_like(text, args, kwargs):
    call = parse_call(text)
    assert call.args == args
    assert dict(call.kwargs) == kwargs
    assert [type(value) for value in call.args] == [type(value) for value in args]


def test_a_strategy_is_a_pipe():
    (method, start), (schedule, offset) = split_pipe(STRATEGY)
    assert (method, start) == ("sgd(lr=0.1, momentum=0.9)", 0)
    assert STRATEGY[offset:] == schedule == "linear(0, 1, over='5%') >> cosine(1, 0)"
    assert parse_call(method).kwargs == {"lr": 0.1, "momentum": 0.9}
    assert str(parse(schedule, offset=offset, whole=STRATEGY)) == schedule


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a", [("a", 0)]),
        (" a |b|  c ", [("a", 1), ("b", 4), ("c", 8)]),
        ("a('|') | b(\"|\", [|]) | c", [("a('|')", 0), ('b("|", [|])', 9), ("c", 23)]),
        ("a | momentum: b", [("a", 0), ("momentum: b", 4)]),
    ],
)
def test_a_pipe_is_split_outside_quotes_and_brackets(text, segments):
    assert split_pipe(text) == segments


@pytest.mark.parametrize(
    ("text", "character"),
    [
        ("", 1),
        ("  ", 1),
        ("a |", 4),
        ("a || b", 4),
        ("| a", 1),
        ("a('x | b", 3),
        ("a(1 | b", 2),
        ("x" * 100_001, 100_001),
    ],
)
def test_a_broken_pipe_is_pointed_at(text, character):
    with pytest.raises(ScheduleTextError) as caught:
        split_pipe(text)
    assert caught.value.position == character - 1


@settings(max_examples=300)
@given(st.text(st.sampled_from(" |()[]'\"ab=,1.")))
def test_any_pipe_gives_segments_in_place_or_our_own_error(text):
    try:
        segments = split_pipe(text)
    except ScheduleTextError:
        return
    for segment, offset in segments:
        assert segment == segment.strip() != ""
        assert text[offset:].startswith(segment)
        place = place_of_error(segment, offset, text)
        assert place is None or offset <= place <= offset + len(segment)


def place_of_error(segment, offset, whole):
    try:
        parse_call(segment, offset=offset, whole=whole)
    except ScheduleTextError as error:
        return error.position
    return None


def make(lr, *, momentum=0.0):
    if lr <= 0:
        raise UsageError("lr must be above 0")
    return lr, momentum


@pytest.mark.parametrize(
    ("text", "character", "said"),
    [
        (
            "sgd(momentun=0.9)",
            5,
            "sgd has no argument 'momentun'; did you mean 'momentum'? it is sgd(lr, *, momentum=0.0)",
        ),
        ("sgd(1, 2)", 8, "too many values"),
        ("sgd(1, lr=2)", 8, "lr is given twice"),
        ("sgd(momentum=1)", 1, "sgd lacks lr"),
        ("sgd(-1)", 1, "lr must be above 0"),
    ],
)
def test_a_call_is_applied_or_says_which_argument_is_wrong(text, character, said):
    with pytest.raises(ScheduleTextError) as caught:
        parse_call(text, offset=3, whole=f" | {text}").apply(make)
    assert said in str(caught.value)
    assert caught.value.position == character - 1 + 3


def test_a_call_that_fits_is_applied():
    assert parse_call("sgd(0.1, momentum=0.9)").apply(make) == (0.1, 0.9)
    assert parse_call("sgd(lr=0.1)").apply(make) == (0.1, 0.0)


def test_an_error_of_the_caller_points_at_name_or_value():
    call = parse_call("sgd(0.5, lr=2)")
    places = [call.error("no").position, call.error("no", value=0).position]
    places += [call.error("no", name="lr").position, call.error("no", value="lr").position]
    assert places == [0, 4, 9, 12]
