"""Law 9: what is lent comes back bit by bit, on success, on an error anywhere, and on Ctrl-C."""

import copy
import os
import random
import signal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, Sampler, TensorDataset

import calando
from calando.errors import UsageError
from calando.methods import METHODS
from calando.training.restore import restoring

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd, tensor rate": lambda p: torch.optim.SGD(p, lr=torch.tensor(0.1), momentum=0.9),
    "adam, amsgrad": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw, fused": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
    "adam, foreach": lambda p: torch.optim.NAdam(p, lr=0.01, foreach=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.01, max_iter=2, history_size=2),
}
X = torch.randn(48, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


class Net(nn.Module):
    """Counts its calls in an attribute, a list and a buffer that no state_dict has."""

    def __init__(self, *, norm: bool, dropout: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(6, 8),
            nn.BatchNorm1d(8) if norm else nn.Identity(),
            nn.Dropout(0.5 if dropout else 0.0),
            nn.ReLU(),
        )
        self.frozen = nn.BatchNorm1d(8).eval()
        self.head = nn.Linear(8, 2)
        self.head.bias.requires_grad_(False)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64), persistent=False)
        self.count, self.seen = 0, [0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        self.seen.append(self.count)
        self.calls += 1
        return self.head(self.frozen(self.body(x)))


def image(value, seen=None):
    """All there is to a value, with the identity and the memory of what can be changed in place."""
    seen = set() if seen is None else seen
    if isinstance(value, str | int | float | bool | type(None)):
        return repr(value)
    if id(value) in seen:
        return id(value)
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        asks = value.requires_grad if value.is_leaf else None
        grad = image(value.grad, seen) if value.is_leaf else None
        return id(value), value.data_ptr(), value.detach().numpy().tobytes(), value.dtype, value.stride(), asks, grad
    if isinstance(value, torch.Generator):
        return id(value), value.get_state().numpy().tobytes()
    if isinstance(value, np.ndarray):
        return id(value), value.tobytes()
    if isinstance(value, np.random.Generator):
        return id(value), repr(value.bit_generator.state)
    if isinstance(value, dict):
        return id(value), [(id(k) if isinstance(k, torch.Tensor) else k, image(v, seen)) for k, v in value.items()]
    if isinstance(value, list | tuple | set):
        return (id(value) if isinstance(value, list) else None), [image(v, seen) for v in value]
    if isinstance(value, nn.Module | torch.optim.Optimizer | torch.amp.GradScaler | Sampler | DataLoader):
        return id(value), image(vars(value), seen)
    return id(value)


def generators():
    return random.getstate(), repr(np.random.get_state()), torch.get_rng_state().numpy().tobytes()


class Stop(Exception):
    """Somewhere in the middle."""


def lent_things(name: str, *, norm: bool, dropout: bool, scaled: bool, warm: int, grads: bool):
    torch.manual_seed(warm)
    net = Net(norm=norm, dropout=dropout)
    optimizer = OPTIMIZERS[name](net.parameters())
    # bfloat16 needs no scaling, and lets a scaler work on a CPU; a huge scale overflows at first
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127) if scaled and name != "lbfgs" else None
    for _ in range(warm):
        optimizer.zero_grad()

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(X[:16]), Y[:16])
            loss.backward()
            return loss

        optimizer.step(closure)
    if grads:
        nn.functional.cross_entropy(net(X), Y).backward()
    else:
        optimizer.zero_grad()
    order = RandomSampler(range(48), generator=torch.Generator().manual_seed(1))
    loader = DataLoader(TensorDataset(X, Y), batch_size=16, sampler=order, generator=torch.Generator())
    return net, optimizer, scaler, loader


@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(OPTIMIZERS)),
    norm=st.booleans(),
    dropout=st.booleans(),
    scaled=st.booleans(),
    warm=st.integers(0, 2),
    grads=st.booleans(),
    mode=st.booleans(),
    stop=st.integers(1, 60),
    error=st.sampled_from([None, Stop, KeyboardInterrupt]),
    where=st.sampled_from(["loss", "progress", "loader"]),
)
def test_everything_comes_back_whatever_happens(name, norm, dropout, scaled, warm, grads, mode, stop, error, where):
    net, optimizer, scaler, loader = lent_things(
        name, norm=norm, dropout=dropout, scaled=scaled, warm=warm, grads=grads
    )
    net.train(mode)
    net.frozen.eval()
    left = {"loss": stop, "progress": stop, "loader": stop}

    def perhaps_stop(here: str) -> None:
        left[here] -= 1
        if error is not None and here == where and left[here] == 0:
            raise error

    class Data(TensorDataset):
        def __getitem__(self, index):
            perhaps_stop("loader")
            return super().__getitem__(index)

    def loss_fn(output, target):
        # every generator is drawn from
        random.random(), np.random.random(), torch.rand(1)
        perhaps_stop("loss")
        return nn.functional.cross_entropy(output, target)

    loader = DataLoader(Data(X, Y), batch_size=16, sampler=loader.sampler, generator=loader.generator)
    before, drawn = image((net, optimizer, scaler, loader)), generators()
    caught = None
    try:
        calando.find_lr(
            net,
            optimizer,
            loss_fn,
            loader,
            scaler=scaler,
            repeats=2,
            steps=20,
            progress=lambda *_: perhaps_stop("progress"),
        )
    except (Stop, KeyboardInterrupt) as raised:
        caught = type(raised)
    assert caught in ((None,) if error is None else (error, None))
    assert error is None or caught is error or left[where] > 0
    assert image((net, optimizer, scaler, loader)) == before
    assert generators() == drawn


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_every_method_comes_back(method):
    net = Net(norm=True, dropout=True)
    net.body.append(nn.Linear(8, 8))  # muon wants a hidden layer
    options = method.settle({"weight_decay": 0.1} if "weight_decay" in method.options else {})
    optimizer = method.build(method.groups.split(net, options), 0.01, options)
    before = image((net, optimizer))
    found = calando.find_lr(net, optimizer, nn.functional.cross_entropy, [(X, Y)], steps=40, hold=5)
    assert found.curves.stopped
    assert image((net, optimizer)) == before


def train(steps: int, at: int, *, scheduled: str, workers: int = 0) -> list[float]:
    """Losses of a training in whose update `at` a range test is made, from within its own loop over the batches."""
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    net = Net(norm=True, dropout=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    scheduler = None
    if scheduled == "attached":
        attached = calando.attach(optimizer, "linear(0, 1, over=3) >> cosine(1, 0)", total_steps=steps)
    elif scheduled == "torch":
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    elif scheduled == "ours":
        scheduler = calando.LRScheduler(optimizer, "cosine(1, 0)", total_steps=steps)
    loader = DataLoader(
        TensorDataset(X, Y), batch_size=16, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    losses, updates = [], 0
    while updates < steps:
        for x, y in loader:
            if updates == at:
                found = calando.find_lr(net, optimizer, nn.functional.cross_entropy, loader, steps=40, repeats=2)
                assert len(found.curves.losses) == 2
            loss = nn.functional.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            losses.append(loss.item() + np.random.random() + random.random())
            updates += 1
    if scheduled == "attached":
        assert attached.step == updates
    return losses


@pytest.mark.parametrize("scheduled", ["none", "attached", "torch", "ours"])
@settings(max_examples=4)
@given(at=st.integers(0, 9))
def test_a_range_test_in_mid_training_changes_nothing_that_follows(scheduled, at):
    assert train(12, at, scheduled=scheduled) == train(12, -1, scheduled=scheduled)


def test_nor_does_it_where_workers_persist():
    assert train(6, 4, scheduled="none", workers=1) == train(6, -1, scheduled="none", workers=1)


def test_a_position_in_attributes_or_in_a_state_dict_comes_back():
    class Own:
        """Goes on where it was, in an order of its own."""

        def __init__(self) -> None:
            self.at, self.order, self.rng = 1, list(range(3)), np.random.default_rng(0)
            self.parts = {"array": np.arange(9), "tensor": torch.arange(9), "samples": X}

        def __iter__(self):
            for _ in range(3):
                self.at += 1
                self.rng.shuffle(self.order)
                self.rng.shuffle(self.parts["array"])
                self.parts["tensor"] += 1
                chosen = [(i + self.at) % 48 for i in self.order]
                yield X[chosen], Y[chosen]

    class Stateful:
        __slots__ = ("at",)

        def __init__(self) -> None:
            self.at = 5

        def state_dict(self):
            return {"at": self.at}

        def load_state_dict(self, state):
            self.at = state["at"]

        def __iter__(self):
            return self

        def __next__(self):
            self.at += 1
            return X[self.at % 40 :], Y[self.at % 40 :]

    own, stateful, net = Own(), Stateful(), nn.Linear(6, 2)
    for loader in (own, stateful):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        before = image((vars(own), stateful.at))
        calando.find_lr(net, optimizer, nn.functional.cross_entropy, loader, steps=20, repeats=1)
        assert image((vars(own), stateful.at)) == before


def test_memory_that_is_shared_or_was_replaced_comes_back_as_it_was():
    flat = torch.arange(6.0)
    first, second = nn.Parameter(flat[:3]), nn.Parameter(flat[3:])
    holder = nn.ParameterList([first, second])
    extra = torch.zeros(2, 3).t()
    holder.register_buffer("wide", torch.zeros(1).expand(4))
    holder.register_buffer("turned", extra)
    places = [t.data_ptr() for t in (first, second, holder.wide, extra)]
    with restoring(holder):
        first.data = torch.full((7,), 9.0)
        flat += 1
        extra += 1
        second.grad = torch.ones(3)
        del holder.turned
    assert flat.tolist() == [0, 1, 2, 3, 4, 5]
    assert first.tolist() == [0, 1, 2]
    assert second.grad is None
    assert holder.turned is extra
    assert not extra.any()
    assert [t.data_ptr() for t in (first, second, holder.wide, extra)] == places


def test_gradients_come_back_the_same_tensors_with_the_same_bits():
    layer = nn.Linear(2, 1)
    layer.weight.grad = torch.tensor([[float("nan"), -0.0]])
    held, bits = layer.weight.grad, layer.weight.grad.numpy().tobytes()
    layer.bias.requires_grad_(False)
    with restoring(layer):
        layer.weight.grad += 1
        layer.weight.grad = None
        layer.weight.requires_grad_(False)
        layer.bias.requires_grad_(True)
    assert [p.requires_grad for p in (layer.weight, layer.bias)] == [True, False]
    assert layer.weight.grad is held
    assert held.numpy().tobytes() == bits


@pytest.fixture
def interruptible():
    """A shell that started the tests in the background may have told them to ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_second_interrupt_waits_until_all_is_put_back():
    class Slow(nn.Module):
        """Interrupted while it is put back: its dict is the last thing that is."""

        def __init__(self) -> None:
            super().__init__()
            self.entries = Interrupting(a=1)
            self.last = [0]

    class Interrupting(dict):
        def update(self, *args) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            super().update(*args)

    slow = Slow()
    with pytest.raises(KeyboardInterrupt), restoring(slow):
        slow.entries["b"] = slow.last.append(1)
    assert slow.entries == {"a": 1}
    assert slow.last == [0]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_objects_can_be_put_back_in_between_as_often_as_wanted():
    layer = nn.Linear(2, 1)
    first = copy.deepcopy(layer.state_dict())
    torch.manual_seed(0)
    with restoring(layer) as start_again:
        drawn = []
        for _ in range(3):
            layer.weight.data.normal_()
            drawn.append(layer.weight.tolist())
            start_again()
            assert torch.equal(layer.weight, first["weight"])
        assert drawn[0] != drawn[1] != drawn[2], "generators go on"


def test_what_cannot_come_back_is_refused():
    net = nn.Linear(6, 2)
    with pytest.raises(UsageError, match="iterator"), restoring(net, source=iter([1])):
        pass
    with pytest.raises(UsageError, match="lazy"), restoring(nn.LazyLinear(2)):
        pass


def test_a_method_that_steps_with_a_closure_refuses_a_scaler():
    net = Net(norm=True, dropout=False)
    method = METHODS["sam"]
    options = method.settle({})
    optimizer = method.build(method.groups.split(net, options), 0.01, options)
    with pytest.raises(UsageError, match="SAM steps with a closure, which a GradScaler cannot follow"):
        calando.find_lr(
            net, optimizer, nn.functional.cross_entropy, [(X, Y)], scaler=torch.amp.GradScaler("cpu"), steps=40
        )
