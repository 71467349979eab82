"""Prodigy, D-Adaptation and ALI-G against their papers' formulas."""

from __future__ import annotations

import math

import pytest
import torch
from tests.methods.parity import BASES, DECAYS, RATES, SHAPES, gradients, start, trained
from torch import nn


@pytest.mark.parametrize("correct", [False, True])
def test_prodigy(correct):
    """Algorithm 4 of the paper, Adam's form: with d in the moments, as the package has it."""
    weights, x0 = start(), start()
    m, v, s = ([torch.zeros_like(w) for w in weights] for _ in range(3))
    d, r, best = 1e-3, 0.0, 1e-3
    root = math.sqrt(0.999)
    ours = trained("prodigy", 1.0, ratios=False, d0=1e-3, bias_correction=correct)
    for step, (slopes, (values, _)) in enumerate(zip(gradients(), ours, strict=True)):
        fix = math.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1)) if correct else 1.0
        rate = RATES[step] * d * fix
        r = root * r + sum(
            d / 1e-3 * rate * float((g * (a - w)).sum()) for g, a, w in zip(slopes, x0, weights, strict=True)
        )
        for i, g in enumerate(slopes):
            m[i] = 0.9 * m[i] + 0.1 * d * g
            v[i] = 0.999 * v[i] + 0.001 * d**2 * g**2
            s[i] = root * s[i] + d / 1e-3 * rate * g
        estimate = r / sum(float(one.abs().sum()) for one in s)
        old = d
        d = max(d, estimate) if d == 1e-3 else d
        best = max(best, estimate)
        d = best
        for i, wd in enumerate(DECAYS):
            weights[i] = weights[i] - wd * rate * weights[i] - rate * m[i] / (v[i].sqrt() + d * 1e-8)
        assert d >= old
        torch.testing.assert_close(values, weights, rtol=1e-10, atol=1e-12)
    assert d > 1.1e-3  # the estimate grew, so that it was tested


def test_d_adaptation_of_adam():
    weights = start()
    m, v, s = ([torch.zeros_like(w) for w in weights] for _ in range(3))
    d, r = 1e-3, 0.0
    root = math.sqrt(0.99)
    ours = trained("dadapt_adam", 1.0, ratios=False, d0=1e-3, betas=(0.9, 0.99))
    for step, (slopes, (values, _)) in enumerate(zip(gradients(), ours, strict=True)):
        rate = d * RATES[step]
        gained = 0.0
        for i, g in enumerate(slopes):
            gained += rate * float((g * s[i] / (v[i].sqrt() + 1e-8)).sum())
            m[i] = 0.9 * m[i] + 0.1 * rate * g
            v[i] = 0.99 * v[i] + 0.01 * g**2
            s[i] = root * s[i] + (1 - root) * rate * g
        r = root * r + (1 - root) * gained
        d = max(d, r / ((1 - root) * sum(float(one.abs().sum()) for one in s)))
        for i, wd in enumerate(DECAYS):
            weights[i] = weights[i] - rate * wd * weights[i] - m[i] / (v[i].sqrt() + 1e-8)
        torch.testing.assert_close(values, weights, rtol=1e-10, atol=1e-12)
    assert d > 1.1e-3


def test_d_adaptation_of_sgd():
    weights, z = start(), start()
    s = [torch.zeros_like(w) for w in weights]
    d, r, norm = 1e-3, 0.0, 0.0
    ours = trained("dadapt_sgd", 1.0, ratios=False, d0=1e-3)
    for step, (slopes, (values, _)) in enumerate(zip(gradients(), ours, strict=True)):
        norm = norm or math.sqrt(sum(float((g**2).sum()) for g in slopes))
        rate = d * RATES[step] / norm
        for i, (g, wd) in enumerate(zip(slopes, DECAYS, strict=True)):
            g = g + wd * weights[i]
            r += rate * float((g * s[i]).sum())
            s[i] = s[i] + rate * g
            z[i] = z[i] - rate * g
            weights[i] = 0.9 * weights[i] + 0.1 * z[i]
        d = max(d, 2 * r / math.sqrt(sum(float((one**2).sum()) for one in s)))
        torch.testing.assert_close(values, weights, rtol=1e-10, atol=1e-12)
    assert d > 1.1e-3


@pytest.mark.parametrize("name", ["dadapt_adam", "dadapt_sgd"])
def test_d_adaptation_is_the_packages_where_that_works(name):
    package = pytest.importorskip("pytorch_optimizer")
    parameters = [nn.Parameter(value.clone()) for value in start()]
    kind, given = {
        "dadapt_adam": (package.DAdaptAdam, {"weight_decouple": True}),
        "dadapt_sgd": (package.DAdaptSGD, {}),
    }[name]
    groups = [{"params": parameters[:2], "weight_decay": 0.1}, {"params": parameters[2:], "weight_decay": 0.0}]
    reference = kind(groups, lr=1.0, d0=1e-3, foreach=False, **given)
    ours = trained(name, 1.0, ratios=False, d0=1e-3)
    for step, (slopes, (values, _)) in enumerate(zip(gradients(), ours, strict=True)):
        for group in reference.param_groups:
            group["lr"] = RATES[step]
        for p, g in zip(parameters, slopes, strict=True):
            p.grad = g.clone()
        reference.step()
        # The package adds up in single precision: d is off by 1e-4 of itself, weights by that of a step.
        torch.testing.assert_close([p.detach() for p in parameters], values, rtol=0, atol=2e-6)


def test_alig():
    """Losses that let both sides of the minimum be the smaller one."""
    losses = [200.0, 5.0, 2.0, 300.0, 1.0, 0.5, 80.0, 2.0, 0.0]
    weights, buffers = start(), [torch.zeros(shape, dtype=torch.float64) for shape in SHAPES]
    bound = []
    ours = trained("alig", 0.2, losses=losses, momentum=0.8)
    for step, (slopes, (values, _)) in enumerate(zip(gradients(), ours, strict=True)):
        slopes = [g + wd * w for g, w, wd in zip(slopes, weights, DECAYS, strict=True)]
        objective = losses[step] + sum(wd / 2 * float((w**2).sum()) for w, wd in zip(weights, DECAYS, strict=True))
        polyak = objective / (sum(float((g**2).sum()) for g in slopes) + 1e-5)
        for i, (g, base) in enumerate(zip(slopes, BASES, strict=True)):
            gamma = min(0.2 * base * RATES[step], polyak)
            bound.append(gamma == polyak)
            buffers[i] = 0.8 * buffers[i] - gamma * g
            weights[i] = weights[i] - gamma * g + 0.8 * buffers[i]
        torch.testing.assert_close(values, weights, rtol=1e-6, atol=1e-8)
    assert 0 < sum(bound) < len(bound)
