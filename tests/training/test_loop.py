"""A run is a function of its spec: same bits twice, same bits however often it was interrupted."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.small_runs import STEPS, Bare, Dropping, a_run, a_workload, bits

import calando
from calando.errors import CorruptFile
from calando.methods import METHODS
from calando.training.checkpoint import export_weights, load_weights
from calando.training.lane import choose_lane, holding_lane
from calando.training.loop import Interrupted, advance, execute
from calando.training.state import start


def stop_after(updates: int):
    left = [updates]

    def watch(state) -> bool:
        left[0] -= 1
        return left[0] <= 0

    return watch


SCHEDULES = {
    "any": " | linear(0, 1, over=3) >> cosine(1, 0)",
    "warmup": " | linear(0.1, 1, over=3)",
    "none": "",
}


def typical(method) -> str:
    decay = ", weight_decay=0.01" if "weight_decay" in method.options else ""
    return f"{method.name}(lr={method.usual_rate}{decay}){SCHEDULES[method.schedules]}"


TEXTS = [typical(method) for method in METHODS.values()]
TEXTS += [
    "sgd(lr=0.05, momentum=0.9, nesterov=true) | plateau(factor=0.5, patience=1) | momentum: linear(1, 0.5)",
    "rmsprop(lr=0.001, momentum=0.9)",
]


@pytest.mark.parametrize("text", TEXTS)
@settings(max_examples=5)
@given(cuts=st.lists(st.integers(1, STEPS - 1), min_size=1, max_size=4))
def test_an_interrupted_run_equals_an_undisturbed_one_to_the_bit(tmp_path_factory, text, cuts):
    workload = a_workload()
    spec = a_run(text, workload)
    alone = execute(spec, workload)
    assert bits(execute(spec, workload)) == bits(alone)
    folder = tmp_path_factory.mktemp("run")
    record = None
    for cut in cuts:
        try:
            record = execute(spec, workload, folder=folder, keep=True, watch=stop_after(cut))
        except Interrupted:
            # other work in between must not matter
            torch.rand(3)
    record = execute(spec, workload, folder=folder, keep=True)
    assert bits(record) == bits(alone)
    assert bits(execute(spec, workload, folder=folder, keep=True)) == bits(alone), "a finished run is not made again"


def test_channels_last_resumes_to_the_bit_with_fused_state(tmp_path):
    workload = a_workload(model="resnet8")
    spec = a_run("adamw(lr=0.01) | cosine(1, 0)", workload)
    assert spec.lane.channels_last
    alone = execute(spec, workload)
    with pytest.raises(Interrupted):
        execute(spec, workload, folder=tmp_path, watch=stop_after(5))
    assert bits(execute(spec, workload, folder=tmp_path)) == bits(alone)
    assert not any(tmp_path.glob("**/*.safetensors")), "a checkpoint nobody keeps is dropped at the end"


def test_seeds_differ_and_strategies_share_weights_order_and_augmentation():
    workload = a_workload()
    first = a_run("sgd(lr=0.1)", workload)
    other = a_run("adam(lr=0.1) | cosine(1, 0)", workload)
    assert execute(first, workload).losses[0] == execute(other, workload).losses[0]
    assert execute(first.model_copy(update={"seed": 1}), workload).losses[0] != execute(first, workload).losses[0]


def test_rates_recorded_are_base_times_schedule():
    workload = a_workload()
    record = execute(a_run("sgd(lr=0.3) | cosine(1, 0)", workload), workload)
    expected = 0.3 * (1 + np.cos(np.pi * np.arange(STEPS) / STEPS)) / 2
    assert record.rates == pytest.approx(expected, rel=1e-12)


def test_micro_batches_add_up_to_the_batch():
    workload = a_workload(Bare)
    whole = execute(a_run("sgd(lr=0.1)", workload), workload)
    parts = execute(a_run("sgd(lr=0.1)", workload, accumulate=4), workload)
    assert parts.losses == pytest.approx(whole.losses, rel=1e-5)


def test_clipping_bounds_the_update():
    workload = a_workload(Bare)
    spec = a_run("sgd(lr=1.0)", workload, clip_norm=1e-3)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        before = torch.cat([p.detach().flatten() for p in state.network.parameters()])
        advance(state, workload, until=1)
        after = torch.cat([p.detach().flatten() for p in state.network.parameters()])
    assert float((after - before).norm()) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("text", ["sgd(lr=1e30)", "sgd(lr=1e30) | cosine(1, 0)"])
def test_divergence_is_an_outcome_noticed_at_the_first_non_finite_loss(tmp_path, text):
    workload = a_workload(Bare)
    spec = a_run(text, workload)
    record = execute(spec, workload, folder=tmp_path, keep=True)
    assert record.outcome == "diverged"
    assert record.steps_done < STEPS
    assert len(record.losses) == record.steps_done + 1
    assert not math.isfinite(record.losses[-1])
    assert np.isfinite(record.losses[:-1]).all()
    assert record.score == pytest.approx(1 / 3)
    assert [event.kind for event in record.events] == ["diverged"]
    assert bits(execute(spec, workload, folder=tmp_path, keep=True)) == bits(record)


def test_a_network_that_dies_is_reported_as_died():
    """Too large a rate without normalisation: every unit goes dark, the loss sits at log(3) and never explodes."""
    workload = a_workload(Bare, augment="none")
    record = execute(a_run("sgd(lr=3.0)", workload, steps=80), workload)
    assert record.outcome == "died"
    assert np.median(record.losses[-10:]) == pytest.approx(math.log(3), abs=0.3)
    assert "chance level" in record.events[-1].text
    healthy = execute(a_run("sgd(lr=0.1, momentum=0.9)", workload, steps=80), workload)
    assert healthy.outcome == "finished"
    assert healthy.score > 0.9


def test_the_callers_generators_and_threads_come_back():
    workload = a_workload()
    spec = a_run("sgd(lr=0.1)", workload)
    torch.manual_seed(5)
    np.random.seed(5)
    threads = torch.get_num_threads()
    execute(spec, workload)
    here = torch.rand(1), np.random.rand()
    torch.manual_seed(5)
    np.random.seed(5)
    assert (torch.rand(1), np.random.rand()) == here
    assert torch.get_num_threads() == threads


def finished(tmp_path):
    workload = a_workload()
    spec = a_run("adam(lr=0.01)", workload)
    execute(spec, workload, folder=tmp_path, keep=True)
    return workload, spec


def test_weights_are_exported_under_their_own_names(tmp_path):
    from safetensors.torch import load_file

    _, _ = finished(tmp_path / "run")
    export_weights(tmp_path / "run", tmp_path / "weights.safetensors")
    network, fresh = Dropping(), Dropping()
    network.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    load_weights(fresh, tmp_path / "run")
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), fresh.state_dict().values(), strict=True)
    )


@settings(max_examples=40)
@given(name=st.sampled_from(["state", "tensors"]), place=st.integers(0, 2**31), cut=st.booleans())
def test_any_damage_to_a_checkpoint_is_noticed(tmp_path_factory, name, place, cut):
    folder = tmp_path_factory.mktemp("run")
    workload, spec = finished(folder)
    (path,) = folder.glob(f"{name}*")
    data = bytearray(path.read_bytes())
    place %= len(data)
    if cut:
        del data[place:]
    else:
        data[place] ^= 0x11
    path.write_bytes(data)
    with pytest.raises(CorruptFile, match="checkpoint") as caught:
        execute(spec, workload, folder=folder, keep=True)
    assert "\n" not in str(caught.value)
    assert "remove" in str(caught.value)


def test_the_checkpoint_of_another_run_is_refused(tmp_path):
    workload, spec = finished(tmp_path)
    with pytest.raises(CorruptFile, match="another run"):
        execute(spec.model_copy(update={"seed": 1}), workload, folder=tmp_path)


def test_lanes_follow_their_rule_and_refuse_what_is_not_there():
    assert choose_lane(device="cpu", precision="fp32", image_size=32).precision == "fp32"
    assert choose_lane(device="cpu", precision="auto", image_size=8).precision == "fp32"
    for wrong in ({"device": "tpu"}, {"precision": "fp8"}):
        with pytest.raises(calando.UsageError, match=next(iter(wrong.values()))):
            choose_lane(**{"image_size": 8, **wrong})


def test_filters_of_one_channel_are_laid_out_as_the_others():
    """One channel is last and first at once; only its strides tell convolutions which layout to put out."""
    workload = a_workload()
    spec = a_run("sgd(lr=0.1)", workload)
    with holding_lane(spec.lane):
        network = start(spec, workload).network
    filters = next(parameter for parameter in network.parameters() if parameter.ndim == 4)
    assert filters.shape == (4, 1, 3, 3)
    grey = torch.zeros(2, 1, 8, 8).contiguous(memory_format=torch.channels_last)
    put_out = torch.nn.functional.conv2d(grey, filters, padding=1)
    assert spec.lane.channels_last
    assert put_out.is_contiguous(memory_format=torch.channels_last)
