"""What methods from packages refuse, and how."""

import sys

import pytest
import torch
from tests.methods.method_cases import build, network
from torch import nn

from calando.errors import UsageError
from calando.methods import METHODS


@pytest.mark.parametrize(
    "method", [method for method in METHODS.values() if method.package], ids=lambda method: method.name
)
def test_a_package_that_is_not_installed_is_named_with_the_remedy(method, monkeypatch):
    monkeypatch.setitem(sys.modules, method.package.replace("-", "_"), None)
    with pytest.raises(UsageError) as caught:
        build(method, network())
    assert str(caught.value) == f"{method.name} needs {method.package}: pip install 'calando[methods]'"


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("schedule_free_sgd", {"momentum": 0}, r"schedule_free_sgd: momentum must be a number in \(0, 1\), got 0"),
        ("schedule_free_adamw", {"beta1": 0.0}, r"beta1 must be a number in \(0, 1\)"),
        ("schedule_free_radam", {"betas": (0.9, 0.999)}, "unknown option of schedule_free_radam 'betas'"),
        ("sam", {"rho": -0.1}, r"sam: rho must be a number in \[0, inf\)"),
        ("sam", {"momentum": 0.0, "nesterov": True}, "nesterov=true needs momentum above 0"),
        ("lars", {"trust_coefficient": 0}, r"trust_coefficient must be a number in \(0, inf\)"),
        ("lion", {"betas": (0.9, 1.0)}, r"betas must be two numbers in \[0, 1\)"),
        ("muon", {"auxiliary": 0}, r"auxiliary must be a number in \(0, inf\)"),
        ("prodigy", {"bias_correction": 1}, "bias_correction must be true or false"),
        ("adafactor", {"beta2_decay": 0.8}, r"beta2_decay must be a number in \[-1, 0\)"),
        ("alig", {"max_lr": 0.1}, "unknown option of alig 'max_lr'"),
    ],
)
def test_options_out_of_range(name, given, says):
    with pytest.raises(UsageError, match=says):
        METHODS[name].settle(given)


@pytest.mark.parametrize(
    "net",
    [
        nn.Linear(3, 2),
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)),
        nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3).requires_grad_(False), nn.Linear(3, 2)),
    ],
)
def test_muon_asks_for_a_hidden_layer(net):
    with pytest.raises(UsageError, match="muon is for hidden layers.*use adamw"):
        build(METHODS["muon"], net)


def test_prodigys_groups_may_stand_still_but_not_differ():
    ends = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    optimizer = build(METHODS["prodigy"], [{"name": "a", "params": [ends[0]]}, {"name": "b", "params": [ends[1]]}])
    for rate in (0.0, 0.5):
        optimizer.param_groups[1]["lr"] = rate
        for p in ends:
            p.grad = torch.ones(3)
        if rate == 0:
            optimizer.step()
            assert (ends[0] != 1).all()
            assert (ends[1] == 1).all()
        else:
            with pytest.raises(UsageError, match="prodigy takes one rate for all parameter groups, got 0.5 and 1"):
                optimizer.step()


def test_prodigy_says_nothing_to_the_terminal(capfd):
    build(METHODS["prodigy"], network(), weight_decay=0.1)
    assert capfd.readouterr() == ("", "")
