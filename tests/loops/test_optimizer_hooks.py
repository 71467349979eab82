"""One outer step is one update, whatever was built elsewhere; a step that only initialises an optimizer is none."""

import contextlib

import pytest
import torch
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    get_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import SGD, Adam, AdamW

import calando
from calando.errors import UsageError
from calando.methods.method import METHODS

for build in (SGD, Adam, AdamW):  # as any program: torch wraps the `step` of each class when one is built first
    build([torch.nn.Parameter(torch.ones(1))])


class Override(AdamW):
    def step(self, closure=None):
        return super().step(closure)


class OverrideAgain(Override):
    def step(self, closure=None):
        return super().step(closure)


class Retries(AdamW):
    """Its step may call the parent's twice; one of them may fail."""

    def step(self, closure=None):
        try:
            return super().step(closure)
        except ArithmeticError:
            return super().step()


class Shrugs(AdamW):
    def step(self, closure=None):
        with contextlib.suppress(ArithmeticError):
            super().step(closure)


class TwiceAtOnce(AdamW):
    def step(self, closure=None):
        super().step(closure)
        return super().step()


class Around(torch.optim.Optimizer):
    """Wraps another optimizer, and shares its groups, as Lookahead does."""

    def __init__(self, inner):
        self.inner = inner
        super().__init__(inner.param_groups, {})
        self.param_groups = inner.param_groups

    def step(self, closure=None):
        return self.inner.step(closure)


def parameter():
    return torch.nn.Parameter(torch.ones(2))


def give_gradients(optimizer, value=1.0):
    for group in optimizer.param_groups:
        for each in group["params"]:
            each.grad = torch.full_like(each, value)


def fail():
    raise ArithmeticError("a loss that is none")


@pytest.mark.parametrize("build", [AdamW, Override, OverrideAgain, Retries, Shrugs, TwiceAtOnce])
def test_one_outer_step_is_one_update(build):
    optimizer = build([parameter()], lr=0.1)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    seen = []
    optimizer.register_step_post_hook(lambda o, *_: seen.append(o.param_groups[0]["lr"]))
    for made in range(5):
        assert attached.step == made
        give_gradients(optimizer)
        optimizer.step()
        assert attached.get_last_lr() == [0.1 * (1 - made / 10)]
    assert set(seen) == {0.1 * (1 - made / 10) for made in range(5)}


@pytest.mark.parametrize("build", [AdamW, Override, OverrideAgain, TwiceAtOnce])
@pytest.mark.parametrize("nested", [False, True], ids=["after the failure", "while it is handled"])
def test_a_step_that_fails_is_none_and_those_after_it_count(build, nested):
    optimizer = build([parameter()], lr=0.1)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    for _ in range(3):
        give_gradients(optimizer)
        try:
            optimizer.step(fail)
        except ArithmeticError:
            if nested:
                optimizer.step()
        if not nested:
            optimizer.step()
    assert attached.step == 3


@pytest.mark.parametrize("build", [Retries, Shrugs])
def test_a_failure_that_a_step_handles_itself_leaves_one_update(build):
    optimizer = build([parameter()], lr=0.1)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    for made in range(1, 4):
        give_gradients(optimizer)
        optimizer.step(fail)
        assert attached.step == made


def test_a_closure_may_step_another_optimizer_and_each_counts_its_own():
    outer, inner = Override([parameter()], lr=0.1), Override([parameter()], lr=0.1)
    followed = [calando.attach(each, "linear(1, 0)", total_steps=10) for each in (outer, inner)]

    def closure():
        for _ in range(2):
            give_gradients(inner)
            inner.step()
        give_gradients(outer)
        return torch.zeros(())

    for _ in range(3):
        outer.step(closure)
    assert [each.step for each in followed] == [3, 6]


@pytest.mark.parametrize("which", ["inner", "outer"])
def test_a_wrapper_and_what_it_wraps_count_the_same(which):
    inner = Override([parameter()], lr=0.1)
    outer = Around(inner)
    attached = calando.attach(inner if which == "inner" else outer, "linear(1, 0)", total_steps=10)
    for _ in range(4):
        give_gradients(inner)
        outer.step()
    assert (attached.step, attached.get_last_lr()) == (4, [0.1 * 0.7])


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # of torch, when it first compiles
def test_a_compiled_override_counts_once():
    optimizer = Override([parameter()], lr=torch.tensor(0.1, dtype=torch.float64))
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    step = torch.compile(lambda: optimizer.step(), backend="eager")
    for made in range(1, 4):
        give_gradients(optimizer)
        step()
        assert attached.step == made


def net_of(seed=0):
    torch.manual_seed(seed)
    layers = torch.nn.Conv2d(1, 3, 2), torch.nn.Conv2d(3, 3, 2), torch.nn.Flatten(), torch.nn.Linear(12, 2)
    return torch.nn.Sequential(*layers)


def bits(network):
    return [each.detach().clone() for each in network.parameters()]


def same(one, other):
    return all(torch.equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def by_hand(network, optimizer):
    """As own scripts make an optimizer's state; torch.distributed.checkpoint does it so."""
    rates = [group["lr"] for group in optimizer.param_groups]
    give_gradients(optimizer, 0.0)
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(0.0) if isinstance(group["lr"], torch.Tensor) else 0.0
    optimizer.step()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    optimizer.zero_grad()


INITIALISING = {
    "get_optimizer_state_dict": get_optimizer_state_dict,
    "get_state_dict": get_state_dict,
    "flattened": lambda network, optimizer: get_optimizer_state_dict(
        network, optimizer, options=StateDictOptions(flatten_optimizer_state_dict=True)
    ),
    "by hand": by_hand,
}

BUILD = {
    "sgd": lambda p: SGD(p, lr=0.1, weight_decay=0.5),
    "momentum, tensor rate": lambda p: SGD(p, lr=torch.tensor(0.1), momentum=0.9, weight_decay=0.5),
    "adamw": lambda p: AdamW(p, lr=0.1, weight_decay=0.5),
    "override": lambda p: Override(p, lr=torch.tensor(0.1), weight_decay=0.5),
}


@pytest.mark.parametrize("initialise", INITIALISING.values(), ids=INITIALISING)
@pytest.mark.parametrize("build", BUILD.values(), ids=BUILD)
@pytest.mark.parametrize("kind", [calando.attach, calando.LRScheduler])
@pytest.mark.parametrize("text", ["linear(1, 0)", "linear(0.1, 1)"])
def test_a_step_that_initialises_moves_and_counts_nothing(initialise, build, kind, text):
    network = net_of()
    optimizer = build(network.parameters())
    follower = kind(optimizer, text, total_steps=10)
    seen, rates, before = [], follower.get_last_lr(), bits(network)
    optimizer.register_step_post_hook(lambda o, *_: seen.append(float(o.param_groups[0]["lr"])))
    initialise(network, optimizer)
    assert set(seen) == {0.0}
    assert same(bits(network), before)
    assert (follower.state_dict()["last_epoch"], follower.get_last_lr()) == (0, rates)
    give_gradients(optimizer)
    optimizer.step()
    assert seen[-1] == rates[0]
    assert follower.state_dict()["last_epoch"] == (kind is calando.attach)


@pytest.mark.parametrize("kind", [calando.attach, calando.LRScheduler])
def test_where_the_schedule_is_at_0_the_checkpoint_is_still_known(kind):
    network = net_of()
    optimizer = AdamW(network.parameters(), lr=0.1)
    follower = kind(optimizer, "linear(0, 1)", total_steps=10)
    get_optimizer_state_dict(network, optimizer)
    assert (follower.state_dict()["last_epoch"], follower.get_last_lr()) == (0, [0.0])


def test_an_update_at_rate_0_counts():
    optimizer = SGD([parameter()], lr=0.1)
    attached = calando.attach(optimizer, "linear(0, 1)", total_steps=10)
    for value in (0.0, 1.0):  # a network whose gradients are 0 makes updates as well
        give_gradients(optimizer, value)
        optimizer.step()
    assert attached.step == 2


@pytest.mark.parametrize("build", BUILD.values(), ids=BUILD)
def test_a_state_of_a_distributed_checkpoint_is_loaded_into_a_fresh_optimizer(build):
    network = net_of()
    optimizer = build(network.parameters())
    first = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    for _ in range(3):
        give_gradients(optimizer)
        optimizer.step()
    state, place = get_optimizer_state_dict(network, optimizer), first.state_dict()
    optimizer.zero_grad()
    fresh = build(network.parameters())
    attached = calando.attach(fresh, "linear(1, 0)", total_steps=10)
    before = bits(network)
    set_optimizer_state_dict(network, fresh, state)
    attached.load_state_dict(place)
    assert same(bits(network), before)
    assert attached.step == 3
    give_gradients(fresh)
    fresh.step()
    assert attached.get_last_lr() == [pytest.approx(0.07)]


SCRIPTS = [f"{name}()" for name in METHODS]
AVERAGED = ["sgd(weight_decay=0.1) | ema(decay=0.9)", "sam() | linear(1, 0) | ema(decay=0.9)"]


@pytest.mark.parametrize("text", [*SCRIPTS, *AVERAGED])
def test_what_follows_a_strategy_is_initialised_without_moving(text):
    network = net_of()
    training = calando.follow(network, text, lr=0.1, total_steps=10)
    before, rates = bits(network), training.get_last_lr()
    get_optimizer_state_dict(network, training.optimizer)
    assert same(bits(network), before)
    assert (training.step, training.get_last_lr(), training.done) == (0, rates, False)
    assert training._session.average is None or training._session.average.count == 0

    def closure():
        training.optimizer.zero_grad()
        loss = network(torch.ones(2, 1, 4, 4)).square().mean()
        loss.backward()
        return loss

    closure()
    training.optimizer.step(closure)
    assert training.step == 1
    assert all(each.isfinite().all() for each in network.parameters())


def test_hooks_that_are_never_run_are_refused():
    class Proxy(torch.optim.Optimizer):
        """A wrapper that leaves out the base class's set-up, as Accelerate's does."""

        def __init__(self, inner):
            self.inner = inner

        @property
        def param_groups(self):
            return self.inner.param_groups

        def step(self, closure=None):
            return self.inner.step(closure)

    inner = SGD([parameter()], lr=0.1)
    before = dict(inner.param_groups[0])
    with pytest.raises(UsageError, match="Proxy does not run the hooks of torch's optimizers: attach the optimizer"):
        calando.attach(Proxy(inner), "linear(0.5, 0)", total_steps=10)
    assert inner.param_groups[0] == before
