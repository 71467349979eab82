"""find_lr on what people lend: optimizers that need a closure, batches at fault, batches and outputs of other kinds."""

import math

import numpy as np
import prodigyopt
import pytest
import pytorch_optimizer
import torch
import torch.nn.functional as F
from torch import nn

import calando
from calando.errors import UsageError
from calando.range_test.loss import BatchLoss

X = torch.randn(256, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] + X[:, 1] > 0).long()
BATCHES = list(zip(X.split(32), Y.split(32), strict=True))


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))


def find(model=None, make=None, loss_fn=F.cross_entropy, loader=BATCHES, **options):
    model = net() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9) if make is None else make(model)
    before = [p.detach().clone() for p in model.parameters()]
    try:
        return calando.find_lr(model, optimizer, loss_fn, loader, **{"steps": 40, "repeats": 2, **options})
    finally:
        assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
        assert not optimizer.state
        assert all(p.grad is None for p in model.parameters())


class Sam(torch.optim.Optimizer):
    """As in davda54/sam, which many people copy: the closure works gradients out at the weights that were moved."""

    def __init__(self, parameters, lr, rho=0.05):
        super().__init__(parameters, {"lr": lr, "rho": rho})

    @torch.no_grad()
    def step(self, closure=None):
        assert closure is not None, "Sharpness Aware Minimization requires closure, but it was not provided"
        parameters = [(g["lr"], g["rho"], p) for g in self.param_groups for p in g["params"]]
        norm = torch.stack([p.grad.norm() for *_, p in parameters]).norm() + 1e-12
        moved = [p.grad * rho / norm for _, rho, p in parameters]
        for (*_, p), by in zip(parameters, moved, strict=True):
            p.add_(by)
            p.grad.zero_()
        with torch.enable_grad():
            closure()
        for (lr, _, p), by in zip(parameters, moved, strict=True):
            p.sub_(by)
            p.sub_(lr * p.grad)


class Strict(Sam):
    def step(self, closure):
        return super().step(closure)


class Needy(torch.optim.SGD):
    """Its `step` takes what nobody but its owner can give."""

    def step(self, closure=None):
        if closure is None:
            raise RuntimeError("no closure")
        _, _ = closure()
        return super().step()


def of(name, **options):
    return lambda model: pytorch_optimizer.load_optimizer(name)(model.parameters(), lr=0.1, **options)


WITH_CLOSURE = {
    "davda54": lambda model: Sam(model.parameters(), lr=0.1),
    "no default": lambda model: Strict(model.parameters(), lr=0.1),
    "WSAM": lambda model: pytorch_optimizer.WSAM(model, model.parameters(), torch.optim.SGD, lr=0.1),
    "LookSAM": lambda model: pytorch_optimizer.LookSAM(model.parameters(), torch.optim.SGD, lr=0.1),
    "SAM": lambda model: pytorch_optimizer.SAM(model.parameters(), torch.optim.SGD, lr=0.1),
    "BSAM": lambda model: pytorch_optimizer.BSAM(model.parameters(), num_data=256, lr=0.1),
    "LBFGS": lambda model: torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=2),
}


@pytest.mark.parametrize("name", WITH_CLOSURE)
def test_an_optimizer_that_needs_a_closure_is_given_one(name):
    found = find(make=WITH_CLOSURE[name])
    first = found.curves.losses[:, 0]
    # BSAM draws its weights at random round those that it keeps: what it falls by in a short sweep is little.
    assert np.nanmin(found.curves.losses) < (0.99 if name == "BSAM" else 0.9) * first.mean()


def test_the_closure_works_the_gradient_out_at_the_weights_as_they_are():
    """Sharpness-aware steps differ from plain ones; with a radius of nothing they do not."""
    plain = find(make=lambda model: torch.optim.SGD(model.parameters(), lr=0.1)).curves.losses
    none, some = (find(make=lambda m, rho=rho: Sam(m.parameters(), 0.1, rho)).curves.losses for rho in (1e-12, 2.0))
    upto = int(np.nanargmin(plain[0]))
    assert none[0, :upto] == pytest.approx(plain[0, :upto], rel=1e-3)
    assert abs(some[0, upto - 1] / plain[0, upto - 1] - 1) > 0.01


def test_what_cannot_be_stepped_is_refused_in_one_line():
    with pytest.raises(UsageError, match=r"Needy\.step cannot be called with a closure") as caught:
        find(make=lambda model: Needy(model.parameters(), lr=0.1))
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="cannot schedule 'lr'"):
        find(make=lambda model: pytorch_optimizer.AliG(model.parameters()))
    with pytest.raises(UsageError, match="Sam steps with a closure, which a GradScaler cannot follow"):
        find(make=WITH_CLOSURE["davda54"], scaler=torch.amp.GradScaler("cpu"))


class SGD(torch.optim.Optimizer):
    """Called as torch's, without a momentum."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * p.grad)


def test_a_class_of_a_known_name_that_holds_nothing_known_is_measured_alone():
    plain = find(make=lambda model: torch.optim.SGD(model.parameters(), lr=0.1)).curves.losses
    found = find(make=lambda model: SGD(model.parameters()))
    assert found.curves.losses[0, :20] == pytest.approx(plain[0, :20], rel=1e-4)
    assert "usual" not in found.suggestion.explanation


@pytest.mark.parametrize("make", [lambda model: prodigyopt.Prodigy(model.parameters()), of("dadaptadam")])
def test_a_method_that_works_its_rate_out_gets_none(make):
    found = find(make=make, hold=20)
    assert found.suggestion.doubts[0] == "works its rate out"
    assert "train at lr=1" in found.suggestion.reasons[0]
    assert found.suggestion.decayed.rate is None
    assert found.suggestion.constant.rate is None
    assert found.held is None


def spoiled(place, value):
    """Batches of which the sixth has one bad number."""
    batches = [(x.clone(), y.clone()) for x, y in zip(X.split(32), X.split(32), strict=True)]
    batches[5][place][3, 2] = value
    return batches


def regression() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 6))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_a_batch_that_is_not_finite_is_at_fault_and_not_the_rate(place, value):
    with pytest.raises(
        UsageError, match=rf"batch 6 of those drawn is at fault and no rate.*in batch\[{place}\]"
    ) as caught:
        find(regression(), loss_fn=F.mse_loss, loader=spoiled(place, value))
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="one of batches 5 to 6 of those drawn"):
        find(regression(), loss_fn=F.mse_loss, loader=spoiled(place, value), accumulate=2)


def test_a_loss_that_is_not_finite_on_a_finite_batch_is_the_batch_s_fault_too():
    """Labels that are all to be ignored: the mean of no losses."""
    batches = [(x, torch.full_like(y, -100) if place == 5 else y) for place, (x, y) in enumerate(BATCHES)]
    with pytest.raises(UsageError, match=r"batch 6 of those drawn is at fault and no rate.* the loss is nan; clean"):
        find(loader=batches)
    with pytest.raises(UsageError, match="at fault and no rate.*the gradient is not finite"):
        find(
            loader=[(x, torch.full((32,), place)) for place, (x, _) in enumerate(BATCHES)],
            loss_fn=lambda o, t: o.square().mean() + (0 * o.sum() if t[0] < 5 else (0 * o.sum()).sqrt()),
        )


def test_values_that_the_network_takes_care_of_are_no_fault():
    """Missing inputs are nan and replaced; a rate that is too large is still what ends the sweep."""

    class Filling(nn.Sequential):
        def forward(self, x):
            return super().forward(torch.nan_to_num(x))

    torch.manual_seed(0)
    found = find(
        Filling(*regression()),
        loss_fn=lambda o, t: F.mse_loss(o, torch.nan_to_num(t)) ** 2,
        loader=spoiled(0, math.nan),
    )
    assert set(found.curves.stopped) <= {"not finite", "diverged"}


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = net()

    def forward(self, a, b):
        return self.inner(a + b)


class Answering(nn.Module):
    """Returns what Transformers' models do, whose loss is None where no labels were given."""

    def __init__(self):
        super().__init__()
        self.inner = net()

    def forward(self, x):
        from transformers.modeling_outputs import SequenceClassifierOutput

        return SequenceClassifierOutput(logits=self.inner(x))


def mine(output, target):
    return -(output.log_softmax(1) * F.one_hot(target, 2)).sum(1).mean()


@pytest.mark.parametrize("loss_fn", [F.cross_entropy, nn.CrossEntropyLoss(), mine], ids=["function", "module", "own"])
def test_outputs_and_inputs_of_another_kind_get_a_hint_at_forward_that_works(loss_fn):
    two = [((x, x), y) for x, y in BATCHES]
    for model, loader, said in (
        (net(), two, r"the network cannot be called as model\(\(tensor, tensor\)\) \(TypeError"),
        (Pair(), two, r"the network cannot be called as model\(\(tensor, tensor\)\) \(TypeError"),
        (Pair(), BATCHES, r"the network cannot be called as model\(tensor\) \(TypeError"),
        (net(), [({"x": x}, y) for x, y in BATCHES], r"cannot be called as model\(dict\)"),
        (Answering(), BATCHES, "loss_fn cannot judge output SequenceClassifierOutput"),
        (net(), [(x, {"y": y}) for x, y in BATCHES], "loss_fn cannot judge target dict"),
    ):
        with pytest.raises(UsageError, match=said) as caught:
            find(model, loss_fn=loss_fn, loader=loader)
        assert "pass forward=, called with (model, batch)" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert find(Pair(), loss_fn=loss_fn, loader=two, forward=lambda model, batch: (model(*batch[0]), batch[1])).updates
    assert find(Answering(), loss_fn=loss_fn, forward=lambda model, batch: (model(batch[0]).logits, batch[1])).updates


@pytest.mark.parametrize(
    ("loss_fn", "targets", "chance"),
    [
        (F.mse_loss, 100 + 3 * torch.randn(256, 1, generator=torch.Generator().manual_seed(1)), 9.0),
        (nn.L1Loss(), 100 + torch.rand(256, 1, generator=torch.Generator().manual_seed(1)), 0.25),
        (nn.BCEWithLogitsLoss(), (torch.arange(256) % 4 == 0).float()[:, None], 0.5623),
        (nn.MSELoss(reduction="sum"), 100 + torch.zeros(256, 1), 0.0),
        (lambda o, t: F.mse_loss(o, t), torch.zeros(256, 1), None),
    ],
    ids=["squared", "absolute", "binary", "same", "own"],
)
def test_a_network_that_knows_nothing_says_the_same_of_every_sample(loss_fn, targets, chance):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    loader = list(zip(X.split(32), targets.split(32), strict=True))
    loss = BatchLoss(model=model, loss_fn=loss_fn)
    for batch in loader:
        loss(batch)
    assert loss.chance is None, "the curve is judged as it is"
    found = loss.trivial
    assert found == (chance if chance is None else pytest.approx(chance, rel=0.2, abs=1e-9))


def test_to_learn_the_mean_of_the_targets_is_not_to_learn():
    """The loss falls from 10,000 to the variance, and no further: there is nothing in the inputs."""
    targets = 100 + 3 * torch.randn(256, 1, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))
    loader = list(zip(torch.randn(40, 32, 6), targets[torch.randint(0, 256, (40, 32))], strict=True))
    found = find(model, loss_fn=F.mse_loss, loader=loader, steps=100, repeats=3, hold=100)
    assert not found.suggestion.reliable
    assert found.held is None or found.held.outcome != "lives"


class Fragile(torch.optim.SGD):
    """A first step at any but a small rate kills the network for good: what a warmup is for."""

    @torch.no_grad()
    def step(self, closure=None):
        first = not any(self.state.values())
        super().step()
        for group in self.param_groups:
            for p in group["params"]:
                if first:
                    self.state[p]["dead"] = group["lr"] > 1e-3
                if self.state[p]["dead"]:
                    p.zero_()


def test_a_rate_that_only_a_slow_rise_bears_is_not_reliable():
    def fragile(model):
        return Fragile(model.parameters(), lr=0.1, momentum=0.9)

    easy = {"loader": list(zip((3 * X).split(32), Y.split(32), strict=True)), "steps": 80, "repeats": 3}
    curves = find(make=fragile, hold=0, **easy)
    assert curves.suggestion.reliable
    assert curves.held is None
    found = find(make=fragile, **easy)
    assert found.suggestion.decayed == curves.suggestion.decayed
    assert not found.suggestion.reliable
    assert found.suggestion.doubts == ("does not live",)
    assert found.held.outcome == "no better"
    assert "warm up to it, or take a lower rate" in str(found)
    assert found.updates == curves.updates + 80
    robust = find(**easy)
    assert robust.suggestion.reliable
    assert robust.held.outcome == "lives"
    assert robust.held.kept > 0.9
