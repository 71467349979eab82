"""The usual rate of a user's own optimizer."""

import pytest
import torch

from calando.optim import METHODS
from calando.optim.methods import usual_rate_of


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
