"""find_lr on the user's own objects: every way to a loss, two ranks, hopeless inputs, and clear errors."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.waiting import PATIENCE
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import calando
from calando.errors import UnknownName, UsageError
from calando.methods import METHODS
from calando.range_test import SweepOptions, find_for_run
from calando.records import WorkloadSpec
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.tasks.tree import moved
from calando.training.loop import execute

X = torch.randn(256, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] * X[:, 1] > 0).long()
BATCHES = list(zip(X.split(32), Y.split(32), strict=True))


def net(seed: int = 0, *, wide: int = 16) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, 2))


def sgd(model: nn.Module, lr=0.1, **options) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, **options)


def find(model=None, optimizer=None, loss_fn=F.cross_entropy, loader=BATCHES, **options):
    model = net() if model is None else model
    options = {"steps": 40, "repeats": 2, **options}
    return calando.find_lr(model, sgd(model) if optimizer is None else optimizer, loss_fn, loader, **options)


@dataclass
class Pair:
    x: torch.Tensor
    y: torch.Tensor


class Losing(nn.Module):
    """Returns its loss itself."""

    def __init__(self, inner: nn.Module, kind: str) -> None:
        super().__init__()
        self.inner, self.kind = inner, kind

    def forward(self, x, y):
        loss = F.cross_entropy(self.inner(x), y)
        found = type("Output", (), {"loss": loss})
        return {"tensor": loss, "dict": {"loss": loss}, "tuple": (loss, 1), "object": found}[self.kind]


def of_pair(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


WAYS = {
    "dict loss": lambda m: find(m, loss_fn=lambda o, t: {"loss": F.cross_entropy(o, t), "other": 1}),
    "forward": lambda m: find(m, loss_fn=None, loader=[Pair(x, y) for x, y in BATCHES], forward=of_pair),
    "forward, loss_fn": lambda m: find(m, forward=lambda model, batch: (model(batch[0]), batch[1])),
    "forward, dict": lambda m: find(m, loss_fn=None, forward=lambda n, b: {"loss": F.cross_entropy(n(b[0]), b[1])}),
    **{
        f"network, {kind}": lambda m, kind=kind: find(Losing(m, kind), sgd(m), None)
        for kind in ("tensor", "dict", "tuple", "object")
    },
    "dict batches": lambda m: find(Losing(m, "dict"), sgd(m), None, [{"x": x, "y": y} for x, y in BATCHES]),
    "lists": lambda m: find(m, loader=[[x, y] for x, y in BATCHES]),
    "DataLoader": lambda m: find(m, loader=DataLoader(TensorDataset(X, Y), batch_size=32)),
    "halves": lambda m: find(m, loader=list(zip(X.split(16), Y.split(16), strict=True)), accumulate=2),
    "tensor rate": lambda m: find(m, sgd(m, lr=torch.tensor(0.1))),
    "other rate": lambda m: find(m, sgd(m, lr=3e-5)),
    "idle scaler": lambda m: find(m, scaler=torch.amp.GradScaler("cpu", enabled=False)),
    "huge scale": lambda m: find(m, scaler=torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=10**6)),
    "wide clip": lambda m: find(m, clip_norm=1e9),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_the_same_loss_gives_the_same_curves(way):
    found, plain = WAYS[way](net()), find(net())
    assert found.curves.stopped == plain.curves.stopped
    # far beyond the best rate rounding grows: up to there
    upto = int(np.nanargmin(plain.curves.losses[0])) + 1
    assert found.curves.losses[:, :upto] == pytest.approx(plain.curves.losses[:, :upto], rel=2e-3)
    assert found.curves.losses[:, 0] == pytest.approx(plain.curves.losses[:, 0], rel=1e-5)


def test_it_finds_what_trains_and_tells_it():
    done = []
    found = find(
        loader=DataLoader(TensorDataset(X, (X[:, 0] > 0).long()), batch_size=32),
        steps=80,
        repeats=3,
        hold=60,
        progress=lambda *n: done.append(n),
    )
    rate = found.suggestion.decayed.rate
    assert 0.003 < rate < 1
    assert found.suggestion.reliable
    share = float((X[:, 0] > 0).float().mean())
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    assert found.curves.chance == pytest.approx(entropy, rel=1e-3)
    assert found.held.outcome == "lives"
    assert f"{rate:.3g}" in str(found)
    assert [n for n, _ in done] == list(range(1, found.updates + 1))
    assert all(made <= total for made, total in done)
    stored = json.loads(found.to_json(), parse_constant=pytest.fail)
    assert stored["updates"] == found.updates
    assert len(stored["groups"]["all"]["curves"]["losses"]) == 3


def test_bfloat16_and_clipping_work():
    found = find(autocast=torch.bfloat16, clip_norm=1.0)
    assert np.isfinite(found.curves.losses[:, :20]).all()
    assert found.curves.losses[0, 0] == pytest.approx(find().curves.losses[0, 0], rel=0.02)
    assert found.curves.losses[0, 0] != find().curves.losses[0, 0]


def test_groups_keep_their_ratios_or_take_turns():
    model = net()
    groups = [
        {"params": model[0].parameters(), "lr": 0.01, "name": "body"},
        {"params": model[4].parameters(), "name": "head"},
    ]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    seen = []

    def watching(output, target):
        seen.append([group["lr"] for group in optimizer.param_groups])
        return F.cross_entropy(output, target)

    find(model, optimizer, watching)
    assert all(head == pytest.approx(100 * body) for body, head in seen)
    seen.clear()
    found = find(model, optimizer, watching, groups="each")
    assert list(found.groups) == ["body", "head"]
    rates = np.array(seen)
    body = len(rates) - int((rates[:, 0] == 0.01).sum())
    assert (rates[:body, 1] == 1.0).all()
    assert (rates[body:, 0] == 0.01).all()
    assert rates[0, 0] == pytest.approx(found["body"].curves.rates[0])
    assert rates[body, 1] == pytest.approx(found["head"].curves.rates[0])
    assert list(find(model, optimizer, groups="head").groups) == ["head"]
    with pytest.raises(UsageError, match="body, head"):
        _ = found.suggestion
    with pytest.raises(UnknownName, match="did you mean 'head'"):
        find(model, optimizer, groups="haed")
    with pytest.raises(UnknownName, match="neck"):
        _ = found["neck"]


RANKS = """
import sys, datetime, torch, torch.distributed as dist, torch.nn.functional as F
from torch import nn
import calando
rank = int(sys.argv[1])
long = datetime.timedelta(minutes=5)
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2, timeout=long)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
ranks = nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
generator = torch.Generator().manual_seed(rank)
x = torch.randn(160, 6, generator=generator); y = (x[:, 0] > 0).long()
size = 16 if rank else 20  # batches of other sizes, so that they end at other updates
batches = list(zip(x.split(size), y.split(size)))
def loss_fn(output, target):
    # one rank alone sees what is not finite, at a rate where the other does not
    loss = F.cross_entropy(output, target)
    return loss * float("nan") if rank and float(optimizer.param_groups[0]["lr"]) > 0.5 and MODE == "nan" else loss
for MODE in ("plain", "nan"):
    before = [p.detach().clone() for p in model.parameters()]
    found = calando.find_lr(ranks, optimizer, loss_fn, batches, steps=40, repeats=2, hold=5, accumulate=2)
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before))
    print(found.to_json())
"""


def test_two_ranks_agree_on_the_rate_the_stop_and_the_answer(tmp_path):
    both = [
        subprocess.Popen(
            [sys.executable, "-c", RANKS, str(rank), str(tmp_path / "meeting")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=PATIENCE) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    plain, with_nan = (json.loads(line)["groups"]["all"] for line in said[0][0].splitlines())
    assert plain["curves"]["losses"] != with_nan["curves"]["losses"]
    assert with_nan["curves"]["stopped"] == ["not finite", "not finite"]


def hopeless_constant(output, target):
    return 2.3 + 0.05 * torch.randn(()) + 0 * output.sum()


def test_hopeless_inputs_are_abstained_from():
    noise = torch.randint(0, 2, (256,), generator=torch.Generator().manual_seed(1))
    frozen = net()
    for parameter in frozen[:-1].parameters():
        parameter.requires_grad_(False)
    for found in (
        find(loss_fn=hopeless_constant, steps=60),
        find(loss_fn=lambda output, target: 0.7 + 0 * output.sum(), steps=60),
        find(frozen, loader=[(x, noise[torch.randperm(256)[: len(x)]]) for x in torch.randn(200, 32, 6)], steps=60),
    ):
        assert not found.suggestion.reliable
        assert found.suggestion.reasons


class Once(IterableDataset):
    """Gives its samples a single time."""

    def __init__(self) -> None:
        self.left = iter(zip(X, Y, strict=True))

    def __iter__(self):
        return self.left


def bad_at_first(model: nn.Module) -> nn.Module:
    model[0].weight.data[0, 0] = math.nan
    return model


def frozen_all() -> nn.Module:
    return net().requires_grad_(False)


class NeedsLoss(torch.optim.Optimizer):
    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.parameters(), {"lr": 0.1})

    def step(self, loss):
        raise AssertionError("not called")


def groups_of(model: nn.Module, **second) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": model[0].parameters()}, {"params": model[2].parameters(), **second}], lr=0.1)


ERRORS = {
    "no batch at all": lambda: find(loader=[]),
    "no batch when begun again, after 1 times": lambda: find(loader=DataLoader(Once(), batch_size=32)),
    "iterator": lambda: find(loader=iter(BATCHES)),
    "no gradient; it was detached": lambda: find(loss_fn=lambda o, t: F.cross_entropy(o.detach(), t)),
    "no gradient for any parameter of the optimizer": lambda: find(net(), sgd(net(1))),
    "frozen": lambda: find(frozen_all(), sgd(frozen_all())),
    "base rate 0": lambda: find((m := net()), sgd(m, lr=0.0)),
    "group '1' of the optimizer has base rate 0": lambda: find((m := net()), groups_of(m, lr=0.0)),
    "loss is nan": lambda: find(bad_at_first(net())),
    "loss is inf": lambda: find(loss_fn=lambda o, t: F.cross_entropy(o, t) + math.inf),
    "its gradient is not finite": lambda: find(loss_fn=lambda o, t: F.cross_entropy(o, t) + (0 * o.sum()).sqrt()),
    "one number, got shape (32,)": lambda: find(loss_fn=lambda o, t: F.cross_entropy(o, t, reduction="none")),
    "no loss found: got float": lambda: find(loss_fn=lambda o, t: 1.0),
    "no loss found: got dict": lambda: find(loss_fn=lambda o, t: {"lose": o.sum()}),
    "a batch must be (input, target) for loss_fn, got dict": lambda: find(loader=[{"x": X, "y": Y}]),
    "2 groups are called '0'": lambda: find((m := net()), groups_of(m, name="0"), groups="each"),
    "GradScaler": lambda: find((m := net()), torch.optim.LBFGS(m.parameters()), scaler=torch.amp.GradScaler("cpu")),
    "low must be a positive": lambda: find(low=-1.0),
    "high must be at least ten times low": lambda: find(low=1.0, high=2.0),
    "steps must be a whole number from 20": lambda: find(steps=3),
    "repeats must be": lambda: find(repeats=0),
    "hold must be": lambda: find(hold=-1),
    "accumulate must be": lambda: find(accumulate=0),
    "clip_norm must be": lambda: find(clip_norm=0.0),
    "autocast must be": lambda: find(autocast=torch.int8),
    "model must be": lambda: find("resnet8", sgd(net())),
    "optimizer must be": lambda: find(net(), "sgd"),
    "device must be one of torch's, such as 'cpu' or 'cuda:0', got 'gpu'": lambda: find(device="gpu"),
    "device must be one of torch's, such as 'cpu' or 'cuda:0', got 3.5": lambda: find(device=3.5),
    "low must be a positive finite rate, got 'a'": lambda: find(low="a"),
    "groups must be 'all', 'each' or a group's name, got 0": lambda: find(groups=0),
    "clip_norm must be positive and finite, got '1'": lambda: find(clip_norm="1"),
    "loss_fn is the class CrossEntropyLoss; make one of it": lambda: find(loss_fn=nn.CrossEntropyLoss),
    "loss_fn must be a function, called with (output, target), or None": lambda: find(loss_fn="cross_entropy"),
    "forward must be a function, called with (model, batch), or None": lambda: find(forward="x"),
    "progress must be a function": lambda: find(progress="x"),
    "scaler must be a torch.amp.GradScaler or None, got True": lambda: find(scaler=True),
    "the loader must be a DataLoader, a list of batches": lambda: find(loader=None),
    "an object of yours with __iter__, got <function": lambda: find(loader=sgd),
    "NeedsLoss.step needs loss, which a range test does not know": lambda: find((m := net()), NeedsLoss(m)),
    "device='cuda'": lambda: find(device="cuda"),
}


@pytest.mark.parametrize("message", ERRORS)
def test_what_cannot_be_is_said_in_one_line(message):
    with pytest.raises(UsageError) as caught:
        ERRORS[message]()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_in_inference_mode_it_is_refused_and_under_no_grad_it_works():
    with torch.inference_mode(), pytest.raises(UsageError, match="inference mode"):
        find()
    with torch.no_grad():
        assert find().curves.losses == pytest.approx(find().curves.losses, nan_ok=True)


def test_a_scheduler_that_writes_rates_during_updates_is_noticed():
    model = net()
    optimizer = sgd(model)
    optimizer.register_step_pre_hook(lambda mine, *_: mine.param_groups[0].update(lr=0.5))
    with pytest.raises(UsageError, match="something else made it 0.5"):
        find(model, optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_batches_of_any_make_are_moved():
    made = {"a": [torch.zeros(1), ("text", Pair(torch.ones(1), torch.ones(1)))], "b": 3}
    there = moved(made, torch.device("meta"))
    assert there["a"][0].device.type == there["a"][1][1].x.device.type == "meta"
    assert there["a"][1][0] == "text"
    assert there["b"] == 3
    assert type(there["a"][1]) is tuple


def a_run(text: str, steps: int, **changes):
    labels = torch.arange(120) % 3
    images = (
        torch.randint(0, 60, (120, 1, 8, 8), generator=torch.Generator().manual_seed(0))
        + 60 * labels[:, None, None, None]
    )
    workload = calando.workload(
        train=(images.to(torch.uint8), labels),
        test=(images[:30].to(torch.uint8), labels[:30]),
        model="cnn",
        batch_size=16,
    )
    spec, _ = build_run(workload, text, budget=Budget(steps=steps), machine=Machine(device="cpu"))
    changed: WorkloadSpec = spec.workload.model_copy(update=changes)
    return spec.model_copy(update={"workload": changed}), workload


@pytest.mark.parametrize("changes", [{}, {"accumulate": 4, "clip_norm": 1.0}])
def test_on_a_run_of_ours_the_sweep_is_that_run_with_an_exponential_schedule(changes):
    options = SweepOptions(low=1e-4, high=1.0, steps=41, repeats=2, hold=10)
    spec, workload = a_run("adamw(lr=0.5, weight_decay=0.1) | exponential(0.0002, 2)", 40, **changes)
    found = find_for_run(spec, workload, options=options)
    record = execute(spec, workload)
    reached = min(40, int(np.isfinite(found.curves.losses[0]).sum()))
    assert reached > 30
    assert found.curves.rates[:40] == pytest.approx(record.rates, rel=1e-12)
    assert found.curves.losses[0, :reached].astype(np.float32).tolist() == record.losses[:reached].tolist()
    assert found.curves.losses[0, 0] != found.curves.losses[1, 0], "the next repeat has other batches"
    assert found.curves.chance == pytest.approx(math.log(3))


def test_clipping_is_refused_where_the_step_is_read_off_the_gradient():
    net = torch.nn.Linear(2, 2)
    method = METHODS["momo"]
    optimizer = method.build([{"params": list(net.parameters())}], 1.0, method.settle({}))
    batches = [(torch.ones(4, 2), torch.zeros(4, dtype=torch.long))]
    with pytest.raises(UsageError, match="MoMo works its step out from the loss and the gradient's size"):
        calando.find_lr(net, optimizer, torch.nn.functional.cross_entropy, batches, clip_norm=1.0)
