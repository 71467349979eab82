"""The usual rate of a user's own optimizer."""

import pytest
import torch
from tests.optim.method_cases import network

from calando.optim import METHODS
from calando.optim.methods.usual import closure_of, usual_rate_of


class Own(torch.optim.Adam):
    """A class of the user's: nothing is usual for it."""


@pytest.mark.parametrize(
    ("kind", "options", "usual"),
    [
        (torch.optim.SGD, {"momentum": 0.9}, METHODS["sgd"].usual_rate),
        (torch.optim.SGD, {}, 1.0),
        (torch.optim.SGD, {"momentum": 0.99}, 0.01),
        (torch.optim.Adam, {}, 0.001),
        (torch.optim.AdamW, {}, 0.001),
        (torch.optim.Adadelta, {}, 1.0),
        (torch.optim.Rprop, {}, None),
        (Own, {}, None),
    ],
)
def test_usual_rates_are_by_class_and_momentum(kind, options, usual):
    found = usual_rate_of(kind([torch.nn.Parameter(torch.zeros(1))], lr=0.5, **options))
    assert found == (usual if usual is None else pytest.approx(usual, rel=1e-12))


@pytest.mark.parametrize("name", [name for name in METHODS if name != "sgd"])
def test_what_a_method_builds_is_known_by_its_class(name):
    """The range test of a lent optimizer must know what its `step` wants."""
    method, net = METHODS[name], network(hidden=2)
    options = method.settle({})
    optimizer = method.build(method.groups.split(net, options), method.usual_rate, options)
    assert usual_rate_of(optimizer) == method.usual_rate
    assert closure_of(optimizer) == method.closure
