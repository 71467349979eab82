"""Groups are known by themselves: added, removed, moved, replaced and loaded, each keeps its base rate and its name."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.loops.torch_training import groups

import calando
from calando.errors import UsageError

KINDS = [calando.attach, calando.LRScheduler]
TOTAL = 10


def optimizer_of(*rates: float, **options) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups(*rates), **options)


class Training:
    """A loop with either, that notes the rates of each update."""

    def __init__(self, kind, optimizer, text="linear(1, 0)", **options):
        self.kind, self.optimizer = kind, optimizer
        self.follower = kind(optimizer, text, total_steps=TOTAL, **options)
        self.used = []
        optimizer.register_step_post_hook(lambda o, *_: self.used.append([float(g["lr"]) for g in o.param_groups]))

    def update(self, times=1):
        for _ in range(times):
            for group in self.optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = torch.ones_like(parameter)
            self.optimizer.step()
            if self.kind is calando.LRScheduler:
                self.follower.step()
        return self.used[-1] if self.used else None


def new(rate):
    return groups(rate)[0]


def delete_and_add(optimizer):
    del optimizer.param_groups[1]
    optimizer.add_param_group(new(1.0))
    return [0.1, 1.0]


def clear_and_add(optimizer):
    optimizer.param_groups.clear()
    for rate in (3.0, 4.0):
        optimizer.add_param_group(new(rate))
    return [3.0, 4.0]


def assign_a_list(optimizer):
    optimizer.param_groups = [{**optimizer.defaults, **new(5.0)}, optimizer.param_groups[0]]
    return [5.0, 0.1]


def assign_copies(optimizer):
    optimizer.param_groups = [dict(group) for group in optimizer.param_groups]
    return [0.1, 0.2]


def replace_by_copies_in_place(optimizer):
    optimizer.param_groups[:] = [dict(group) for group in optimizer.param_groups]
    return [0.1, 0.2]


def replace_one_by_a_copy(optimizer):
    optimizer.param_groups[1] = dict(optimizer.param_groups[1])
    return [0.1, 0.2]


def put_one_in_front(optimizer):
    optimizer.add_param_group(new(6.0))
    optimizer.param_groups.insert(0, optimizer.param_groups.pop())
    return [6.0, 0.1, 0.2]


def swap(optimizer):
    optimizer.param_groups.reverse()
    return [0.2, 0.1]


def other_parameters(optimizer):
    optimizer.param_groups[1]["params"] = [torch.nn.Parameter(torch.zeros(3))]
    return [0.1, 0.2]


def load_what_was_never_scheduled(optimizer):
    other = optimizer_of(7.0, 8.0)
    optimizer.load_state_dict(other.state_dict())
    return [0.1, 0.2]


def declare_again(optimizer):
    mine = [list(group["params"]) for group in optimizer.param_groups]
    optimizer.param_groups.clear()
    for params, rate in zip(mine, (9.0, 8.0), strict=True):
        optimizer.add_param_group({"params": params, "lr": rate})
    return [9.0, 8.0]


def take_out_and_put_back(optimizer):
    out = optimizer.param_groups.pop(0)
    optimizer.param_groups.append(out)
    return [0.2, 0.1]


def with_a_base_of_its_own(optimizer):
    optimizer.add_param_group({**new(0.001), "initial_lr": 2.0})
    return [0.1, 0.2, 2.0]


CHANGES = [
    delete_and_add,
    clear_and_add,
    assign_a_list,
    assign_copies,
    replace_by_copies_in_place,
    replace_one_by_a_copy,
    put_one_in_front,
    swap,
    other_parameters,
    load_what_was_never_scheduled,
    declare_again,
    take_out_and_put_back,
    with_a_base_of_its_own,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tensor", [False, True])
@pytest.mark.parametrize("at", [0, 6])
@pytest.mark.filterwarnings("ignore:the optimizer's state was loaded, but the place in the schedule was not in it")
def test_the_next_update_has_the_rates_of_the_groups_that_are_there(change, kind, tensor, at):
    optimizer = optimizer_of(0.1, 0.2)
    if tensor:
        for group in optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float64)
    training = Training(kind, optimizer)
    training.update(at)
    bases = change(optimizer)
    for step in range(at, TOTAL):
        rates = training.update()
        if change is not load_what_was_never_scheduled or kind is calando.attach or step > at:
            assert rates == pytest.approx([base * (1 - step / TOTAL) for base in bases], rel=1e-12)
    assert training.follower.state_dict()["base_lrs"] == bases
    assert [group["initial_lr"] for group in optimizer.param_groups] == bases


@given(
    st.lists(st.sampled_from(["add", "front", "delete", "copy", "load", "update", "list"]), min_size=1, max_size=12),
    st.sampled_from(KINDS),
)
def test_whatever_is_done_to_the_groups_each_keeps_its_base(done, kind):
    optimizer = optimizer_of(1.0)
    training, bases, made = Training(kind, optimizer), [1.0], 0
    for number, what in enumerate(done, start=2):
        match what:
            case "add":
                optimizer.add_param_group(new(float(number)))
                bases.append(float(number))
            case "front":
                optimizer.add_param_group(new(float(number)))
                optimizer.param_groups.insert(0, optimizer.param_groups.pop())
                bases.insert(0, float(number))
            case "delete" if len(bases) > 1:
                del optimizer.param_groups[0], bases[0]
            case "copy":
                optimizer.param_groups[-1] = dict(optimizer.param_groups[-1])
            case "load":
                optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            case "list":
                optimizer.param_groups = optimizer.param_groups[::-1]
                bases.reverse()
            case "update":
                assert training.update() == pytest.approx([base * (1 - made / TOTAL) for base in bases], rel=1e-12)
                made += 1
    if made < TOTAL:
        assert training.update() == pytest.approx([base * (1 - made / TOTAL) for base in bases], rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_warmup_is_that_of_a_group_added_in_it(kind):
    optimizer = optimizer_of(0.1)
    training = Training(kind, optimizer, "linear(0.01, 1)")
    training.update(2)
    optimizer.add_param_group(new(0.1))
    one, other = training.update()
    assert one == other < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimizer_without_groups_waits(kind):
    training = Training(kind, optimizer_of(0.1, 0.2))
    training.update(2)
    training.optimizer.param_groups.clear()
    assert training.update(2) == []
    training.optimizer.add_param_group(new(1.0))
    assert training.update() == [pytest.approx(0.6)]


def added_by_lightning(optimizer, denominator=10):
    """As `BaseFinetuning.unfreeze_and_add_param_group` adds them, by its default."""
    optimizer.add_param_group({**new(1.0), "lr": optimizer.param_groups[0]["lr"] / denominator})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["linear(1, 0)", "cosine(1, 0)", "linear(0.1, 1, over='25%') >> cosine(1, 0)"])
@pytest.mark.parametrize("at", [0, 1, 6])
def test_a_group_may_come_at_the_present_rate(kind, text, at):
    training = Training(kind, optimizer_of(0.1), text, added_at="present")
    training.update(at)
    added_by_lightning(training.optimizer)
    while len(training.used) < TOTAL:
        one, other = training.update()
        assert other == pytest.approx(one / 10, rel=1e-12)
    assert training.follower.state_dict()["base_lrs"] == pytest.approx([0.1, 0.01], rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_what_lightning_unfreezes_follows_from_its_present_rate(kind):
    from pytorch_lightning.callbacks import BaseFinetuning

    training = Training(kind, optimizer_of(0.1), added_at="present")
    training.update(6)
    BaseFinetuning.unfreeze_and_add_param_group(torch.nn.Linear(2, 1), training.optimizer, initial_denom_lr=5)
    assert training.update() == [pytest.approx(0.1 * 0.4), pytest.approx(0.02 * 0.4)]


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_multiplier_is_0_no_base_gives_a_present_rate(kind):
    training = Training(kind, optimizer_of(0.1), "linear(0, 1)", added_at="present")
    training.optimizer.add_param_group(new(0.01))
    with pytest.raises(UsageError, match=r"group 1 was added at the present lr, 0.01, .* multiplies by 0 .*initial_lr"):
        training.update()
    training.optimizer.param_groups[1]["initial_lr"] = 0.01  # as the message says
    assert training.update() == [0.0, 0.0]
    assert training.update() == [0.1 * 0.1, 0.01 * 0.1]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_group_comes_at_is_one_of_two(kind):
    optimizer = optimizer_of(0.1)
    with pytest.raises(UsageError, match="added_at must be 'base' or 'present', got 'now'"):
        kind(optimizer, "linear(1, 0)", total_steps=TOTAL, added_at="now")
    assert "initial_lr" not in optimizer.param_groups[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_keeps_the_name_that_its_schedule_has(kind):
    text = "per_group({'0': constant(1), '1': constant(0.5)}, others=constant(0.25))"
    training = Training(kind, optimizer_of(1.0, 2.0), text)
    put_one_in_front(training.optimizer)
    assert training.update() == [6.0 * 0.25, 1.0, 2.0 * 0.5]
    state = training.follower.state_dict()
    del training.optimizer.param_groups[1]
    assert training.update() == [6.0 * 0.25, 2.0 * 0.5]
    training.follower.extend(total_steps=20)
    assert training.update() == [6.0 * 0.25, 2.0 * 0.5]
    resumed = Training(kind, optimizer_of(6.0, 1.0, 2.0), text)
    resumed.follower.load_state_dict(state)
    assert resumed.update() == [6.0 * 0.25, 1.0, 2.0 * 0.5]


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_loaded_by_place(kind):
    first = Training(kind, optimizer_of(0.1, 0.2))
    first.update(3)
    delete_and_add(first.optimizer)
    first.update()
    resumed = Training(kind, optimizer_of(0.7, 0.8))
    resumed.optimizer.load_state_dict(first.optimizer.state_dict())
    resumed.follower.load_state_dict(first.follower.state_dict())
    assert resumed.update() == first.update()


def test_a_scheduler_that_is_gone_leaves_no_hook():
    optimizer = optimizer_of(0.1)
    calando.LRScheduler(optimizer, "linear(0.5, 1)", total_steps=TOTAL)
    assert len(optimizer._optimizer_step_pre_hooks) == 0
    optimizer.add_param_group(new(0.3))
    optimizer.step()
    assert optimizer.param_groups[1]["lr"] == 0.3


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # of torch, when it first compiles
def test_a_group_joins_between_compiled_updates():
    optimizer = torch.optim.SGD(groups(0.1), lr=torch.tensor(0.1))
    scheduler = calando.LRScheduler(optimizer, "linear(0.1, 1)", total_steps=TOTAL)
    step = torch.compile(lambda: optimizer.step(), backend="eager")
    for _ in range(2):
        for group in optimizer.param_groups:
            group["params"][0].grad = torch.ones(2)
        step()
        assert [float(group["lr"]) for group in optimizer.param_groups] == pytest.approx(scheduler.get_lr())
        scheduler.step()
        optimizer.add_param_group(new(0.1))


@pytest.mark.parametrize("look", [lambda it: it.state_dict(), lambda it: it.get_lr(), lambda it: it.base_lrs])
def test_a_group_that_was_looked_at_first_joins_as_well(look):
    training = Training(calando.LRScheduler, optimizer_of(0.1), "linear(0.01, 1)")
    training.update(2)
    training.optimizer.add_param_group(new(0.1))
    look(training.follower)
    one, other = training.update()
    assert one == other < 0.03
