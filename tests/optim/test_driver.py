"""The driver writes base * curve for every group, in place where values are tensors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.optim import METHODS, Driver
from calando.optim.groups import split_by_decay
from calando.schedules import parse

TEXTS = ["cosine(1, 0)", "linear(0, 1, over='10%') >> exponential(1, 0.01)", "multistep(at=['50%'], factor=0.1)"]


def two_groups(*, tensor: bool) -> torch.optim.Optimizer:
    def rate(value: float) -> float | torch.Tensor:
        return torch.tensor(value, dtype=torch.float64) if tensor else value

    return torch.optim.SGD(
        [
            {"params": [torch.zeros(1, requires_grad=True)], "lr": rate(0.1)},
            {"params": [torch.zeros(1, requires_grad=True)], "lr": rate(0.003)},
        ],
        lr=1.0,
        momentum=0.9,
    )


@given(st.sampled_from(TEXTS), st.lists(st.integers(0, 120), min_size=1, max_size=10), st.booleans())
def test_rates_are_closed_form_in_any_order_and_keep_ratios(text, steps, tensor):
    optimizer = two_groups(tensor=tensor)
    curve = parse(text).bind(100)
    driver = Driver(optimizer, curves={"lr": curve})
    held = [group["lr"] for group in optimizer.param_groups]
    for step in steps:
        driver.write(step, multiplier=0.5)
        for group, base in zip(optimizer.param_groups, (0.1, 0.003), strict=True):
            assert float(group["lr"]) == base * (curve(step) * 0.5)
    if tensor:
        assert all(group["lr"] is before for group, before in zip(optimizer.param_groups, held, strict=True))


def test_momentum_follows_its_own_curve_and_no_multiplier():
    optimizer = two_groups(tensor=False)
    Driver(optimizer, curves={"momentum": parse("linear(1, 0)").bind(10)}).write(5, multiplier=0.1)
    assert [group["momentum"] for group in optimizer.param_groups] == [0.45, 0.45]


def test_groups_added_later_are_adopted_with_their_own_base():
    optimizer = two_groups(tensor=False)
    driver = Driver(optimizer, curves={"lr": parse("linear(1, 0)").bind(10)})
    driver.write(5)
    optimizer.add_param_group({"params": [torch.zeros(1, requires_grad=True)], "lr": 2.0})
    driver.adopt_groups()
    driver.write(5)
    assert optimizer.param_groups[2]["lr"] == 1.0


@pytest.mark.parametrize("key", ["momentom", "nesterov"])
def test_what_cannot_be_scheduled_is_refused(key):
    with pytest.raises(UsageError, match=key):
        Driver(two_groups(tensor=False), curves={key: parse("cosine(1, 0)").bind(10)})


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_every_method_builds_with_its_defaults_and_moves(method):
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    options = method.settle({"weight_decay": 0.1})
    optimizer = method.build(split_by_decay(network, weight_decay=0.1), 0.01, options)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    before = [p.detach().clone() for p in network.parameters()]
    network(torch.randn(8, 3)).square().sum().backward()
    optimizer.step()
    assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_a_frozen_network_is_refused():
    network = torch.nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(UsageError, match="no parameter"):
        split_by_decay(network, weight_decay=0.0)


def test_lazy_layers_are_refused():
    with pytest.raises(UsageError, match="lazy layers"):
        split_by_decay(torch.nn.LazyLinear(3), weight_decay=0.1)
