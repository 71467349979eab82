"""Going back: exact, charged, past the offending batches; and a driven run replayed by a plain schedule."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training.small_runs import Bare, a_run, a_workload, bits

from calando.controllers import Action, Observation, Wants
from calando.errors import UsageError
from calando.training.checkpoint import Place, export_weights
from calando.training.lane import holding_lane
from calando.training.loop import Interrupted, advance, execute
from calando.training.replay import replay_of
from calando.training.state import start

ROLLBACK = "sgd(lr={lr}, momentum=0.9) | rollback(every=2, warmup=3, tries=4)"


@dataclass(frozen=True)
class Scripted:
    """Keeps after every second update; goes back once after update `at`, halving the rate."""

    at: int

    def initial(self):
        return {"gone": 0.0}

    def wants(self, step):
        return Wants(states=True)

    def respond(self, state, observation: Observation):
        if observation.step == self.at and not state["gone"]:
            return {"gone": 1.0}, Action(multiplier=0.5, rewind=True, event="scripted")
        return state, Action(multiplier=0.5 if state["gone"] else 1.0, keep=observation.step % 2 == 1)


def scripted(spec, workload, at: int):
    state = start(spec, workload)
    state.session.controllers = (*state.session.controllers, Scripted(at))
    state.session.controller_states.append(state.session.controllers[-1].initial())
    state.session.multipliers.append(1.0)
    return state


@pytest.mark.parametrize("at", [1, 2, 5, 8])
@pytest.mark.parametrize("method", ["sgd(lr=0.05, momentum=0.9)", "adamw(lr=0.01) | cosine(1, 0) | ema(decay=0.5)"])
def test_after_a_rewind_the_run_is_one_that_had_skipped_the_batches_and_cut_the_rate_there(at, method):
    """The oracle: a run stopped at the kept state, whose skips and multiplier are then set by hand."""
    workload = a_workload()
    spec = a_run(method, workload)
    with holding_lane(spec.lane):
        state = scripted(spec, workload, at)
        advance(state, workload, until=spec.steps)
        # kept after updates 1, 3, 5 …: that is before updates 2, 4, 6; the older of the last two, or the start
        made = [0, *range(2, at + 1, 2)][-2:][0]
        assert state.skips == [(made, at + 1 - made)]
        assert state.undone == at + 1 - made
        other = start(spec, workload)
        advance(other, workload, until=made)
        other.skips, other.session.multipliers = [(made, at + 1 - made)], [0.5]
        other.session.controllers, other.session.controller_states = (Constant(),), [{}]
        advance(other, workload, until=spec.steps)
    assert state.losses.tobytes() == other.losses.tobytes()
    for mine, theirs in zip(state.network.state_dict().values(), other.network.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    assert [e for e in state.evaluations if e.step > made] == [e for e in other.evaluations if e.step > made]
    assert [event.kind for event in state.events] == ["controller", "rewind"]


@dataclass(frozen=True)
class Constant:
    """Half the rate, always."""

    def initial(self):
        return {}

    def wants(self, step):
        return Wants()

    def respond(self, state, observation):
        return state, Action(multiplier=0.5)


def test_batches_left_out_are_left_out_for_good():
    workload = a_workload()
    spec = a_run("sgd(lr=0.05)", workload).model_copy(update={"skips": ((3, 2), (5, 4))})
    state = start(spec, workload)
    assert [state.batch_index(step) for step in range(8)] == [0, 1, 2, 5, 6, 11, 12, 13]


@pytest.mark.parametrize("lr", [400.0, 1e-9])
def test_a_run_that_is_given_up_holds_the_losses_that_were_seen_and_no_other(lr):
    """Given up by finite losses, it has one an update; by one that is not finite, that one as well."""
    workload = a_workload(Bare)
    text = f"sgd(lr={lr}, momentum=0.99) | rollback(every=1, warmup=1, tries=1, patience=2, wait=2)"
    record = execute(a_run(text, workload, steps=120), workload)
    assert record.outcome == "diverged"
    last_was_finite = "loss is nan" not in record.events[-1].text and "loss is inf" not in record.events[-1].text
    assert len(record.losses) == len(record.rates) == record.steps_done + (not last_was_finite)
    assert np.isfinite(record.losses).all() == last_was_finite
    assert (record.rates > 0).all()


def test_a_rescued_run_is_resumed_to_the_bit_and_replayed_to_the_bit(tmp_path):
    """Far too high a rate for a network without normalisation: explodes without rollback, finishes with it."""
    workload = a_workload(Bare)
    high = 400.0
    lost = execute(a_run(f"sgd(lr={high}, momentum=0.9)", workload, steps=40), workload)
    assert lost.outcome in ("diverged", "died")
    spec = a_run(ROLLBACK.format(lr=high), workload, steps=40)
    record = execute(spec, workload, folder=tmp_path / "whole", keep=True)
    assert record.undone > 0
    assert record.skips
    assert any(event.kind == "rewind" for event in record.events)

    calls = [0]

    def now_and_then(state) -> bool:
        calls[0] += 1
        return calls[0] % 5 == 0

    for _ in range(60):
        try:
            pieces = execute(spec, workload, folder=tmp_path / "pieces", keep=True, watch=now_and_then)
            break
        except Interrupted:
            continue
    assert bits(pieces) == bits(record)
    assert (pieces.skips, pieces.undone) == (record.skips, record.undone)
    if record.outcome == "diverged":
        return
    again = execute(replay_of(record), workload, folder=tmp_path / "again", keep=True)
    assert again.losses.tobytes() == record.losses.tobytes()
    assert again.rates.tobytes() == record.rates.tobytes()
    assert again.evaluations == record.evaluations
    for name in ("whole", "again"):
        export_weights(tmp_path / name, tmp_path / f"{name}.safetensors")
    first, second = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "again"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_plateau_is_replayed_to_the_bit():
    workload = a_workload()
    record = execute(
        a_run("adam(lr=0.05) | plateau(factor=0.5, patience=1, threshold=0.9)", workload, steps=24), workload
    )
    assert len(set(record.rates)) > 1
    again = execute(replay_of(record), workload)
    assert again.losses.tobytes() == record.losses.tobytes()
    assert again.evaluations == record.evaluations


def test_what_cannot_be_replayed_says_so():
    workload = a_workload(Bare)
    record = execute(a_run("sgd(lr=1e30)", workload), workload)
    assert record.outcome == "diverged"
    with pytest.raises(UsageError, match="no whole run to replay"):
        replay_of(record)
    text = "sgd(lr=0.1, weight_decay=0.1) | per_group({'no_decay': cosine(1, 0)}, others=1)"
    with pytest.raises(UsageError, match="schedules of their own"):
        replay_of(execute(a_run(text, a_workload()), a_workload()))


def test_it_gives_up_after_its_tries_and_says_so():
    workload = a_workload(Bare)

    def spoilt(outputs, targets):
        return outputs.sum() * math.nan

    broken = type(workload)(**{**workload.__dict__, "loss": spoilt})
    record = execute(a_run(ROLLBACK.format(lr=0.1), workload), broken)
    assert record.outcome == "diverged"
    assert sum(event.kind == "rewind" for event in record.events) == 4


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("sgd(lr=0.05)", 0),
        ("sam(lr=0.05)", 12),
        ("sgd(lr=0.05) | edge(until=7, every=3)", 3),
        ("sam(lr=0.05) | edge(until=7, every=3)", 15),
    ],
)
def test_second_passes_are_charged_as_updates(text, passes, tmp_path):
    """Interrupted too; and those that a rewind takes back stay charged."""
    workload = a_workload()
    spec = a_run(text, workload)
    whole = execute(spec, workload)
    assert (whole.second_passes, whole.updates) == (passes, 12 + passes)
    for _ in range(20):
        try:
            pieces = execute(spec, workload, folder=tmp_path, watch=lambda state: state.step % 5 == 0)
            break
        except Interrupted:
            continue
    assert pieces.second_passes == passes
    with holding_lane(spec.lane):
        state = scripted(spec, workload, 5)
        advance(state, workload, until=spec.steps)
    assert state.undone == 4
    assert state.charged == 12 + 4 + state.session.second_passes
    assert state.session.second_passes == {0: 0, 12: 16, 3: 4, 15: 20}[passes]


def test_what_another_run_spent_on_second_passes_is_inherited(tmp_path):
    workload = a_workload()
    spec = a_run("sam(lr=0.05)", workload)
    place = Place(tmp_path, "past")
    execute(spec, workload, leaves={5: place})
    forked = execute(spec, workload, origin=place)
    assert (forked.updates, forked.inherited, forked.updates_spent) == (24, 10, 14)


def test_what_was_evaluated_at_an_end_that_is_taken_back_is_forgotten():
    workload = a_workload()
    spec = a_run("sgd(lr=0.05) | ema(decay=0.5)", workload)
    with holding_lane(spec.lane):
        state = scripted(spec, workload, spec.steps - 1)
        advance(state, workload, until=spec.steps - 1)
        assert state.evaluated is None
        advance(state, workload, until=spec.steps, watch=lambda state: bool(state.undone))
        assert state.undone > 0
        assert state.evaluated is None
        advance(state, workload, until=spec.steps)
        assert state.evaluated is not None
