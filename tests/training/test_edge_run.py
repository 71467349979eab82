"""The automatic warmup in a run: what is measured, that it only caps, and that it resumes to the bit."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.training.small_runs import Bare, Dropping, a_run, a_workload, bits

from calando.controllers.controller import Wants
from calando.controllers.edge import FIRST
from calando.training.batch import Batch, ForeignDraws
from calando.training.lane import holding_lane
from calando.training.loop import Interrupted, advance, execute
from calando.training.state import start


def measured(state, batch):
    """(slope, curvature) along the first update, as if a controller asked for them."""
    session = state.session
    session.begin()
    session.wants = [Wants(curvature=True)]
    session.make_step(batch.gradient(), batch.again, clip=batch.clip)
    return session.slope, session.curvature


def test_slope_and_curvature_are_those_of_the_loss_along_the_step():
    """Against the Hessian-vector product of a small step, in double precision."""
    workload = a_workload(Bare, augment="none")
    spec = a_run("sgd(lr=0.0001, momentum=0.9)", workload)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        state.network.double()
        images, labels = workload.batch(0, seed=spec.seed)
        batch = Batch(state, workload, ForeignDraws(), 0)
        batch.samples = replace(batch.samples, inputs=images.double())
        before = [p.detach().clone() for p in state.network.parameters()]
        parameters = list(state.network.parameters())
        loss = torch.nn.functional.cross_entropy(state.network(images.double()), labels)
        gradient = torch.autograd.grad(loss, parameters, create_graph=True)
        slope, curvature = measured(state, batch)
        moved = [p.detach() - q for p, q in zip(parameters, before, strict=True)]
        assert slope == pytest.approx(
            -sum(float((g.detach() * d).sum()) for g, d in zip(gradient, moved, strict=True)), rel=1e-5
        )
        assert all(p.grad is None for p in parameters)
        for p, q in zip(parameters, before, strict=True):
            p.data.copy_(q)
        loss = torch.nn.functional.cross_entropy(state.network(images.double()), labels)
        gradient = torch.autograd.grad(loss, parameters, create_graph=True)
        along = sum((g * d).sum() for g, d in zip(gradient, moved, strict=True))
        product = torch.autograd.grad(along, parameters)
        expected = sum(float((h * d).sum()) for h, d in zip(product, moved, strict=True))
        assert curvature == pytest.approx(expected, rel=0.02)


def test_it_only_caps_and_only_at_first():
    workload = a_workload()
    plain = execute(a_run("sgd(lr=0.1) | linear(1, 0.5)", workload, steps=24), workload)
    capped = execute(
        a_run("sgd(lr=0.1) | linear(1, 0.5) | edge(until=10, every=2, sigma=0.02)", workload, steps=24), workload
    )
    assert (capped.rates <= plain.rates * (1 + 1e-12)).all()
    assert (capped.rates[:10] < plain.rates[:10]).any()
    assert np.array_equal(capped.rates[10:], plain.rates[10:])
    assert capped.rates[0] == pytest.approx(0.01 * plain.rates[0])


def test_it_tames_a_rate_that_explodes():
    workload = a_workload(Bare)
    assert execute(a_run("sgd(lr=3, momentum=0.9)", workload, steps=30), workload).outcome != "finished"
    tamed = execute(a_run("sgd(lr=3, momentum=0.9) | edge(until=30, sigma=0.1)", workload, steps=30), workload)
    assert tamed.outcome == "finished"
    assert math.isfinite(tamed.loss)
    assert tamed.rates.max() < 3


def test_interrupted_it_ends_with_the_same_bits(tmp_path):
    workload = a_workload(Dropping)
    spec = a_run("adam(lr=0.1) | cosine(1, 0) | edge(until=9, every=2)", workload)
    whole = execute(spec, workload)
    for _ in range(20):
        try:
            pieces = execute(spec, workload, folder=tmp_path, keep=True, watch=lambda state: state.step % 2 == 1)
            break
        except Interrupted:
            continue
    assert bits(pieces) == bits(whole)


@pytest.mark.parametrize("schedule", ["repeat(cosine(1, 0), every=6)", "step(every=8, factor=20)"])
def test_a_schedule_that_jumps_is_capped_where_it_jumps(schedule):
    """The rate never lies above the cap of the last measurement."""
    workload = a_workload(Bare)
    spec = a_run(f"sgd(lr=0.5) | {schedule} | edge(until='100%', every=1, sigma=0.1)", workload, steps=24)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        edge = state.session.controllers[1]
        for step in range(1, spec.steps):
            advance(state, workload, until=step)
            remembered = state.session.controller_states[1]
            cap = edge.sigma * remembered.slope / (remembered.curvature + edge.eps)
            advance(state, workload, until=step + 1)
            scheduled = state.session.driver.values(step)["lr"][0]
            assert state.rates[step] <= max(cap, FIRST * scheduled) * (1 + 1e-9)
    assert state.step == spec.steps


@pytest.mark.parametrize("text", ["sgd(lr=0.05)", "sam(lr=0.05)"])
def test_clipping_the_step_does_not_change_what_is_measured(text):
    """Slope and curvature by the step are those of the loss, of a clipped step as of a short one."""
    found = []
    for clip, lr in ((None, 0.0001), (1e-3, 0.05)):
        workload = a_workload(Bare, augment="none")
        spec = a_run(text, workload, clip_norm=clip)
        with holding_lane(spec.lane):
            state = start(spec.model_copy(update={"strategy": spec.strategy.at_rate(lr)}), workload)
            before = torch.nn.utils.parameters_to_vector(state.network.parameters()).detach()
            slope, curvature = measured(state, Batch(state, workload, ForeignDraws(), 0))
            length = float((torch.nn.utils.parameters_to_vector(state.network.parameters()).detach() - before).norm())
            found.append((slope / length, curvature / length**2))
    (slope, curvature), (clipped_slope, clipped_curvature) = found
    assert clipped_slope == pytest.approx(slope, rel=0.05)
    assert clipped_curvature == pytest.approx(curvature, rel=0.3)
