"""A capture that a version stored before controllers' states had types is put back, and training goes on to the bit."""

import dataclasses
import json

import torch
from tests.training.small_runs import a_run, a_workload

from calando.training.lane import holding_lane
from calando.training.loop import advance
from calando.training.state import capture, resume, start

TEXT = "sgd(lr=0.1) | plateau(patience=3, metric='training_loss') | rollback(warmup=2, every=4) | edge(until='50%')"


def untyped(states):
    """As that version wrote them: all numbers floats, and a rollback's in one dict."""
    nothing, plateau, rollback, edge = states
    window, standing = rollback.pop("losses"), rollback.pop("standing")
    rollback |= {"losses": window["seen"], "usual": window["usual"], "compared": len(standing["own"])}
    rollback |= {f"loss {index}": loss for index, loss in enumerate(window["window"])}
    for entry in ("excess", "own"):
        rollback |= {f"{entry} {index}": value for index, value in enumerate(standing[entry])}
    return [{name: float(value) for name, value in state.items()} for state in (nothing, plateau, rollback, edge)]


def test_it_goes_on_to_the_bit():
    workload = a_workload()
    spec = a_run(TEXT, workload, steps=24)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        advance(state, workload, until=12)
        taken = capture(state)
        document = json.loads(json.dumps(taken.document))
        document["controller_states"] = untyped(document["controller_states"])
        advance(state, workload, until=24)
        again = start(spec, workload)
        resume(again, dataclasses.replace(taken, session=again.session, document=document))
        advance(again, workload, until=24)
    assert again.session.controller_states == state.session.controller_states
    assert (again.losses == state.losses).all()
    assert (again.rates == state.rates).all()
    for mine, theirs in zip(
        state.session.network.state_dict().values(), again.session.network.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)
