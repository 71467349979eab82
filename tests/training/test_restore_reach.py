"""What a loss function or `forward` reaches comes back bit by bit, wherever it stands; or the call is refused."""

import collections
import functools
import itertools
import sys
import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import calando
from calando.errors import UsageError
from calando.training.restore import restoring

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
BATCHES = list(zip(X.split(16), (X[:, 0] > 0).long().split(16), strict=True))


def head() -> nn.Module:
    return nn.Linear(2, 2)


HEAD, MEAN = head(), torch.zeros(2)


def step(model, batch, inner, mean):
    """A loss that trains a second network and keeps a mean: what a careless `forward` does."""
    hidden = model(batch[0])
    with torch.no_grad():
        inner.weight.add_(0.1)
        inner.running = getattr(inner, "running", 0) + 1
        mean.mul_(0.9).add_(hidden.mean(0))
    return F.cross_entropy(inner(hidden), batch[1])


def of_globals(model, batch):
    return step(model, batch, HEAD, MEAN)


def that_calls_another(model, batch):
    return of_globals(model, batch)


def rebinding_a_global(model, batch):
    global MEAN
    MEAN = MEAN * 0.9 + model(batch[0]).detach().mean(0)
    return F.cross_entropy(model(batch[0]), batch[1])


class Callable:
    def __init__(self, inner, mean):
        self.inner, self.kept = inner, {"mean": mean, "calls": 0}

    def __call__(self, model, batch):
        self.kept["calls"] += 1
        return step(model, batch, self.inner, self.kept["mean"])

    def method(self, model, batch):
        return self._deeper(model, batch)

    def _deeper(self, model, batch):
        return self(model, batch)


class Slotted:
    __slots__ = ("__mean", "inner")

    def __init__(self, inner, mean):
        self.inner, self.__mean = inner, mean

    def __call__(self, model, batch):
        loss = step(model, batch, self.inner, self.__mean)
        self.__mean = self.__mean + 1
        return loss

    def mean(self):
        return self.__mean


class OfItsClass:
    inner, mean = head(), torch.zeros(2)

    @classmethod
    def loss(cls, model, batch):
        loss = step(model, batch, cls.inner, cls.mean)
        cls.mean = cls.mean + 1
        return loss


class Hidden(nn.Module):
    """A module with state in a plain object, which `state_dict` does not know."""

    def __init__(self, inner, mean):
        super().__init__()
        self.helper = types.SimpleNamespace(inner=inner, mean=mean)

    def forward(self, model, batch):
        return step(model, batch, self.helper.inner, self.helper.mean)


def closure(inner, mean):
    def forward(model, batch):
        nonlocal mean
        loss = step(model, batch, inner, mean)
        mean = mean + 1
        return loss

    return forward, lambda: mean


def bank(inner, mean):
    kept = collections.deque([mean], maxlen=4)

    def forward(model, batch):
        loss = step(model, batch, inner, kept[-1])
        kept.append(kept[-1] + 1)
        return loss

    return forward, lambda: torch.stack(list(kept))


def trained(inner, mean):
    """With an optimizer of its own for the second network."""
    own = torch.optim.Adam(inner.parameters(), lr=0.1)

    def forward(model, batch):
        own.step()
        own.param_groups[0]["lr"] *= 0.9
        return step(model, batch, inner, mean)

    return forward, lambda: torch.tensor([own.param_groups[0]["lr"], len(own.state)])


def with_default(inner, mean):
    def forward(model, batch, *, kept=mean, inner=inner):
        return step(model, batch, inner, kept)

    return forward, lambda: mean


def with_attribute(inner, mean):
    def forward(model, batch):
        return step(model, batch, forward.inner, forward.mean)

    forward.inner, forward.mean = inner, mean
    return forward, lambda: forward.mean


def in_a_module(inner, mean):
    there = types.ModuleType("somewhere_of_the_user")
    there.inner, there.mean = inner, mean
    sys.modules[there.__name__] = there
    namespace = {"there": there, "step": step}
    exec("def forward(model, batch):\n    return step(model, batch, there.inner, there.mean)", namespace)
    return namespace["forward"], lambda: there.mean


def decorated(inner, mean):
    forward, read = closure(inner, mean)
    return torch.enable_grad()(functools.wraps(forward)(lambda *args: forward(*args))), read


def object_of(kind, use=lambda one: one):
    def make(inner, mean):
        return use(kind(inner, mean)), lambda: mean

    return make


def slotted(inner, mean):
    one = Slotted(inner, mean)
    return one, one.mean


REACHED = {
    "cells": closure,
    "deque": bank,
    "optimizer": trained,
    "defaults": with_default,
    "attributes of the function": with_attribute,
    "a module": in_a_module,
    "decorated": decorated,
    "callable object": object_of(Callable),
    "bound method": object_of(Callable, lambda one: one.method),
    "slots": slotted,
    "plain object of a network": object_of(Hidden),
    "method of a network": object_of(Hidden, lambda one: one.forward),
    "partial": lambda inner, mean: (functools.partial(step, inner=inner, mean=mean), lambda: mean),
    "method in a partial": object_of(Callable, lambda one: functools.partial(one.method)),
    "lambda in a dict": lambda inner, mean: (
        (lambda kept: lambda m, b: kept["f"](m, b))({"f": lambda m, b: step(m, b, inner, mean)}),
        lambda: mean,
    ),
}


def bits(inner, read):
    state = {name: value.clone() for name, value in inner.state_dict().items()}
    return state | {"read": read().clone(), "attributes": torch.tensor(len(vars(inner)))}


@pytest.mark.parametrize("way", REACHED)
@pytest.mark.parametrize("place", ["forward", "loss_fn"])
def test_what_is_reached_comes_back_bit_by_bit(way, place):
    torch.manual_seed(0)
    inner, mean, model = head(), torch.zeros(2), nn.Linear(4, 2)
    forward, read = REACHED[way](inner, mean)
    before, grad = bits(inner, read), inner.weight.grad
    given = {"loss_fn": None, "forward": forward}
    if (
        place == "loss_fn"
    ):  # called with (output, target): the network's output stands for a batch that was gone through
        given = {"loss_fn": lambda output, target: forward(lambda x: x, (output, target)), "forward": None}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    calando.find_lr(model, optimizer, loader=BATCHES, steps=20, repeats=2, **given)
    after = bits(inner, read)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert inner.weight.grad is grad
    if way == "optimizer":
        assert float(after["read"][1]) == 0


@pytest.mark.parametrize("forward", [of_globals, that_calls_another, rebinding_a_global, OfItsClass.loss])
def test_globals_and_class_attributes_come_back_too(forward):
    model = nn.Linear(4, 2)
    inner = OfItsClass.inner if forward == OfItsClass.loss else HEAD
    held = lambda: OfItsClass.mean if forward == OfItsClass.loss else MEAN  # noqa: E731
    before, name = bits(inner, held), held()
    calando.find_lr(model, torch.optim.SGD(model.parameters(), lr=0.1), None, BATCHES, forward=forward, steps=20)
    after = bits(inner, held)
    assert held() is name
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_each_repeat_begins_from_what_was_reached():
    """Otherwise the second sweep would see what the first had done to it."""
    model, count = nn.Linear(4, 2), torch.zeros(())
    starts = []

    def forward(model, batch):
        starts.append(float(count))
        count.add_(1)
        return F.cross_entropy(model(batch[0]), batch[1])

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = calando.find_lr(model, optimizer, None, BATCHES, forward=forward, steps=20, repeats=3)
    assert starts.count(0.0) >= 3
    assert len(starts) >= found.updates, "a list of what happened is the user's, and stays"
    assert float(count) == 0


def made_by_the_first_call():
    kept, mean = {}, None

    class Lazy:
        mean = None

        def __call__(self, model, batch):
            nonlocal mean
            global MADE
            hidden = model(batch[0]).detach()
            mean = hidden if mean is None else mean + hidden.mean()
            self.mean = mean
            self.new = mean
            kept["mean"] = mean
            MADE = mean
            Lazy.__call__.mean = mean
            return model(batch[0]).sum()

    lazy = Lazy()
    return lazy, lambda: (kept, mean, lazy.mean, vars(lazy), vars(Lazy.__call__), "MADE" in globals())


def test_what_the_first_call_makes_goes_again():
    lazy, read = made_by_the_first_call()
    model = nn.Linear(4, 2)
    calando.find_lr(model, torch.optim.SGD(model.parameters(), lr=0.1), None, BATCHES, forward=lazy, steps=20)
    assert read() == ({}, None, None, {}, {}, False)


def fed(batches):
    def forward(model, batch):
        x, y = next(batches)
        return F.cross_entropy(model(x), y)

    return forward


class Feeding:
    def __init__(self):
        self.batches = iter(BATCHES)

    def forward(self, model, batch):
        x, y = next(self.batches)
        return F.cross_entropy(model(x), y)


@pytest.mark.parametrize(
    "forward",
    [fed(itertools.cycle(BATCHES)), fed(b for b in BATCHES), Feeding().forward],
    ids=["cell", "generator", "attribute"],
)
def test_an_iterator_is_refused_by_name(forward):
    model = nn.Linear(4, 2)
    with pytest.raises(
        UsageError, match=r"forward reaches 'batches', an iterator \(.*whose place cannot be put back"
    ) as caught:
        calando.find_lr(model, torch.optim.SGD(model.parameters(), lr=0.1), None, BATCHES, forward=forward, steps=20)
    assert "\n" not in str(caught.value)


def test_what_runs_by_itself_and_records_are_left_alone(tmp_path):
    import logging
    import threading

    lock, log, seen = threading.Lock(), (tmp_path / "log").open("w"), []
    logger = logging.getLogger("calando-test")

    def forward(model, batch):
        with lock:
            log.write("x")
            logger.debug("x")
            seen.append(1)
        return model(batch[0]).sum()

    with log, restoring(nn.Linear(4, 2), reached=(forward,)):
        forward(nn.Linear(4, 2), BATCHES[0])
    assert seen == [1]
