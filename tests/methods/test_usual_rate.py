"""What is known of a user's own optimizer, by what its groups hold."""

import prodigyopt
import pytest
import pytorch_optimizer
import torch
from tests.methods.method_cases import network

from calando.methods import METHODS
from calando.methods.known_optimizers import closure_of, usual_rate_of, works_its_rate_out


def weights():
    return [torch.nn.Parameter(torch.zeros(1))]


class Own(torch.optim.Adam):
    """A class of the user's: what its groups hold is Adam's."""


def stranger(name, **held):
    """An optimizer from nowhere, of a class so called, whose groups hold these."""
    kind = type(name, (torch.optim.Optimizer,), {"step": lambda self, closure=None: None})
    return kind(weights(), {"lr": 0.5, **held})


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
        (Own, {}, 0.001),
    ],
)
def test_usual_rates_are_by_method_and_momentum(kind, options, usual):
    found = usual_rate_of(kind(weights(), lr=0.5, **options))
    assert found == (usual if usual is None else pytest.approx(usual, rel=1e-12))


@pytest.mark.parametrize(
    ("name", "held", "usual"),
    [
        ("SGD", {}, None),
        ("SGD", {"momentum": 0.9}, 0.1),
        ("Mine", {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1}, 0.5),
        ("AdamW", {"momentum": 0.9, "dampening": 0}, 0.1),
        ("AdamW", {}, None),
        ("Mine", {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}, 0.001),
        ("SGD", {"betas": (0.9, 0.999), "eps": 1e-8}, 0.001),
        ("Lion", {"betas": (0.9, 0.99)}, None),
        ("Dog", {"momentum": 0.9}, 0.1),
        ("Mine", {"momentum": 0.9, "trust": 0.1}, None),
        ("Mine", {"momentum": None}, None),
    ],
)
def test_a_stranger_is_known_by_its_groups_whatever_its_name(name, held, usual):
    optimizer = stranger(name, **held)
    assert usual_rate_of(optimizer) == (usual if usual is None else pytest.approx(usual, rel=1e-12))
    assert closure_of(optimizer) is None
    assert not works_its_rate_out(optimizer)


@pytest.mark.parametrize(
    "optimizer",
    [
        prodigyopt.Prodigy(weights()),
        *(
            pytorch_optimizer.load_optimizer(name)(weights())
            for name in ("prodigy", "dadaptadam", "dadaptsgd", "dadaptadagrad", "dadaptlion", "dadaptadan", "adafactor")
        ),
        stranger("Mine", reps_rel=1e-6, eps=1e-8),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_methods_that_work_their_rate_out_are_known_by_what_they_keep_of_it(optimizer):
    assert works_its_rate_out(optimizer)
    assert usual_rate_of(optimizer) is None


@pytest.mark.parametrize("name", [name for name in METHODS if name != "sgd"])
def test_what_a_method_builds_is_known(name):
    """The range test of a lent optimizer must know what its `step` needs."""
    method, net = METHODS[name], network(hidden=2)
    options = method.settle({})
    optimizer = method.build(method.groups.split(net, options), method.usual_rate, options)
    assert works_its_rate_out(optimizer) == method.rate_free
    assert usual_rate_of(optimizer) == (None if method.rate_free else method.usual_rate)
    assert closure_of(optimizer) == method.closure
