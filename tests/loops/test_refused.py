"""A refusal leaves nothing behind: neither a value in a group, nor a hook, nor a mark on the optimizer."""

import copy

import pytest
import torch
from tests.loops.torch_training import groups

import calando
from calando.errors import UsageError

KINDS = [calando.attach, calando.LRScheduler]


def left(optimizer):
    """All that following could leave, values that are tensors by themselves and by what they hold."""

    def kept(value):
        return (id(value), value.detach().clone().tolist()) if isinstance(value, torch.Tensor) else value

    hooks = [dict(held) for name, held in sorted(vars(optimizer).items()) if name.endswith("_hooks")]
    values = [{key: kept(value) for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    return values, hooks, sorted(set(vars(optimizer)))


def plain():
    return torch.optim.SGD(groups(0.1, 0.2), momentum=0.9)


def one_tensor_for_all():
    rate = torch.tensor(0.1)
    return torch.optim.SGD([{"params": group["params"]} for group in groups(1, 1)], lr=rate)


def second_without_momentum():
    optimizer = plain()
    del optimizer.param_groups[1]["momentum"]
    return optimizer


def second_with_two_rates():
    optimizer = plain()
    optimizer.param_groups[1]["lr"] = torch.tensor([0.1, 0.2])
    return optimizer


def second_with_a_text():
    optimizer = plain()
    optimizer.param_groups[1]["lr"] = "0.1"
    return optimizer


REFUSED = {
    "no schedule": (plain, "cosin(1, 0)", {}),
    "does not fit": (plain, "linear(1, 0, over='99 steps')", {}),
    "needs epochs": (plain, "linear(1, 0, over='1 epoch')", {}),
    "no such group": (plain, "per_group({'0': 1, '7': 1}, others=1)", {}),
    "a group left out": (one_tensor_for_all, "per_group({'0': 1})", {}),
    "no such hyper-parameter": (one_tensor_for_all, "linear(1, 0)", {"hyper_parameters": {"mom": "linear(1, 0)"}}),
    "second group lacks it": (
        second_without_momentum,
        "linear(1, 0)",
        {"hyper_parameters": {"momentum": "constant(1)"}},
    ),
    "two rates": (second_with_two_rates, "linear(1, 0)", {}),
    "a text": (second_with_a_text, "linear(1, 0)", {}),
    "no horizon": (plain, "linear(1, 0)", {"total_steps": 0}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("build", "text", "options"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_leaves_the_optimizer_as_it_was(kind, build, text, options):
    optimizer = build()
    before = left(optimizer)
    with pytest.raises(UsageError):
        kind(optimizer, text, **{"total_steps": 10, **options})
    assert left(optimizer) == before
    good = plain()
    kind(good, "linear(1, 0)", total_steps=10)  # nothing is in the way of another


def wrapped_by_accelerate(inner):
    from accelerate import Accelerator

    return Accelerator(cpu=True).prepare(inner)


def wrapped_by_lightning(inner):
    from pytorch_lightning.core.optimizer import LightningOptimizer

    return LightningOptimizer(inner)


@pytest.mark.parametrize("wrap", [wrapped_by_accelerate, wrapped_by_lightning], ids=lambda wrap: wrap.__name__)
def test_a_wrapper_that_runs_no_hooks_is_refused_in_a_line(wrap):
    inner = plain()
    wrapper = wrap(inner)
    before = left(inner)
    with pytest.raises(UsageError, match=r"^\w+ does not run the hooks.* attach the optimizer within, before") as one:
        calando.attach(wrapper, "linear(0.5, 0)", total_steps=10)
    assert "\n" not in str(one.value)
    assert left(inner) == before
    attached = calando.attach(inner, "linear(0.5, 0)", total_steps=10)  # as the message says
    for group in inner.param_groups:
        group["params"][0].grad = torch.ones(2)
    inner.step()
    assert attached.step == 1


def pytorch_optimizers(name, inner):
    import pytorch_optimizer

    return getattr(pytorch_optimizer, name)(inner)


WRAPPERS = ["Lookahead", "ScheduleFreeWrapper", "OrthoGrad", "PCGrad"]


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_that_runs_hooks_is_followed_and_its_state_resumes_it(name):
    def built():
        wrapper = pytorch_optimizers(name, plain())
        attached = calando.attach(wrapper, "linear(1, 0)", total_steps=10)
        getattr(wrapper, "train", lambda: None)()
        return wrapper, attached

    def update(wrapper):
        for group in wrapper.param_groups:
            group["params"][0].grad = torch.ones(2)
        wrapper.step()

    wrapper, attached = built()
    for _ in range(4):
        update(wrapper)
    assert (attached.step, wrapper.optimizer.param_groups[0]["lr"]) == (4, 0.1 * 0.7)
    saved = copy.deepcopy(wrapper.state_dict())
    again, resumed = built()
    again.load_state_dict(saved)
    update(again)
    assert (resumed.step, again.optimizer.param_groups[0]["lr"]) == (5, 0.1 * 0.6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WRAPPERS)
def test_what_drives_a_wrapper_or_what_it_wraps_is_the_one_writer(name, kind):
    inner = plain()
    wrapper = pytorch_optimizers(name, inner)
    attached = calando.attach(wrapper, "linear(1, 0)", total_steps=10)
    for one in (wrapper, inner):
        with pytest.raises(UsageError, match="follows attached schedules already"):
            kind(one, "linear(1, 0)", total_steps=10)
    attached.detach()
    attached = calando.attach(inner, "linear(1, 0)", total_steps=10)
    with pytest.raises(UsageError, match="follows attached schedules already"):
        kind(wrapper, "linear(1, 0)", total_steps=10)
    attached.detach()
    kind(wrapper, "linear(1, 0)", total_steps=10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("thing", [torch.nn.Linear(1, 1), None, "sgd", [torch.nn.Parameter(torch.ones(1))]])
def test_what_is_no_optimizer_is_refused(kind, thing):
    with pytest.raises(UsageError, match=f"needs a torch optimizer, got {type(thing).__name__}"):
        kind(thing, "linear(1, 0)", total_steps=10)


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimizer_without_groups_is_refused(kind):
    optimizer = plain()
    optimizer.param_groups.clear()
    with pytest.raises(UsageError, match="no parameter group to schedule"):
        kind(optimizer, "linear(1, 0)", total_steps=10)


@pytest.mark.parametrize("text", ["nosuch(lr=1)", "sgd(lr=0.1) | edge(sigma=3)", "sgd() | linear(1, 0)", "sgd(lr=-1)"])
def test_a_refused_strategy_leaves_the_network_as_it_was(text):
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    attributes = [dict(vars(module)) for module in network.modules()]
    with pytest.raises(UsageError):
        calando.follow(network, text, total_steps=10)
    assert [dict(vars(module)) for module in network.modules()] == attributes
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


BROKEN = [
    {"last_epoch": "soon"}, {"last_epoch": 2.7}, {"last_epoch": -5}, {"last_epoch": None},
    {"base_lrs": ["a", "b"]}, {"base_lrs": None}, {"base_lrs": 0.1}, {"base_lrs": [float("nan"), 0.1]},
    {"total_steps": 0}, {"total_steps": "x"}, {"schedule": 3}, {"hyper_parameters": None}, {"base_values": [1, 2]},
    {"base_values": {"momentum": [0.9, 0.9]}}, {"shares": [1.0]}, {"shares": 1.0}, {"group_names": ["a"]},
    {"last_lr": [0.1]}, {"last_lr": ["a", 0.1]},
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_state_changes_nothing(kind, broken):
    optimizer = plain()
    follower = kind(optimizer, "linear(1, 0)", total_steps=10)
    other = plain()
    state = kind(other, "linear(1, 0)", total_steps=20).state_dict()
    before = left(optimizer), follower.state_dict()
    with pytest.raises(UsageError):
        follower.load_state_dict({**state, **broken})
    assert (left(optimizer), follower.state_dict()) == before


@pytest.mark.parametrize("state", [None, [], 3, "last_epoch", {}])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_state_is_refused(kind, state):
    optimizer = plain()
    follower = kind(optimizer, "linear(1, 0)", total_steps=10)
    with pytest.raises(UsageError, match="state"):
        follower.load_state_dict(state)


def test_an_entry_of_something_else_is_refused_before_anything_is_loaded():
    optimizer = plain()
    calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    before = left(optimizer)
    with pytest.raises(UsageError, match="state"):
        optimizer.load_state_dict({**plain().state_dict(), "calando": 5})
    assert left(optimizer) == before


@pytest.mark.parametrize(
    "rates", [None, 0.1, ["a", "b"], [0.1], [float("nan"), 0.1], [-1, 0.1], [0.1, [0.2]]], ids=repr
)
@pytest.mark.parametrize("kind", KINDS)
def test_base_rates_that_are_none_are_refused_and_change_nothing(kind, rates):
    optimizer = plain()
    follower = kind(optimizer, "linear(1, 0)", total_steps=10)
    before = left(optimizer)
    with pytest.raises(UsageError, match="base"):
        follower.base_lrs = rates
    assert (left(optimizer), follower.base_lrs) == (before, [0.1, 0.2])


@pytest.mark.parametrize("given", [["momentum"], "momentum", 1, {"momentum": 0.9}, {1: "linear(1, 0)"}], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_hyper_parameters_of_other_types_are_refused(kind, given):
    optimizer = plain()
    before = left(optimizer)
    with pytest.raises(UsageError):
        kind(optimizer, "linear(1, 0)", total_steps=10, hyper_parameters=given)
    assert left(optimizer) == before


@pytest.mark.parametrize("kept", [None, "x", torch.ones(2)], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_a_base_value_that_is_none_is_refused(kind, kept):
    optimizer = plain()
    optimizer.param_groups[1]["initial_lr"] = kept
    with pytest.raises(UsageError, match="group 1 of the optimizer has initial_lr=.* delete it from there"):
        kind(optimizer, "linear(1, 0)", total_steps=10)
    del optimizer.param_groups[1]["initial_lr"]  # as the message says
    kind(optimizer, "linear(1, 0)", total_steps=10)
