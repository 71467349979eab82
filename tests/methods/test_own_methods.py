"""What holds of every optimizer of our own."""

import copy
import json
import pickle

import pytest
import safetensors.torch
import torch
from tests.methods.made_up import (
    METHODS,
    STEPS,
    Course,
    assert_equal,
    assert_same,
    build,
    course,
    in_two_groups,
    train,
    weights,
)

from calando.errors import UsageError
from calando.methods.driver import Driver
from calando.methods.rule import common, numbers
from calando.schedules import linear
from calando.schedules.span import Horizon


@pytest.fixture(params=list(METHODS))
def name(request):
    return request.param


def through_files(saved):
    """As a checkpoint keeps it: tensors as safetensors, everything else as JSON."""
    tensors = {f"{i}.{k}": v for i, entry in saved["state"].items() for k, v in entry.items() if torch.is_tensor(v)}
    plain = [[i, {k: v for k, v in entry.items() if not torch.is_tensor(v)}] for i, entry in saved["state"].items()]
    state = {i: dict(entry) for i, entry in json.loads(json.dumps(plain))}
    for key, value in safetensors.torch.load(safetensors.torch.save(tensors)).items():
        index, key = key.split(".")
        state[int(index)][key] = value
    groups = json.loads(json.dumps(saved["param_groups"]))
    return {
        "state": state,
        "param_groups": [g | ({"betas": tuple(g["betas"])} if "betas" in g else {}) for g in groups],
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("stop", [1, 5])
def test_goes_on_to_the_bit_from_what_it_saved(name, dtype, stop):
    rates = torch.linspace(1, 0, STEPS).tolist()
    made_up, whole = course(dtype=dtype), weights(dtype=dtype)
    optimizer = build(name, in_two_groups(whole), lr=0.1)
    train(optimizer, whole, made_up, rates=rates)
    parts = weights(dtype=dtype)
    first = build(name, in_two_groups(parts), lr=0.1)
    train(first, parts, made_up, rates=rates, stop=stop)
    again = [torch.nn.Parameter(p.detach().clone()) for p in parts]
    second = build(name, in_two_groups(again), lr=0.1)
    second.load_state_dict(through_files(first.state_dict()))
    train(second, again, made_up, rates=rates, start=stop)
    assert all(torch.isfinite(p).all() for p in whole)
    assert_equal(again, whole)
    assert_equal(states(second, again), states(optimizer, whole))
    assert [plain(g) for g in second.param_groups] == [plain(g) for g in optimizer.param_groups]


def states(optimizer, parameters):
    return [v for p in parameters for _, v in sorted(optimizer.state[p].items()) if torch.is_tensor(v)]


def plain(group):
    return {key: value for key, value in group.items() if key != "params"}


def test_all_that_changes_is_in_state_and_groups(name):
    parameters = weights()
    optimizer = build(name, parameters)
    before = {key: value for key, value in vars(optimizer).items() if key not in ("state", "param_groups")}
    shown = repr(before)
    train(optimizer, parameters, course())
    after = {key: value for key, value in vars(optimizer).items() if key not in ("state", "param_groups")}
    assert after.keys() - before.keys() <= {"_opt_called"}
    assert repr({key: after[key] for key in before}) == shown


def test_memory_is_what_the_method_states(name):
    parameters = weights()
    optimizer = build(name, parameters, **({"momentum": 0.9} if name == "sgd_hd" else {}))
    train(optimizer, parameters, course())
    for parameter in parameters:
        held = [v for v in optimizer.state[parameter].values() if torch.is_tensor(v)]
        assert len(held) == METHODS[name].memory
        assert all(v.shape == parameter.shape for v in held)


def test_a_parameter_without_a_gradient_stays_to_the_bit_and_the_others_go_on(name):
    parameters, made_up = weights(), course()
    for gradients in made_up.gradients:
        gradients[2] = None
    before = parameters[2].detach().clone()
    optimizer = build(name, in_two_groups(parameters))
    train(optimizer, parameters, made_up)
    assert torch.equal(parameters[2], before)
    assert parameters[2] not in optimizer.state
    if name == "dog":
        return  # the length of the whole vector at the start counts
    alone = [p for place, p in enumerate(weights()) if place != 2]
    made_up.gradients = [[g for place, g in enumerate(gs) if place != 2] for gs in made_up.gradients]
    train(build(name, in_two_groups(alone)), alone, made_up)
    assert_equal([p for place, p in enumerate(parameters) if place != 2], alone)


def test_a_gradient_that_comes_late_or_goes_is_taken(name):
    parameters, made_up = weights(), course()
    late, gone = parameters[0].detach().clone(), None
    for step, gradients in enumerate(made_up.gradients):
        gradients[0] = gradients[0] if step >= 4 else None
        gradients[1] = gradients[1] if step < 8 else None
    optimizer = build(name, in_two_groups(parameters), lr=0.1)
    train(optimizer, parameters, made_up, stop=4)
    assert torch.equal(parameters[0], late)
    train(optimizer, parameters, made_up, start=4, stop=8)
    assert not torch.equal(parameters[0], late)
    gone = parameters[1].detach().clone()
    train(optimizer, parameters, made_up, start=8)
    assert torch.equal(parameters[1], gone)
    assert all(torch.isfinite(p).all() for p in parameters)


def test_frozen_parameters_are_left_alone(name):
    parameters = weights()
    parameters[0].requires_grad_(False)
    before = parameters[0].detach().clone()
    optimizer = build(name, in_two_groups(parameters))
    for _ in range(3):
        optimizer.zero_grad()
        loss = sum((p**2).sum() for p in parameters)
        loss.backward()
        optimizer.step(lambda loss=loss: loss)
    assert torch.equal(parameters[0], before)
    assert not torch.equal(parameters[1], weights()[1])


@pytest.mark.parametrize("zeros", [range(STEPS), range(3, STEPS), range(3)])
def test_zero_gradients_move_nothing_by_themselves(name, zeros):
    parameters, made_up = weights(), course()
    for step in zeros:
        made_up.gradients[step] = [torch.zeros_like(g) for g in made_up.gradients[step]]
    optimizer = build(name, parameters, lr=0.1)
    train(optimizer, parameters, made_up)
    assert all(torch.isfinite(p).all() for p in parameters)
    if len(zeros) == STEPS:
        assert_equal(parameters, weights())


def test_no_rate_no_movement(name):
    """The driver's rate is the one that counts: nothing moves where it is zero, nothing jumps after it."""
    parameters = weights()
    optimizer = build(name, in_two_groups(parameters), lr=0.1)
    train(optimizer, parameters, course(), rates=[0.0] * STEPS)
    assert_equal(parameters, weights())
    train(optimizer, parameters, course(), rates=[1.0] * STEPS)
    assert all(torch.isfinite(p).all() and not torch.equal(p, q) for p, q in zip(parameters, weights(), strict=True))


def test_the_driver_writes_and_the_method_reads(name):
    made_up, by_hand, driven, in_tensors = course(), weights(), weights(), weights()
    rates = [1 - step / STEPS for step in range(STEPS)]
    train(build(name, in_two_groups(by_hand), lr=0.1), by_hand, made_up, rates=rates)
    for parameters in (driven, in_tensors):
        optimizer = build(name, in_two_groups(parameters), lr=0.1)
        if parameters is in_tensors:
            for group in optimizer.param_groups:
                group["lr"] = torch.tensor(group["lr"], dtype=torch.float64)
        driver = Driver(optimizer, schedules={"lr": linear(1, 0)}, horizon=Horizon(STEPS))
        for step in range(STEPS):
            driver.write(step)
            for parameter, gradient in zip(parameters, made_up.gradients[step], strict=True):
                parameter.grad = gradient.clone()
            optimizer.step(lambda step=step: torch.tensor(made_up.losses[step], dtype=torch.float64))
        assert_same(parameters, by_hand)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * rates[-1])


def test_memory_layout_makes_no_difference(name):
    """Convolution filters lie channels-last on some lanes, and gradients may lie otherwise."""
    plain_ones = [torch.nn.Parameter(torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0)))]
    laid = [torch.nn.Parameter(plain_ones[0].detach().clone(memory_format=torch.channels_last))]
    gradients = [[torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(i + 1))] for i in range(5)]
    made_up = Course(gradients, [1.0] * 5)
    train(build(name, plain_ones, lr=0.1), plain_ones, made_up)
    train(build(name, laid, lr=0.1), laid, made_up)
    assert torch.allclose(laid[0], plain_ones[0], rtol=1e-6, atol=1e-7)


def test_bfloat16_weights_keep_a_wide_memory(name):
    parameters = weights(dtype=torch.bfloat16)
    optimizer = build(name, parameters, lr=0.1)
    train(optimizer, parameters, course(dtype=torch.bfloat16))
    assert all(value.dtype == torch.float32 for value in states(optimizer, parameters))
    assert all(p.dtype == torch.bfloat16 and torch.isfinite(p).all() for p in parameters)


def test_takes_a_network_as_the_loop_gives_it_and_lowers_its_loss(name):
    """Convolutions with batch normalisation, in the method's own groups, at its usual rate."""
    method = METHODS[name]
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 36, 4),
    )
    labels = torch.arange(64) % 4
    images = torch.randn(64, 1, 8, 8) + labels[:, None, None, None]
    options = method.settle({"weight_decay": 5e-4})
    optimizer = method.build(method.groups.split(network, options), method.usual_rate, options)
    assert [group["name"] for group in optimizer.param_groups] == list(method.groups.names(options))
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        losses.append(loss.item())
        optimizer.step(lambda loss=loss: loss)
    assert losses[-1] < 0.5 * losses[0]


def test_what_is_common_and_numbers_of_several_types():
    optimizer = build("dog", in_two_groups(weights()))
    assert common(optimizer, "gamma") == 8.0
    with pytest.raises(UsageError, match=r"DoG needs the same weight_decay in all parameter groups, got 0\.02, 0\.0"):
        common(optimizer, "weight_decay")
    assert numbers([torch.tensor(0.1, dtype=torch.float64), torch.tensor(2.0)]) == [0.1, 2.0]


def test_every_optimizer_of_ours_is_of_its_own_class_and_is_pickled(name):
    """A class is made where an optimizer is built; it has its rule's name, and comes back in another process."""
    parameters, uninterrupted = weights(), weights()
    optimizer = build(name, parameters)
    train(optimizer, parameters, course(), stop=2)
    assert type(optimizer) is type(build(name, weights())), "made once"
    assert type(optimizer).__name__.lower() == name.replace("_", "")
    assert type(optimizer).__module__.startswith("calando.methods.")
    train(build(name, uninterrupted), uninterrupted, course())
    for again in (pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)):
        assert type(again) is type(optimizer)
        mine = again.param_groups[0]["params"]
        assert_equal(train(again, mine, course(), start=2), uninterrupted)
