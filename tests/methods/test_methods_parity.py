"""Methods against their papers' formulas: several steps, several groups, weight decay, rates that change."""

from __future__ import annotations

import math

import pytest
import torch
from tests.methods.method_cases import build
from tests.methods.parity import BASES, DECAYS, RATES, SHAPES, STEPS, assert_same, each_alone, start, trained
from tests.methods.test_parity_schedule_free import rectification
from torch import Tensor, nn

from calando.methods import METHODS

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("nesterov", [False, True])
def test_lars(nesterov):
    def formula(t, w, g, lr, wd, memory):
        if w.ndim > 1:
            trust = 0.01 * w.norm() / (g.norm() + wd * w.norm())
            g = trust * (g + wd * w)
        memory["m"] = 0.9 * memory.get("m", 0) + g
        return w - lr * (g + 0.9 * memory["m"] if nesterov else memory["m"])

    assert_same(trained("lars", 2.0, trust_coefficient=0.01, nesterov=nesterov), each_alone(2.0, formula))


def test_lamb():
    def formula(t, w, g, lr, wd, memory):
        memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
        memory["v"] = 0.99 * memory.get("v", 0) + 0.01 * g**2
        r = (memory["m"] / (1 - 0.9**t)) / ((memory["v"] / (1 - 0.99**t)).sqrt() + 1e-6) + wd * w
        return w - lr * (w.norm() / r.norm() if w.ndim > 1 else 1) * r

    assert_same(trained("lamb", 0.05, betas=(0.9, 0.99)), each_alone(0.05, formula))


def test_lion():
    def formula(t, w, g, lr, wd, memory):
        m = memory.get("m", torch.zeros_like(w))
        memory["m"] = 0.99 * m + 0.01 * g
        return w - lr * ((0.9 * m + 0.1 * g).sign() + wd * w)

    assert_same(trained("lion", 0.01), each_alone(0.01, formula))


@pytest.mark.parametrize("nesterov", [False, True])
def test_sam(nesterov):
    """On a loss whose gradient is known: the sum of sin(w * c)."""
    torch.manual_seed(5)
    slopes = [torch.randn(shape, dtype=torch.float64) for shape in SHAPES]
    parameters = [nn.Parameter(value.clone()) for value in start()]
    groups = [{"params": parameters[:2], "weight_decay": 0.1}, {"params": parameters[2:], "weight_decay": 0.0}]
    optimizer = build(METHODS["sam"], groups, lr=0.1, rho=0.3, momentum=0.8, nesterov=nesterov, weight_decay=0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = sum(torch.sin(p * c).sum() for p, c in zip(parameters, slopes, strict=True))
            loss.backward()
        return loss.detach()

    weights, buffers = start(), [torch.zeros(shape, dtype=torch.float64) for shape in SHAPES]
    for factor in RATES:
        for group, base in zip(optimizer.param_groups, (1.0, 0.5), strict=True):
            group["lr"] = 0.1 * base * factor
        closure()
        optimizer.step(closure)
        first = [c * torch.cos(w * c) for w, c in zip(weights, slopes, strict=True)]
        norm = math.sqrt(sum(float((g**2).sum()) for g in first))
        second = [c * torch.cos((w + 0.3 * g / norm) * c) for w, g, c in zip(weights, first, slopes, strict=True)]
        for i, (g, base, wd) in enumerate(zip(second, BASES, DECAYS, strict=True)):
            g = g + wd * weights[i]
            buffers[i] = 0.8 * buffers[i] + g
            weights[i] = weights[i] - 0.1 * base * factor * (g + 0.8 * buffers[i] if nesterov else buffers[i])
        # The package works out the norm of the gradient in single precision.
        torch.testing.assert_close([p.detach() for p in parameters], weights, rtol=1e-6, atol=1e-7)


def test_sam_at_radius_0_is_sgd():
    ends = []
    for name, given in (("sam", {"rho": 0.0}), ("sgd", {})):
        p = nn.Parameter(torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4))
        optimizer = build(METHODS[name], [{"params": [p]}], lr=0.1, momentum=0.9, weight_decay=0.1, **given)

        def closure(p=p, optimizer=optimizer) -> Tensor:
            optimizer.zero_grad()
            with torch.enable_grad():
                loss = (p**4).sum()
                loss.backward()
            return loss.detach()

        for _ in range(STEPS):
            closure()
            optimizer.step(*([closure] if name == "sam" else []))
        ends.append(p.detach())
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-12, atol=0)


def test_adafactor_is_the_papers():
    """Matrices by row and column, vectors whole; the rate held below 1/sqrt(t), in units of the weights."""

    def formula(t, w, g, lr, wd, memory):
        eps = torch.finfo(torch.float64).eps
        mix = t**-0.8
        size = max(1e-3, float(w.norm()) / math.sqrt(w.numel())) * min(lr, 1 / math.sqrt(t))
        w = w - lr * wd * w
        if w.ndim > 1:
            memory["r"] = (1 - mix) * memory.get("r", 0) + mix * (g**2).mean(-1, keepdim=True)
            memory["c"] = (1 - mix) * memory.get("c", 0) + mix * (g**2).mean(-2, keepdim=True)
            square = memory["r"] @ memory["c"] / memory["r"].mean(-2, keepdim=True).clamp(min=eps)
        else:
            memory["v"] = (1 - mix) * memory.get("v", 0) + mix * g**2
            square = memory["v"]
        u = g / square.clamp(min=eps**2).sqrt()
        return w - size * u / max(1.0, float(u.norm()) / math.sqrt(u.numel()))

    assert_same(trained("adafactor", 0.9), each_alone(0.9, formula), rtol=1e-6)


def test_adadelta_nadam_and_radam_are_the_papers():
    def adadelta(t, w, g, lr, wd, memory):
        g = g + wd * w
        memory["v"] = 0.9 * memory.get("v", torch.zeros_like(w)) + 0.1 * g**2
        past = memory.get("u", torch.zeros_like(w))
        u = ((past + 1e-6) / (memory["v"] + 1e-6)).sqrt() * g
        memory["u"] = 0.9 * past + 0.1 * u**2
        return w - lr * u

    def nadam(t, w, g, lr, wd, memory):
        w = w - lr * wd * w
        now, after = (0.9 * (1 - 0.5 * 0.96 ** (k * 0.004)) for k in (t, t + 1))
        memory["product"] = memory.get("product", 1.0) * now
        memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
        memory["v"] = 0.999 * memory.get("v", 0) + 0.001 * g**2
        mean = after * memory["m"] / (1 - memory["product"] * after) + (1 - now) * g / (1 - memory["product"])
        return w - lr * mean / ((memory["v"] / (1 - 0.999**t)).sqrt() + 1e-8)

    def radam(t, w, g, lr, wd, memory):
        w = w - lr * wd * w
        memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
        memory["v"] = 0.95 * memory.get("v", 0) + 0.05 * g**2
        mean = memory["m"] / (1 - 0.9**t)
        if 2 / 0.05 - 1 - 2 * t * 0.95**t / (1 - 0.95**t) <= 5:
            return w - lr * mean
        return w - lr * rectification(t) * mean * math.sqrt(1 - 0.95**t) / (memory["v"].sqrt() + 1e-8)

    assert_same(trained("adadelta", 1.0), each_alone(1.0, adadelta))
    assert_same(trained("nadam", 0.1), each_alone(0.1, nadam), rtol=1e-6)  # torch keeps the product in single precision
    assert_same(trained("radam", 0.1, betas=(0.9, 0.95)), each_alone(0.1, radam))
