"""Made-up weights, gradients and losses for the optimizers of our own, and training along them."""

from dataclasses import dataclass

import torch

from calando.methods import find_method

SHAPES = ((3, 4), (4,), (2, 3, 1, 1), (1,))
STEPS = 12
METHODS = {name: find_method(name) for name in ("momo", "momo_adam", "dog", "ldog", "sgd_hd", "adam_hd")}


@dataclass
class Course:
    """Gradients and losses of a made-up training: gradients[step][parameter]."""

    gradients: list[list[torch.Tensor | None]]
    losses: list[float]


def weights(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)) for shape in SHAPES
    ]


def course(seed=1, steps=STEPS, dtype=torch.float64):
    """Gradients share a direction, as training's do."""
    generator = torch.Generator().manual_seed(seed)
    lean = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    gradients = [
        [(way + torch.randn(way.shape, generator=generator, dtype=torch.float64)).to(dtype) for way in lean]
        for _ in range(steps)
    ]
    return Course(gradients, (torch.rand(steps, generator=generator, dtype=torch.float64) * 5).tolist())


def train(optimizer, parameters, made_up, *, rates=None, start=0, stop=None):
    """`rates[step]`: a multiplier of each group's rate at the start."""
    bases = [group.setdefault("given", float(group["lr"])) for group in optimizer.param_groups]
    for step in range(start, len(made_up.losses) if stop is None else stop):
        for group, base in zip(optimizer.param_groups, bases, strict=True):
            group["lr"] = base * (rates[step] if rates else 1.0)
        for parameter, gradient in zip(parameters, made_up.gradients[step], strict=True):
            parameter.grad = None if gradient is None else gradient.clone()
        loss = made_up.losses[step]
        optimizer.step(lambda loss=loss: loss)
    return parameters


def build(name, groups, *, lr=None, **options):
    method = METHODS[name]
    return method.build(groups, method.usual_rate if lr is None else lr, method.settle(options))


def in_two_groups(parameters, *, decays=(0.02, 0.0), rates=(None, None)):
    groups = [
        {"name": "decay", "params": [p for p in parameters if p.ndim >= 2], "weight_decay": decays[0]},
        {"name": "no_decay", "params": [p for p in parameters if p.ndim < 2], "weight_decay": decays[1]},
    ]
    return [group | ({} if rate is None else {"lr": rate}) for group, rate in zip(groups, rates, strict=True)]


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def assert_same(found, wanted):
    scale = flat(wanted).abs().max()
    assert (flat(found) - flat(wanted)).abs().max() <= 1e-12 * scale


def assert_equal(found, wanted):
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def evaluated(optimizer, parameters):
    optimizer.eval()
    found = [p.detach().clone() for p in parameters]
    optimizer.train()
    return found
