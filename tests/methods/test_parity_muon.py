"""Muon against a Newton-Schulz of its own, torch's Muon on matrices, and AdamW for the rest."""

from __future__ import annotations

import math

import pytest
import torch
from tests.methods.method_cases import build
from tests.methods.parity import RATES, STEPS
from torch import Tensor, nn

from calando.methods import METHODS


def orthogonal(matrix: Tensor) -> Tensor:
    """Newton and Schulz' iteration in single precision; the package's is in half."""
    x = matrix.float() if matrix.size(0) <= matrix.size(1) else matrix.float().T
    x = x / x.norm()
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x if matrix.size(0) <= matrix.size(1) else x.T).to(matrix)


@pytest.mark.parametrize("nesterov", [False, True])
def test_muon(nesterov):
    torch.manual_seed(4)
    shapes = [(8, 4, 3, 3), (16, 6), (6, 16), (32, 2, 1, 1), (7,), (5, 4)]
    values = [torch.randn(shape) for shape in shapes]
    parameters = [nn.Parameter(value.clone()) for value in values]
    adamw = {"use_muon": False, "lr_factor": 0.05, "betas": (0.9, 0.95), "eps": 1e-10}
    groups = [
        {"name": "hidden", "params": parameters[:4], "use_muon": True, "weight_decay": 0.1},
        {"name": "no_decay", "params": parameters[4:5], "weight_decay": 0.0, **adamw},
        {"name": "outer", "params": parameters[5:], "weight_decay": 0.1, **adamw},
    ]
    optimizer = build(METHODS["muon"], groups, lr=0.02, nesterov=nesterov, weight_decay=0.1)
    bases = [group["lr"] for group in optimizer.param_groups]
    assert bases == pytest.approx([0.02, 0.001, 0.001], rel=1e-12)
    twin = [nn.Parameter(value.clone()) for value in values[4:]]
    reference = torch.optim.AdamW(
        [{"params": twin[:1], "weight_decay": 0.0}, {"params": twin[1:], "weight_decay": 0.1}],
        lr=0.001, betas=(0.9, 0.95), eps=1e-10,
    )  # fmt: skip
    hidden = values[:4]
    momenta = [torch.zeros_like(w) for w in hidden]
    for factor in RATES:
        slopes = [torch.randn(shape) for shape in shapes]
        for group, base in zip(optimizer.param_groups, bases, strict=True):
            group["lr"] = base * factor
        for group in reference.param_groups:
            group["lr"] = 0.001 * factor
        for p, g in zip([*parameters, *twin], [*slopes, *slopes[4:]], strict=True):
            p.grad = g.clone()
        optimizer.step()
        reference.step()
        for i, (w, g) in enumerate(zip(hidden, slopes, strict=False)):
            momenta[i] = 0.95 * momenta[i] + 0.05 * g
            u = (0.05 * g + 0.95 * momenta[i] if nesterov else momenta[i]).reshape(len(w), -1)
            length = 0.02 * factor * math.sqrt(max(1.0, u.size(0) / u.size(1)))
            hidden[i] = (1 - 0.02 * factor * 0.1) * w - length * orthogonal(u).reshape(w.shape)
            # The package iterates in bfloat16, of eight bits: what is off by that is set right after each step.
            torch.testing.assert_close(parameters[i].detach(), hidden[i], rtol=0, atol=length * 0.04)
            hidden[i] = parameters[i].detach().clone()
        torch.testing.assert_close(
            [p.detach() for p in parameters[4:]], [p.detach() for p in twin], rtol=1e-5, atol=1e-7
        )


def test_muon_on_matrices_is_torchs_muon():
    torch.manual_seed(4)
    values = [torch.randn(8, 20), torch.randn(20, 8), torch.randn(9, 9)]
    ours, theirs = ([nn.Parameter(value.clone()) for value in values] for _ in range(2))
    optimizer = build(METHODS["muon"], [{"params": ours}], lr=0.02, weight_decay=0.1)
    reference = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1)
    for _ in range(STEPS):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape)
            q.grad = p.grad.clone()
        optimizer.step()
        reference.step()
        torch.testing.assert_close([p.detach() for p in ours], [p.detach() for p in theirs], rtol=0, atol=2e-4)


def test_muons_division_of_a_network():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.Linear(4, 6), nn.Embedding(5, 4), nn.Linear(6, 2)
    )
    method = METHODS["muon"]
    groups = {group["name"]: group for group in method.groups.split(net, method.settle({"weight_decay": 0.1}))}
    assert groups["hidden"]["params"] == [net[2].weight, net[3].weight]
    assert [id(p) for p in groups["outer"]["params"]] == [id(net[i].weight) for i in (0, 4, 5)]
    assert all(p.ndim == 1 for p in groups["no_decay"]["params"])
    assert [groups[name]["weight_decay"] for name in ("hidden", "outer", "no_decay")] == [0.1, 0.1, 0.0]
