"""A schedule as JSON: the first version stays readable, and what is not ours is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedules.schedule_texts import TEXTS

from calando.errors import UsageError
from calando.schedules import from_json, parse, to_json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not parse"),
        ("[" * 100_000, "does not parse"),
        ("[]", '"calando": "schedule"'),
        ("null", '"calando": "schedule"'),
        ('{"calando": "study", "version": 1}', '"calando": "schedule"'),
        ('{"calando": "schedule", "version": 2, "text": "cosine(1, 0)"}', "version 2 is not read"),
        ('{"calando": "schedule", "text": "cosine(1, 0)"}', "version None"),
        ('{"calando": "schedule", "version": 1}', "expected a schedule"),
        ('{"calando": "schedule", "version": 1, "text": 5}', "must be a string"),
        ('{"calando": "schedule", "version": 1, "text": "cosin(1, 0)"}', "did you mean 'cosine'"),
        (" " * 700_000, "at most"),
    ],
)
def test_json_that_is_not_ours_is_refused(text, said):
    with pytest.raises(UsageError) as caught:
        from_json(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [*TEXTS, "cosine(1, 0) + 0.5"])
def test_old_and_new_texts_are_of_the_first_version(text):
    """What the first calando wrote stays readable, and it reads what it can of what this one writes."""
    assert json.loads(to_json(parse(text)))["version"] == 1
    assert from_json(json.dumps({"calando": "schedule", "version": 1, "text": text})) == parse(text)


@settings(deadline=None)
@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["calando", "version", "text"]), inner | st.just("schedule") | st.just(1))))  # fmt: skip
def test_any_json_gives_a_schedule_or_our_own_error(data):
    try:
        from_json(json.dumps(data))
    except UsageError:
        return
