"""MoMo and MoMo-Adam: the minimiser of their model, and the authors' rule."""

import pytest
import torch
from tests.methods.made_up import assert_same, build, course, flat, in_two_groups, train, weights

from calando.errors import UsageError


def momo_by_bisection(parameters, made_up, *, rates, decays, adam, beta=0.9, beta2=0.999, eps=1e-8, bound=0.0):
    """The multiplier of the model in [0, 1/rho] for which the minimiser's model value meets the bound, by bisection."""
    xs = [p.detach().clone() for p in parameters]
    d = [torch.zeros_like(x) for x in xs]
    v = [torch.zeros_like(x) for x in xs]
    f = gamma = 0.0
    for t, (gs, loss) in enumerate(zip(made_up.gradients, made_up.losses, strict=True), start=1):
        now = sum(float((g * x).sum()) for g, x in zip(gs, xs, strict=True))
        if t == 1 and not adam:
            d, f, gamma = [g.clone() for g in gs], loss, now
        d = [beta * a + (1 - beta) * g for a, g in zip(d, gs, strict=True)]
        v = [beta2 * a + (1 - beta2) * g * g for a, g in zip(v, gs, strict=True)]
        f, gamma = beta * f + (1 - beta) * loss, beta * gamma + (1 - beta) * now
        rho = 1 - beta**t if adam else 1.0
        scale = [(b / (1 - beta2**t)).sqrt() + eps if adam else torch.ones_like(b) for b in v]

        def minimiser(s, xs=xs, d=d, scale=scale):
            parts = zip(xs, d, scale, rates, decays, strict=True)
            return [(x - s * rate * a / b) / (1 + rate * decay) for x, a, b, rate, decay in parts]

        def model(s, d=d, f=f, gamma=gamma, minimiser=minimiser):
            return f - gamma + sum(float((a * y).sum()) for a, y in zip(d, minimiser(s), strict=True))

        low, high = 0.0, 1 / rho
        if model(high) >= rho * bound:
            low = high
        elif model(low) <= rho * bound:
            high = low
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if model(middle) > rho * bound else (low, middle)
        xs = minimiser(low)
    return xs


@pytest.mark.parametrize("adam", [False, True])
@pytest.mark.parametrize("lr", [0.001, 0.1, 3.0])
@pytest.mark.parametrize("bound", [0.0, 1.5])
def test_momo_minimises_its_model_over_groups_with_rates_and_decays_of_their_own(adam, lr, bound):
    parameters = weights()
    groups = in_two_groups(parameters, decays=(0.02, 0.1), rates=(lr, lr / 3))
    optimizer = build("momo_adam" if adam else "momo", groups, lr=lr, lower_bound=bound)
    of_parameters = [(lr, 0.02) if p.ndim >= 2 else (lr / 3, 0.1) for p in parameters]
    rates, decays = zip(*of_parameters, strict=True)
    wanted = momo_by_bisection(parameters, course(), rates=rates, decays=decays, adam=adam, bound=bound)
    assert_same(train(optimizer, parameters, course()), wanted)


def authors_momo(parameters, made_up, *, lr, decay, beta=0.9):
    """The authors' step size, for one vector."""
    x, d, f, gamma = flat(parameters), None, 0.0, 0.0
    for gs, loss in zip(made_up.gradients, made_up.losses, strict=True):
        g = flat(gs)
        if d is None:
            d, f, gamma = g.clone(), loss, float(g @ x)
        d, f, gamma = beta * d + (1 - beta) * g, beta * f + (1 - beta) * loss, beta * gamma + (1 - beta) * float(g @ x)
        c = 1 + lr * decay
        x = (x - min(lr, max(0.0, c * (f - gamma) + float(d @ x)) / float(d @ d)) * d) / c
    return [x]


def authors_momo_adam(parameters, made_up, *, lr, decay, beta=0.9, beta2=0.999, eps=1e-8):
    x, d, v, f, gamma = flat(parameters), 0.0, 0.0, 0.0, 0.0
    for t, (gs, loss) in enumerate(zip(made_up.gradients, made_up.losses, strict=True), start=1):
        g = flat(gs)
        d, v = beta * d + (1 - beta) * g, beta2 * v + (1 - beta2) * g**2
        f, gamma = beta * f + (1 - beta) * loss, beta * gamma + (1 - beta) * float(g @ x)
        scale, c, rho = (v / (1 - beta2**t)).sqrt() + eps, 1 + lr * decay, 1 - beta**t
        tau = min(lr / rho, max(0.0, c * (f - gamma) + float(d @ x)) / float(d @ (d / scale)))
        x = (x - tau * d / scale) / c
    return [x]


@pytest.mark.parametrize(("name", "authors"), [("momo", authors_momo), ("momo_adam", authors_momo_adam)])
@pytest.mark.parametrize("lr", [0.01, 0.3, 10.0])
@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_momo_with_one_rate_and_decay_is_the_authors_rule(name, authors, lr, decay):
    parameters = weights()
    wanted = authors(parameters, course(), lr=lr, decay=decay)
    assert_same(train(build(name, parameters, lr=lr, weight_decay=decay), parameters, course()), wanted)


@pytest.mark.parametrize("name", ["momo", "momo_adam"])
def test_momo_needs_the_loss_and_one_momentum(name):
    parameters = weights()
    optimizer = build(name, in_two_groups(parameters))
    with pytest.raises(UsageError, match="needs the loss"):
        optimizer.step()
    key = "momentum" if name == "momo" else "betas"
    optimizer.param_groups[1][key] = 0.5 if name == "momo" else (0.5, 0.999)
    with pytest.raises(UsageError, match=f"same {key} in all parameter groups"):
        optimizer.step(lambda: 1.0)


@pytest.mark.parametrize("name", ["momo", "momo_adam"])
def test_momo_stays_where_the_model_is_at_its_bound(name):
    parameters = weights()
    before = flat(parameters).clone()
    made_up = course(steps=3)
    made_up.losses = [-100.0] * 3
    train(build(name, parameters), parameters, made_up)
    assert torch.equal(flat(parameters), before)
