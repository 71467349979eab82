"""The weights that are evaluated: averages, evaluation modes, and statistics of batch norm that belong to them."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training.small_runs import Dropping, a_run, a_workload, bits
from torch import nn

from calando.strategy import Ema, Swa
from calando.training.checkpoint import export_weights, load_weights
from calando.training.evaluate import BATCHES, evaluate, recalibrate
from calando.training.lane import holding_lane
from calando.training.loop import Interrupted, advance, execute
from calando.training.network_statistics import statistics_of
from calando.training.session_state import RunningAverage
from calando.training.state import start

EMA = "sgd(lr=0.05, momentum=0.9) | cosine(1, 0) | ema(decay=0.7)"
SWA = "sgd(lr=0.05, momentum=0.9) | swa(start=4, every=2)"
FREE = "schedule_free_sgd(lr=0.5)"


def everything(state) -> list[bytes]:
    values = [*state.network.state_dict().values()]
    values += [v for entry in state.optimizer.state.values() for v in entry.values() if isinstance(v, torch.Tensor)]
    return [value.detach().numpy().tobytes() for value in values]


def evaluated(state, workload):
    return state.session.evaluated(lambda: recalibrate(state, workload, batches=BATCHES))


@pytest.mark.parametrize("plan", [Ema(decay=0.9), Swa(start=3, every=2)])
def test_an_average_is_its_formula(plan):
    """Against a plain loop in double precision."""
    layer = nn.Linear(3, 2)
    average = RunningAverage(layer, plan)
    seen = []
    expected = None
    for step in range(20):
        with torch.no_grad():
            layer.weight.add_(torch.randn(2, 3))
        average.update(step)
        if step >= plan.start and (step - plan.start) % plan.every == 0:
            weight = layer.weight.detach().double()
            n = len(seen)
            seen.append(weight.clone())
            decay = min(0.9, (1 + n) / (10 + n))
            expected = weight if n == 0 else decay * expected + (1 - decay) * weight
    if isinstance(plan, Swa):
        expected = torch.stack(seen).mean(0)
    assert average.count == len(seen) == (9 if isinstance(plan, Swa) else 20)
    torch.testing.assert_close(average.tensors["weight"].double(), expected, rtol=1e-5, atol=1e-6)
    before = layer.weight.detach().clone()
    assert not torch.equal(before, average.tensors["weight"])
    average.put_in()
    assert torch.equal(layer.weight, average.tensors["weight"])


@pytest.mark.parametrize("text", [EMA, SWA, FREE])
def test_evaluating_other_weights_leaves_what_is_trained_to_the_bit(text):
    workload = a_workload()
    spec = a_run(text, workload)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        advance(state, workload, until=7)
        before = everything(state)
        modes = [module.training for module in state.network.modules()]
        trained = [p.detach().clone() for p in state.network.parameters()]
        with evaluated(state, workload) as others:
            assert others
            assert any(not torch.equal(p, q) for p, q in zip(state.network.parameters(), trained, strict=True))
        assert everything(state) == before
        assert [module.training for module in state.network.modules()] == modes
        with pytest.raises(KeyboardInterrupt), evaluated(state, workload):
            raise KeyboardInterrupt
        assert everything(state) == before


def test_a_plain_method_is_evaluated_as_it_is():
    workload = a_workload()
    spec = a_run("sgd(lr=0.05)", workload)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        before = everything(state)
        with evaluated(state, workload) as others:
            assert not others
            assert everything(state) == before


def test_recalibrated_statistics_are_the_mean_over_the_batches():
    workload = a_workload(augment="none")
    spec = a_run("sgd(lr=0.05)", workload)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        (layer,) = statistics_of(state.network)
        with torch.no_grad():
            layer.running_mean.fill_(99)
        recalibrate(state, workload, batches=5)
        convolution = state.network.layers[0]
        outputs = [convolution(workload.batch(index, seed=spec.seed).inputs) for index in range(5)]
        means = torch.stack([y.mean(dim=(0, 2, 3)) for y in outputs]).mean(0)
        variances = torch.stack([y.var(dim=(0, 2, 3)) for y in outputs]).mean(0)
        torch.testing.assert_close(layer.running_mean, means, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(layer.running_var, variances, rtol=1e-4, atol=1e-5)
        assert layer.momentum == 0.1
        assert all(module.training for module in state.network.modules())


@pytest.mark.parametrize("text", [EMA, SWA, FREE])
def test_interrupted_anywhere_it_ends_with_the_same_bits(text, tmp_path):
    workload = a_workload()
    spec = a_run(text, workload)
    whole = execute(spec, workload, folder=tmp_path / "whole", keep=True)

    def third(state) -> bool:
        return state.step % 3 == 0

    for _ in range(10):
        try:
            pieces = execute(spec, workload, folder=tmp_path / "pieces", keep=True, watch=third)
            break
        except Interrupted:
            continue
    assert bits(pieces) == bits(whole)
    for name in ("whole", "pieces"):
        export_weights(tmp_path / name, tmp_path / f"{name}.safetensors")
    first, second = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "pieces"))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("text", [EMA, FREE])
def test_the_weights_that_are_exported_are_those_that_were_evaluated(text, tmp_path):
    workload = a_workload()
    spec = a_run(text, workload)
    record = execute(spec, workload, folder=tmp_path, keep=True)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        load_weights(state.network, tmp_path)
        loss, score = evaluate(state.network, workload, workload.validation, lane=spec.lane)
    assert (loss, score) == (record.evaluations[-1].loss, record.evaluations[-1].score)


def test_an_average_is_evaluated_beside_the_raw_weights():
    """The raw scores are those of the same run without the average, which changes nothing about the training."""
    workload = a_workload()
    averaged = execute(a_run(EMA, workload), workload)
    plain = execute(a_run(EMA.rpartition(" | ")[0], workload), workload)
    assert averaged.losses.tobytes() == plain.losses.tobytes()
    assert [(e.raw_loss, e.raw_score) for e in averaged.evaluations] == [(e.loss, e.score) for e in plain.evaluations]
    assert all(math.isfinite(e.loss) for e in averaged.evaluations)
    assert [e.loss for e in averaged.evaluations] != [e.loss for e in plain.evaluations]


def test_the_record_says_how_statistics_were_worked_out():
    workload = a_workload()
    (event,) = (e for e in execute(a_run(FREE, workload), workload).events if e.kind == "recalibrated")
    assert event.text.endswith("from 20 training batches before each of 3 evaluations")
    plain = execute(a_run("sgd(lr=0.05)", workload), workload)
    assert not [e for e in plain.events if e.kind == "recalibrated"]


def test_before_an_average_has_begun_the_raw_weights_are_evaluated():
    workload = a_workload()
    record = execute(a_run("sgd(lr=0.05) | swa(start=9)", workload), workload)
    assert [e.raw_loss is None for e in record.evaluations] == [True, True, False]


def test_statistics_matter_for_schedule_free(monkeypatch):
    """What recalibration is there for: without it, what is evaluated has the statistics of other weights."""
    workload = a_workload()
    spec = a_run(FREE, workload)
    right = execute(spec, workload)
    monkeypatch.setattr("calando.training.evaluate.BATCHES", 0)
    wrong = execute(spec, workload)
    assert right.losses.tobytes() == wrong.losses.tobytes()
    assert not np.allclose([e.loss for e in right.evaluations], [e.loss for e in wrong.evaluations])


def test_dropout_is_off_and_the_generators_do_not_matter_in_recalibration():
    workload = a_workload(model=Dropping)
    spec = a_run("sgd(lr=0.05)", workload)
    found = []
    for seed in (0, 1):
        with holding_lane(spec.lane):
            state = start(spec, workload)
            torch.manual_seed(seed)
            recalibrate(state, workload, batches=3)
            found.append(statistics_of(state.network)[0].running_mean.clone())
    assert torch.equal(*found)
