"""States that a version before they had types stored: read, they go on as that version did.

`untyped_states.json` was written by commit d0b6b89: a state in the middle of a trace, what was observed from there on,
and what its controller answered.
"""

import dataclasses
import json
from pathlib import Path

import pytest

from calando.controllers import (
    CONTROLLERS,
    Divergence,
    Edge,
    Observation,
    Rollback,
    first_multiplier,
    state_from_json,
    state_to_json,
)

CASES = json.loads(Path(__file__).with_name("untyped_states.json").read_text())["cases"]
NAMED = {name: entry.make for name, entry in CONTROLLERS.items()} | {"divergence": Divergence}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["controller"])
def test_a_state_of_an_older_version_goes_on_as_it_did_there(case):
    controller = NAMED[case["controller"]](**case["options"])
    state = state_from_json(controller, case["state"])
    for seen, answer in zip(case["seen"], case["answers"], strict=True):
        state, action = controller.respond(state, Observation(**seen))
        assert dataclasses.asdict(action) == answer


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["controller"])
def test_an_older_state_read_and_stored_again_is_one_of_this_version(case):
    controller = NAMED[case["controller"]](**case["options"])
    state = state_from_json(controller, case["state"])
    assert type(state) is type(controller.initial())
    assert state_from_json(controller, json.loads(json.dumps(state_to_json(state)))) == state


def test_what_is_no_state_of_the_controller_is_refused():
    with pytest.raises(ValueError, match="EdgeState has no mean"):
        state_from_json(Edge(until=9), {"measured": 1.0, "mean": 0.5})
    with pytest.raises(KeyError):
        state_from_json(Rollback(), {"losses": 3.0})
    with pytest.raises((TypeError, AttributeError)):
        state_from_json(Edge(until=9), [1.0, 2.0])


def test_the_multiplier_of_the_first_update_is_that_of_the_first_state():
    assert first_multiplier(Edge(until=9).initial()) == 0.01
    assert first_multiplier(Rollback().initial()) == first_multiplier({}) == 1.0
