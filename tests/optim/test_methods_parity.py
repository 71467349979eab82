"""Methods against their papers' formulas: several steps, several groups, weight decay, rates that change."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from tests.optim.method_cases import build
from torch import Tensor, nn

from calando.optim import METHODS

pytestmark = pytest.mark.filterwarnings("error")

STEPS = 9
RATES = [0.5, 1.0, 1.0, 0.8, 0.6, 0.9, 0.4, 0.2, 0.1]  # of the base rate, step by step
SHAPES = [(4, 3), (5, 2, 3, 3), (6,), (3, 5)]
DECAYS = [0.1, 0.1, 0.0, 0.0]  # the first two are in one group, the others in another
BASES = [1.0, 1.0, 0.5, 0.5]


def start() -> list[Tensor]:
    torch.manual_seed(11)
    return [torch.randn(shape, dtype=torch.float64) for shape in SHAPES]


def gradients() -> list[list[Tensor]]:
    torch.manual_seed(12)
    return [[0.7 * torch.randn(shape, dtype=torch.float64) + 0.8 for shape in SHAPES] for _ in range(STEPS)]


def trained(name: str, lr: float, *, ratios: bool = True, losses: list[float] | None = None, **given) -> Iterator:
    """The method's weights after each step, and its optimizer."""
    parameters = [nn.Parameter(value.clone()) for value in start()]
    groups = [
        {"name": "decay", "params": parameters[:2], "weight_decay": DECAYS[0]},
        {"name": "no_decay", "params": parameters[2:], "weight_decay": 0.0},
    ]
    method = METHODS[name]
    optimizer = build(method, groups, lr=lr, weight_decay=DECAYS[0], **given)
    for step, slopes in enumerate(gradients()):
        for group, base in zip(optimizer.param_groups, (1.0, 0.5 if ratios else 1.0), strict=True):
            group["lr"] = lr * base * RATES[step]
        for p, g in zip(parameters, slopes, strict=True):
            p.grad = g.clone()
        loss = 1.0 if losses is None else losses[step]
        optimizer.step(*([lambda loss=loss: torch.tensor(loss)] if method.closure == "loss" else []))
        yield [p.detach().clone() for p in parameters], optimizer


def each_alone(lr: float, formula: Callable[..., Tensor]) -> Iterator[list[Tensor]]:
    """Weights after each step where every tensor moves by itself: formula(t, w, g, lr, wd, memory) -> new w."""
    weights, memories = start(), [{} for _ in SHAPES]
    for step, slopes in enumerate(gradients()):
        rows = zip(weights, slopes, BASES, DECAYS, memories, strict=True)
        weights = [formula(step + 1, w, g, lr * base * RATES[step], wd, m) for w, g, base, wd, m in rows]
        yield weights


def assert_same(left, right, *, rtol: float = 1e-11) -> None:
    count = 0
    for (ours, _), theirs in zip(left, right, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=1e-13)
        count += 1
    assert count == STEPS


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


def schedule_free(lr: float, direction: Callable[..., Tensor], rectified: Callable[[int], float] = lambda t: 1.0):
    """The paper's x, y and z, x kept explicitly; yields (y, x) after each step."""
    z, x = start(), start()
    weights = [0.0] * len(z)  # sums of squares of the highest rate, by tensor
    highest = [0.0] * len(z)
    memories = [{} for _ in z]
    for step, slopes in enumerate(gradients()):
        for i, g in enumerate(slopes):
            rate = lr * BASES[i] * RATES[step] * rectified(step + 1)
            y = 0.1 * z[i] + 0.9 * x[i]
            z[i] = z[i] - rate * direction(step + 1, y, g, DECAYS[i], memories[i])
            highest[i] = max(highest[i], rate)
            weights[i] += highest[i] ** 2
            c = highest[i] ** 2 / weights[i] if weights[i] > 0 else 0.0
            x[i] = (1 - c) * x[i] + c * z[i]
        yield [0.1 * a + 0.9 * b for a, b in zip(z, x, strict=True)], list(x)


def adam_direction(t, y, g, wd, memory):
    memory["v"] = 0.95 * memory.get("v", 0) + 0.05 * g**2
    return g / ((memory["v"] / (1 - 0.95**t)).sqrt() + 1e-8) + wd * y


def rectification(t: int) -> float:
    limit = 2 / (1 - 0.95) - 1
    length = limit - 2 * t * 0.95**t / (1 - 0.95**t)
    if length <= 4:
        return 0.0
    return math.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))


@pytest.mark.parametrize(
    ("name", "given", "reference"),
    [
        ("schedule_free_sgd", {}, schedule_free(0.3, lambda t, y, g, wd, memory: g + wd * y)),
        ("schedule_free_adamw", {"beta2": 0.95}, schedule_free(0.3, adam_direction)),
        ("schedule_free_radam", {"beta2": 0.95}, schedule_free(0.3, adam_direction, rectification)),
    ],
)
def test_schedule_free(name, given, reference):
    for (y, optimizer), (their_y, their_x) in zip(trained(name, 0.3, **given), reference, strict=True):
        torch.testing.assert_close(y, their_y, rtol=1e-10, atol=1e-12)
        optimizer.eval()
        x = [p.detach() for group in optimizer.param_groups for p in group["params"]]
        torch.testing.assert_close(x, their_x, rtol=1e-9, atol=1e-11)
        optimizer.train()


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
