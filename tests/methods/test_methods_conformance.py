"""What every registered method must do; a new entry of METHODS is tested here by being there."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.methods.method_cases import build, case_of, digits, network, stored, update
from torch import nn
from torch.nn.functional import cross_entropy

from calando.errors import UnknownName, UsageError
from calando.methods import METHODS, Driver, Method
from calando.methods.groups import split_by_decay
from calando.schedules import parse
from calando.schedules.span import Horizon

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.cuda,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
        ],
    ),
]
on_every_device = pytest.mark.parametrize("device", DEVICES)
BATCH = 32


def loss_of(net: nn.Module, step: int):
    first = next(net.parameters())
    x, y = digits()
    at = step * BATCH % (len(x) - BATCH)
    x, y = x[at : at + BATCH].to(first), y[at : at + BATCH].to(first.device)
    return lambda: cross_entropy(net(x).float(), y)


def drive(optimizer: torch.optim.Optimizer, method: Method, *, total: int = 12) -> Driver:
    """Rates that change in every step but those at the top, from 0 up."""
    text = "linear(0, 1, over=3)" if method.schedules == "warmup" else "linear(0, 1, over=3) >> cosine(1, 0)"
    return Driver(optimizer, schedules={"lr": parse(text)}, horizon=Horizon(total))


def values(parameters) -> list[torch.Tensor]:
    return [p.detach().clone() for p in parameters]


def same(left, right) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@every_method
@on_every_device
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_resuming_from_a_checkpoint_changes_no_bit(method, device, dtype):
    given = {"weight_decay": 0.01} if "weight_decay" in method.options else {}
    net = network().to(device, dtype)
    optimizer = build(method, net, **given)
    driver = drive(optimizer, method)
    saved = weights = None
    for step in range(12):
        if step == 6:
            saved, weights = stored(optimizer), copy.deepcopy(net.state_dict())
        driver.write(step)
        update(method, optimizer, loss_of(net, step))
    assert saved is not None
    again = network().to(device, dtype)
    again.load_state_dict(weights)
    optimizer_again = build(method, again, **given)
    driver = drive(optimizer_again, method)
    optimizer_again.load_state_dict(saved)
    for step in range(6, 12):
        driver.write(step)
        update(method, optimizer_again, loss_of(again, step))
    assert all(p.dtype == dtype for p in net.parameters())
    assert all(torch.isfinite(p).all() for p in net.parameters())
    assert same(net.state_dict().values(), again.state_dict().values())
    assert not same(values(net.parameters()), values(network().to(device, dtype).parameters()))


@every_method
@on_every_device
def test_a_net_with_batch_norm_learns_at_the_usual_rate(method, device):
    net = network(width=16).to(device)
    x, y = digits()
    x, y = x.to(device), y.to(device)
    optimizer = build(method, net)
    before = cross_entropy(net(x), y)
    for step in range(60):
        update(method, optimizer, loss_of(net, step))
    # Adam's kin come down from 2.4 to 1.7 in so few steps, RAdam, which warms up for longer, to 2.3.
    assert cross_entropy(net(x), y) < before - 0.08


@every_method
def test_a_rate_of_zero_moves_nothing(method):
    net = network()
    optimizer = build(method, net)
    before = values(net.parameters())
    for group in optimizer.param_groups:
        group["kept"], group["lr"] = group["lr"], 0.0
    update(method, optimizer, loss_of(net, 0))
    assert same(before, values(net.parameters()))
    for group in optimizer.param_groups:
        group["lr"] = group["kept"]
    for step in range(8):
        update(method, optimizer, loss_of(net, step))
    trained = values(net.parameters())
    assert not same(before, trained)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    update(method, optimizer, loss_of(net, 0))
    assert same(trained, values(net.parameters())) == (not case_of(method).moves_at_rate_0)


@every_method
def test_steps_are_proportional_to_each_groups_rate(method):
    # Constant gradients, a loss far above any Polyak step's and a tiny rate: what is left is the rate.
    torch.manual_seed(1)
    ends = [nn.Parameter(torch.randn(6, 5, dtype=torch.float64)) for _ in range(2)]
    ends[1].data.copy_(ends[0])
    before = values(ends)
    slope = torch.randn(6, 5, dtype=torch.float64)
    optimizer = build(method, [{"name": "a", "params": [ends[0]]}, {"name": "b", "params": [ends[1]]}], weight_decay=0)
    optimizer.param_groups[1]["lr"] *= 0.5

    def loss() -> torch.Tensor:
        return 1e6 + sum((p * slope).sum() for p in ends)

    def train() -> None:
        schedules = {"lr": parse("linear(0.0005, 0.001, over=3)")}
        driver = Driver(optimizer, schedules=schedules, horizon=Horizon(9))
        for step in range(9):
            driver.write(step)
            update(method, optimizer, loss)

    if case_of(method).one_rate:
        with pytest.raises(UsageError, match="one rate for all parameter groups"):
            train()
        return
    train()
    far, near = (torch.linalg.vector_norm(p.detach() - q) for p, q in zip(ends, before, strict=True))
    assert far > 0
    assert (near / far).item() == pytest.approx(0.5, rel=0.02)


@every_method
def test_each_group_has_its_own_weight_decay(method):
    torch.manual_seed(2)
    decayed, kept = nn.Parameter(torch.randn(6, 5)), nn.Parameter(torch.randn(6, 5))
    before = values([decayed, kept])
    groups = [
        {"name": "decay", "params": [decayed], "weight_decay": 0.1},
        {"name": "no_decay", "params": [kept], "weight_decay": 0.0},
    ]
    optimizer = build(method, groups, lr=method.usual_rate, weight_decay=0.1)
    for _ in range(9):
        update(method, optimizer, lambda: 0 * (decayed.sum() + kept.sum()))
    assert torch.equal(kept, before[1])
    assert bool(decayed.norm() < before[0].norm()) == (not case_of(method).gradient_alone_decays)


@every_method
def test_the_drivers_rates_reach_tensors_too(method):
    if case_of(method).float_rates:
        pytest.skip(f"{method.name} takes numbers: {case_of(method).float_rates}")
    ends = []
    for tensor in (False, True):
        net = network()
        optimizer = build(method, net)
        for group in optimizer.param_groups if tensor else []:
            group["lr"] = torch.tensor(group["lr"])
        driver = drive(optimizer, method)
        for step in range(6):
            driver.write(step)
            update(method, optimizer, loss_of(net, step))
        assert all(isinstance(group["lr"], torch.Tensor) == tensor for group in optimizer.param_groups)
        ends.append(nn.utils.parameters_to_vector(net.parameters()).detach())
    torch.testing.assert_close(ends[1], ends[0], rtol=0, atol=2e-4 * ends[0].abs().max().item())


@every_method
def test_zero_gradients_do_no_harm_before_and_between(method):
    net = network()
    before = values(net.parameters())
    optimizer = build(method, net, **({"weight_decay": 0} if "weight_decay" in method.options else {}))
    update(method, optimizer, lambda: 0 * sum(p.sum() for p in net.parameters()))
    assert same(before, values(net.parameters()))
    for step in range(9):
        update(method, optimizer, loss_of(net, step))
    assert not same(before, values(net.parameters()))
    update(method, optimizer, lambda: 0 * sum(p.sum() for p in net.parameters()))
    assert all(torch.isfinite(p).all() for p in net.parameters())


@every_method
def test_what_has_no_gradient_stays(method):
    net = network(hidden=3)
    net[0].weight.requires_grad_(False)
    optimizer = build(method, net)
    assert all(net[0].weight is not p for group in optimizer.param_groups for p in group["params"])
    net[3].weight.requires_grad_(False)  # a member of a group, frozen later
    before = values([net[0].weight, net[3].weight])
    for step in range(8):
        update(method, optimizer, loss_of(net, step))
    assert same(before, [net[0].weight, net[3].weight])
    net[3].weight.requires_grad_(True)
    for step in range(8):
        update(method, optimizer, loss_of(net, step))
    assert not torch.equal(before[1], net[3].weight)
    assert all(torch.isfinite(p).all() for p in net.parameters())


@every_method
@pytest.mark.parametrize("shape", [(), (1,), (7,)])
def test_parameters_of_one_dimension_or_none(method, shape):
    torch.manual_seed(3)
    parameter = nn.Parameter(torch.randn(shape, dtype=torch.float64) + 3)
    optimizer = build(method, [{"name": "all", "params": [parameter]}], lr=method.usual_rate * 0.1)
    losses = [update(method, optimizer, lambda: parameter.square().sum()) for _ in range(12)]
    assert losses[-1] < losses[0]


@every_method
def test_it_keeps_as_many_tensors_as_it_says(method):
    net = network(width=32, hidden=4)
    optimizer = build(method, net, **case_of(method).kept)
    for step in range(3):
        update(method, optimizer, loss_of(net, step))
    kept = sum(v.numel() for state in optimizer.state.values() for v in state.values() if isinstance(v, torch.Tensor))
    assert kept / sum(p.numel() for p in net.parameters()) == pytest.approx(method.memory, abs=0.06)


@every_method
def test_nothing_is_remembered_outside_state_and_groups(method):
    net = network()
    optimizer = build(method, net)
    update(method, optimizer, loss_of(net, 0))
    plain = (bool, int, float, str, type(None))

    def attributes() -> dict[str, object]:
        return {k: v for k, v in vars(optimizer).items() if isinstance(v, (*plain, torch.Tensor))}

    before = {key: value.clone() if isinstance(value, torch.Tensor) else value for key, value in attributes().items()}
    for step in range(5):
        update(method, optimizer, loss_of(net, step))
    after = attributes()
    assert before.keys() == after.keys()
    assert all(before[key] == after[key] for key in before)
    for state in optimizer.state.values():
        assert all(isinstance(value, (*plain, torch.Tensor)) for value in state.values())
    for group in optimizer.param_groups:
        for key, value in group.items():
            inside = [value] if not isinstance(value, tuple) else list(value)
            assert key == "params" or all(isinstance(item, plain) for item in inside), key


@every_method
def test_evaluation_weights_come_and_go(method):
    net = network()
    optimizer = build(method, net)
    assert hasattr(optimizer, "eval") == hasattr(optimizer, "train") == method.eval_mode
    if not method.eval_mode:
        return
    for step in range(9):
        update(method, optimizer, loss_of(net, step))
    trained = values(net.parameters())
    optimizer.eval()
    evaluated = values(net.parameters())
    assert not same(trained, evaluated)
    optimizer.eval()
    assert same(evaluated, values(net.parameters()))
    optimizer.train()
    for left, right in zip(trained, net.parameters(), strict=True):
        torch.testing.assert_close(left, right.detach(), rtol=1e-4, atol=1e-5)


@every_method
def test_groups_have_the_names_that_are_announced(method):
    for given in ({}, {"weight_decay": 0.0}, {"weight_decay": 0.1}):
        if not given.keys() <= method.options.keys():
            continue
        options = method.settle(given)
        groups = method.groups.split(network(), options)
        assert {group["name"] for group in groups} <= set(method.groups.names(options))
        held = [p for group in groups for p in group["params"]]
        assert len(held) == len(set(held)) == len(list(network().parameters()))


@every_method
def test_groups_that_the_user_made(method):
    net = network()
    before = values(net.parameters())
    optimizer = build(method, split_by_decay(net, weight_decay=0.1), weight_decay=0.1)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    assert [group["name"] for group in optimizer.param_groups] == ["decay", "no_decay"]
    for step in range(8):
        update(method, optimizer, loss_of(net, step))
    assert not any(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


@every_method
def test_wrong_options_are_named(method):
    with pytest.raises(UnknownName, match=f"unknown option of {method.name} 'no_such_option'.*choices: .*lr"):
        method.settle({"no_such_option": 1})
    for name in method.options:
        with pytest.raises(UsageError, match=f"^{method.name}: {name} must be .*, got 'wrong'"):
            method.settle({name: "wrong"})


@every_method
def test_the_default_options_are_within_their_ranges(method):
    assert method.settle({name: option.default for name, option in method.options.items()}) == method.settle({})
    assert method.usual_rate > 0
    assert not method.rate_free or method.usual_rate == 1
