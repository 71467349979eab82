"""Texts that are wrong: an error points at the character and says what to write instead."""

import pytest

from calando.errors import ScheduleTextError, UsageError
from calando.schedules import from_json, parse


@pytest.mark.parametrize(
    ("text", "character", "said"),
    [
        ("", 1, "expected a schedule"),
        ("()", 2, "expected a schedule such as cosine(1, 0), found ')'"),
        ("cosin(1, 0)", 1, "unknown schedule 'cosin'; did you mean 'cosine'?"),
        ("linear(0, 1, over=5) >> cosin(1, 0)", 25, "did you mean 'cosine'?"),
        ("zzz", 1, "unknown schedule 'zzz'; choices: "),
        ("cosine(1, 0", 12, "expected ',' or ')'"),
        ("cosine(1 0)", 10, "expected ',' or ')', found '0'"),
        ("cosine(1, 0))", 13, "expected the end, found ')'"),
        ("cosine(1, 0) cosine", 14, "expected the end"),
        ("cosine(1, 0) >>", 16, "expected a schedule"),
        ("cosine(1, 0) > 1", 14, "unexpected '>'"),
        ("cosine(1, 0, 5)", 14, "too many values without a name; it is cosine(start, end, *, power=1, over=None)"),
        ("cosine(1)", 1, "cosine lacks end"),
        ("cosine(1, 0, ovr=5)", 14, "did you mean 'over'?"),
        ("cosine(1, start=0)", 11, "start is given twice"),
        ("cosine(1, end=0, end=0)", 18, "'end' is given twice"),
        ("cosine(start=1, 0)", 17, "must come before"),
        ("cosine(1, 'x')", 11, "end must be a finite number, got 'x'"),
        ("cosine(1, end=  x)", 17, "end must be a finite number, got 'x'"),
        ("cosine(1, true)", 11, "end must be a finite number, got True"),
        ("cosine(1, 1e999)", 11, "too large"),
        ("cosine(1, 0, over=5%)", 20, "goes in quotes"),
        ("cosine(1, 0, over=5 epochs)", 19, "goes in quotes: '5 epochs'"),
        ("cosine(1, 0, over='5')", 19, "over must be a length"),
        ("cosine(1, 0, over='5)", 19, "quote is never closed"),
        ("step(every=0, factor=0.1)", 12, "every must be a finite number above 0"),
        ("multistep(at=[1, '2'], factor=1)", 18, "at must be a length"),
        ("multistep(at=(1, 0), factor=1)", 18, "at must be a finite number above 0"),
        ("multistep(at=[1, 1], factor=x)", 29, "factor must be a finite number above 0"),
        ("knots(at=[1], values=[1, 'x'])", 26, "values must be a finite number"),
        ("per_group({'a': 1, 'b': [2]})", 25, "groups must be a schedule"),
        ("exponential(1, 0)", 16, "end must be above 0"),
        ("wsd(shape=liner)", 11, "did you mean 'linear'?"),
        ("constant(1, over=5) >> cosine(1, 0) >> constant(0)", 40, "only one part of a chain"),
        ("cosine(1, [0])", 11, "got (0,)"),
        ("cosine(cosine(1, 0), 0)", 8, "start must be a finite number, got cosine(1, 0)"),
        ("cosine(1, 0.5 * 2)", 11, "end must be a finite number, got constant(0.5) * 2"),
        ("cosine(1, (0.5 * 2))", 11, "end must be a finite number, got constant(0.5) * 2"),
        ("cosine(1, {'a': 0})", 11, "end must be a finite number, got {'a': 0}"),
        ("repeat(cosine(1, 'x'), every=5)", 18, "end must be a finite number, got 'x'"),
        ("repeat(1 + cosine(1, end='x'), every=5)", 26, "end must be a finite number, got 'x'"),
        ("repeat(cosin(1, 0), every=5)", 8, "did you mean 'cosine'?"),
        ("repeat(cosine(1), every=5)", 8, "cosine lacks end"),
        ("repeat(cosine(1, 0), every=0)", 28, "every must be a finite number above 0"),
        ("repeat(cosine(1, 0), evry=5)", 22, "did you mean 'every'?"),
        ("repeat(cosine(1, 0))", 1, "repeat needs every= or limit="),
        ("repeat('cosine(1, 0)', every=5)", 8, "part must be a schedule such as cosine(1, 0), or a number"),
        ("repeat(one_cycle, every=5)", 8, "part must be a schedule such as cosine(1, 0), or a number, got 'one_cycle'"),
        ("repeat((1), every=5)", 8, "part must be a schedule such as cosine(1, 0), or a number, got (1,)"),
        ("repeat((cosine(1, 0), 1), every=5)", 21, "a list of schedules goes in square brackets"),
        ("repeat((1 * cosine(1, 0), every=5)", 25, "a list of schedules goes in square brackets"),
        ("repeat(cosine(1, 0) >> linear(1, 0), every=5)", 24, "only one part of a chain"),
        ("repeat(cosine(1, 0) >>, every=5)", 23, "expected a schedule such as cosine(1, 0), found ','"),
        ("warp(clip(staircase(cosine(1, 0), every='x'), low=1), power=1)", 41, "every must be a length"),
        ("warp(2 * (1 + (cosine(1, 0) * )), power=1)", 31, "expected a schedule such as cosine(1, 0), found ')'"),
        ("per_group({'a': cosine(1, 'x')})", 27, "end must be a finite number, got 'x'"),
        ("per_group({'a': cosin(1, 0)})", 17, "did you mean 'cosine'?"),
        ("per_group({'a': 1}, others='x')", 28, "others must be a schedule"),
        ("per_group({'a': 1, 'a': 2})", 20, "'a' is given twice"),
        ("per_group({a: 1})", 12, "expected a key in quotes, such as 'head', found 'a'"),
        ("per_group([1])", 11, "groups must map group names to schedules"),
        ("multistep(at=[5, 2 * 3], factor=1)", 18, "at must be a length"),
        ("{'a': 1}", 1, "expected a schedule such as cosine(1, 0), found '{'"),
        ("cosine(1, 0) -0.5", 14, "unexpected '-'; to subtract, add: a + -0.5"),
        ("cosine(1, 0) - 0.5", 14, "unexpected '-'; to subtract, add: a + -0.5"),
        ("+cosine(1, 0)", 1, "expected a schedule such as cosine(1, 0), found '+'"),
        ("cosine(1, 0) + * 2", 16, "expected a schedule such as cosine(1, 0), found '*'"),
        ("cosine(1, 0) + 5 epochs", 18, "expected the end, found 'epochs'"),
        ("cosine(1, 0) + 5%", 17, "goes in quotes: '5%'"),
        ("1 *", 4, "expected a schedule"),
        ("cosine(1, 0) | 5", 14, "expected the end, found '|'"),
    ],
)
def test_an_error_points_at_the_character(text, character, said):
    with pytest.raises(ScheduleTextError) as caught:
        parse(text)
    assert said in str(caught.value)
    assert caught.value.position == character - 1
    # and into the longer text where there is one
    with pytest.raises(ScheduleTextError) as caught:
        parse(text, offset=6, whole=f"sgd | {text}")
    assert caught.value.position == character - 1 + 6
    assert caught.value.text == f"sgd | {text}"


@pytest.mark.parametrize("bad", [None, 5, b"cosine(1, 0)", ["cosine(1, 0)"]])
def test_only_strings_are_read(bad):
    with pytest.raises(UsageError, match="must be a string"):
        parse(bad)
    with pytest.raises(UsageError, match="must be a string"):
        from_json(bad)
