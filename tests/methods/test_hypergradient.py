"""Hypergradient descent: the paper's rule, and descent of the factor under a schedule."""

import pytest
import torch
from tests.methods.made_up import METHODS, assert_same, build, course, flat, in_two_groups, train, weights

from calando.errors import UsageError


def reference_sgd_hd(parameters, made_up, *, lr, beta, momentum, nesterov, decays):
    """The paper's additive rule for the rate itself; weights, and the last rate."""
    x, rate = flat(parameters), lr
    decay = torch.cat([torch.full((p.numel(),), w, dtype=x.dtype) for p, w in zip(parameters, decays, strict=True)])
    buffer, last = torch.zeros_like(x), torch.zeros_like(x)
    for gs in made_up.gradients:
        g = flat(gs) + decay * x
        rate = max(0.0, rate + beta * float(g @ last))
        buffer = momentum * buffer + g
        last = g + momentum * buffer if nesterov else buffer
        x = x - rate * last
    return x, rate


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("beta", [0.0, 1e-4, -3e-3])
def test_sgd_hd_at_a_constant_rate_is_the_papers_rule(momentum, nesterov, beta):
    parameters = weights()
    decays = [0.02 if p.ndim >= 2 else 0.0 for p in parameters]
    wanted, rate = reference_sgd_hd(
        parameters, course(), lr=0.01, beta=beta, momentum=momentum, nesterov=nesterov, decays=decays
    )
    options = {"momentum": momentum, "nesterov": nesterov, "weight_decay": 0.0, "hypergrad_lr": beta}
    optimizer = METHODS["sgd_hd"].build(in_two_groups(parameters), 0.01, options)  # a strategy's beta is never negative
    train(optimizer, parameters, course())
    assert_same(parameters, [wanted])
    assert 0.01 * optimizer.param_groups[0]["factor"] == pytest.approx(rate, rel=1e-12)
    assert (rate == 0) == (beta < 0), "a rate that would fall below zero stays there"


@pytest.mark.parametrize("hypergrad_lr", [1e-8, 1e-4])
def test_adam_hd_at_a_constant_rate_is_the_papers_rule(hypergrad_lr):
    parameters = weights()
    x, rate, m, v, u = flat(parameters), 0.01, 0.0, 0.0, None
    for t, gs in enumerate(course().gradients, start=1):
        g = flat(gs) + 0.02 * x
        rate += hypergrad_lr * float(g @ u) if u is not None else 0.0
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        u = m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        x = x - rate * u
    optimizer = build("adam_hd", in_two_groups(parameters, decays=(0.02, 0.02)), lr=0.01, hypergrad_lr=hypergrad_lr)
    train(optimizer, parameters, course())
    assert_same(parameters, [x])
    assert 0.01 * optimizer.param_groups[0]["factor"] == pytest.approx(rate, rel=1e-12)


def test_the_factor_descends_along_its_own_gradient_under_a_schedule():
    """Held against autograd: the derivative of the loss at the next weights by the factor that led there."""
    rates, base = [1.0, 0.5, 2.0, 0.0, 0.25], 0.1
    target = torch.arange(4, dtype=torch.float64)
    curvature = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)

    def loss_at(x):
        return (curvature * (x - target) ** 2).sum() / 2

    x, factor, last = torch.zeros(4, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64), None
    parameter = torch.nn.Parameter(x.clone())
    optimizer = build("sgd_hd", [parameter], lr=base, hypergrad_lr=1e-3)
    for multiplier in rates:
        if last is not None:
            (slope,) = torch.autograd.grad(loss_at(last(factor)), factor)
            factor = (factor - 1e-3 / base**2 * slope).detach()
        factor.requires_grad_()
        direction = curvature * (x - target)

        def last(factor, x=x, rate=base * multiplier, u=direction):
            return x - rate * factor * u

        x = last(factor).detach()

        optimizer.zero_grad()
        loss_at(parameter).backward()
        optimizer.param_groups[0]["lr"] = base * multiplier
        optimizer.step()
        assert_same([parameter], [x])
        assert optimizer.param_groups[0]["factor"] == pytest.approx(factor.item(), rel=1e-12)
    assert factor.item() > 1


@pytest.mark.parametrize("name", ["sgd_hd", "adam_hd"])
def test_a_factor_needs_a_rate_to_multiply(name):
    with pytest.raises(UsageError, match="lr must be above 0, got 0"):
        build(name, weights(), lr=0)
