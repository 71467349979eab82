"""Who saves the optimizer has saved what is attached to it: whatever saves and loads it, in whatever order."""

import copy
import io
import itertools
import pickle
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.loops.test_attach import TEXT, TOTAL, optimizer_of, update, watch
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

import calando
from calando.errors import UsageError


def saved_and_read(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@given(st.lists(st.floats(1e-5, 10), min_size=1, max_size=3), st.integers(0, 30), st.integers(1, 5))
def test_the_optimizers_state_resumes_the_schedule(rates, at, more):
    whole = optimizer_of(*rates, momentum=0.9)
    calando.attach(whole, TEXT, total_steps=TOTAL, hyper_parameters={"momentum": "linear(1, 0)"})
    update(whole, times=at)
    state = saved_and_read(whole.state_dict())
    resumed = optimizer_of(*(7 * rate for rate in rates), momentum=0.5)
    attached = calando.attach(resumed, TEXT, total_steps=TOTAL, hyper_parameters={"momentum": "linear(1, 0)"})
    resumed.load_state_dict(state)
    assert attached.step == at
    seen, again = watch(whole), watch(resumed)
    update(whole, times=more)
    update(resumed, times=more)
    assert seen == again
    assert whole.param_groups[0]["momentum"] == resumed.param_groups[0]["momentum"]


def test_the_entry_is_the_state_of_what_is_attached_and_loading_leaves_it_as_it_is():
    optimizer = optimizer_of(0.1, 0.01)
    attached = calando.attach(optimizer, TEXT, total_steps=TOTAL)
    update(optimizer, times=7)
    state = optimizer.state_dict()
    assert state["calando"] == attached.state_dict()
    kept = copy.deepcopy(state)
    for _ in range(2):
        optimizer.load_state_dict(state)
        update(optimizer)
        assert state == kept
    assert all("calando" not in group for group in optimizer.param_groups)
    attached.detach()
    assert "calando" not in optimizer.state_dict()


def test_a_saved_horizon_wins_and_is_reported_again_at_the_first_update():
    optimizer = optimizer_of(0.1)
    calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    update(optimizer, times=5)
    other = optimizer_of(0.1)
    attached = calando.attach(other, "linear(1, 0)", total_steps=99)
    with pytest.warns(UserWarning, match="saved with total_steps=10, which is kept; .* total_steps=99"):
        other.load_state_dict(optimizer.state_dict())
    with pytest.warns(UserWarning, match="saved with total_steps=10, which is kept; .* total_steps=99"):
        update(other)
    update(other)
    assert (attached.step, attached.get_last_lr()) == (7, [0.1 * (1 - 6 / 10)])


def test_a_horizon_that_is_extended_after_the_load_is_not_reported_again():
    optimizer = optimizer_of(0.1)
    calando.attach(optimizer, "wsd()", total_steps=20)
    update(optimizer, times=5)
    other = optimizer_of(0.1)
    attached = calando.attach(other, "wsd()", total_steps=99)
    with pytest.warns(UserWarning, match="extend"):
        other.load_state_dict(optimizer.state_dict())
    attached.extend(total_steps=99)
    update(other)
    assert attached.horizon.total_steps == 99


def test_a_state_without_the_entry_is_loaded_and_what_is_missing_said_once():
    plain = optimizer_of(0.3, momentum=0.9)
    update(plain, times=3)
    optimizer = optimizer_of(0.1, momentum=0.9)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    update(optimizer, times=2)
    optimizer.load_state_dict(plain.state_dict())
    with pytest.warns(UserWarning, match="place in the schedule was not in it .* goes on at update 2"):
        update(optimizer)
    update(optimizer)
    assert attached.step == 4
    # What is given the state in another way misses nothing.
    optimizer.load_state_dict(plain.state_dict())
    attached.load_state_dict({**attached.state_dict(), "last_epoch": 7})
    update(optimizer)
    assert attached.step == 8


def test_a_state_of_other_schedules_is_refused_before_anything_is_loaded_and_what_is_advised_works():
    optimizer = optimizer_of(0.1, momentum=0.9)
    calando.attach(optimizer, "cosine(1, 0)", total_steps=10)
    update(optimizer, times=3)
    state = optimizer.state_dict()
    other = optimizer_of(0.1, momentum=0.9)
    attached = calando.attach(other, "linear(1, 0)", total_steps=10)
    with pytest.raises(UsageError, match=r"saved with schedule 'cosine\(1, 0\)'; .* load it before attach"):
        other.load_state_dict(state)
    assert not other.state
    assert attached.step == 0
    training = calando.follow(torch.nn.Linear(1, 1), "sgd(lr=0.1)", total_steps=10)
    with pytest.raises(UsageError, match="not a state of calando's LRScheduler or attach"):
        optimizer_with(training.optimizer.state_dict())
    third = optimizer_of(0.1, momentum=0.9)
    third.load_state_dict(state)
    attached = calando.attach(third, "linear(1, 0)", total_steps=10)
    with pytest.warns(UserWarning, match="no state was loaded since: 0.1 is the base rate"):
        update(third)
    assert third.state
    assert attached.step == 1


def optimizer_with(state: dict) -> None:
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
    calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    optimizer.load_state_dict(state)


def test_a_state_that_was_loaded_before_attach_is_not_passed_over_in_silence():
    optimizer = optimizer_of(0.1)
    calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    update(optimizer, times=3)
    state = saved_and_read(optimizer.state_dict())
    other = optimizer_of(0.1)
    other.load_state_dict(state)
    attached = calando.attach(other, "linear(1, 0)", total_steps=10)
    assert all("calando" not in group for group in other.param_groups)
    with pytest.warns(UserWarning, match="saved at update 3 of these schedules and loaded before attach"):
        update(other)
    attached.load_state_dict(state["calando"])
    update(other)
    assert (attached.step, attached.get_last_lr()) == (4, [0.1 * 0.7])
    third = optimizer_of(0.1)
    third.load_state_dict(state)
    attached = calando.attach(third, "linear(1, 0)", total_steps=10)
    attached.load_state_dict(state["calando"])
    update(third)
    assert attached.step == 4


@pytest.mark.parametrize("first", ["load", "attach"])
@pytest.mark.parametrize("entry", [True, False])
def test_who_sets_the_step_after_a_load_hears_nothing(first, entry):
    optimizer = optimizer_of(0.1)
    calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    update(optimizer, times=3)
    state = saved_and_read(optimizer.state_dict())
    if not entry:
        state.pop("calando")
        for group in state["param_groups"]:
            group.pop("calando")
    other = optimizer_of(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if first == "load":
            other.load_state_dict(state)
        attached = calando.attach(other, "linear(1, 0)", total_steps=10)
        if first == "attach":
            other.load_state_dict(state)
        attached.step = 3
        update(other)
    assert attached.get_last_lr() == [0.1 * 0.7]


@pytest.mark.parametrize("step", [-1, 2.5, "3", None, [1]])
def test_a_step_that_is_none_is_refused_at_once(step):
    optimizer = optimizer_of(0.1)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    attached.step = 4
    with pytest.raises(UsageError, match="step must be the number of an update"):
        attached.step = step
    assert attached.step == 4


def test_the_state_of_a_scheduler_next_to_others_is_gone_on_from_in_silence():
    optimizer = optimizer_of(0.1)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=10)
    for _ in range(4):
        update(optimizer)
        scheduler.step()
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)  # writes the rate of update 0
    state = scheduler.state_dict()
    assert state["last_lr"] == [0.1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attached.load_state_dict(state)
        update(optimizer)
    assert attached.get_last_lr() == [0.06]


def test_what_outlives_its_optimizer_says_so():
    attached = calando.attach(optimizer_of(0.1), "linear(1, 0)", total_steps=10)
    asked = {
        "state": attached.state_dict,
        "rates": attached.get_last_lr,
        "bases": lambda: attached.base_lrs,
        "lint": attached.lint,
        "extend": lambda: attached.extend(total_steps=20),
        "scheduler": lambda: attached.scheduler,
        "load": lambda: attached.load_state_dict({}),
    }
    for ask in asked.values():
        with pytest.raises(UsageError, match="the optimizer that followed the attached schedules is gone; keep a ref"):
            ask()
    attached.detach()


def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, *, steps: int) -> None:
    for _ in range(steps):
        model(torch.ones(3, 2)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("kind", ["attach", "follow"])
@pytest.mark.parametrize("options", [{}, {"full_state_dict": True}])
@pytest.mark.parametrize("through_files", [False, True])
@pytest.mark.filterwarnings("ignore:torch.distributed is (unavailable|disabled).*:UserWarning")
def test_distributed_checkpoints_resume_it(tmp_path, kind, options, through_files):
    def build():
        model = network()
        if kind == "follow":
            training = calando.follow(model, "adamw(lr=0.1) | linear(1, 0)", total_steps=10)
            return model, training.optimizer, training
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        return model, optimizer, calando.attach(optimizer, "linear(1, 0)", total_steps=10)

    chosen = StateDictOptions(**options)
    model, optimizer, handle = build()
    train(model, optimizer, steps=3)
    state = get_optimizer_state_dict(model, optimizer, options=chosen)
    weights, state = copy.deepcopy((model.state_dict(), state))
    assert handle.step == 3
    train(model, optimizer, steps=3)
    resumed, again, its_handle = build()
    resumed.load_state_dict(weights)
    if through_files:
        checkpoint.save({"optimizer": state}, checkpoint_id=tmp_path, no_dist=True)
        train(resumed, again, steps=1)  # so that it has state to be loaded into
        state = get_optimizer_state_dict(resumed, again, options=chosen)
        checkpoint.load({"optimizer": state}, checkpoint_id=tmp_path, no_dist=True)
        resumed.load_state_dict(weights)
    set_optimizer_state_dict(resumed, again, state, options=chosen)
    assert its_handle.step == 3
    train(resumed, again, steps=3)
    assert [p.tolist() for p in model.parameters()] == [p.tolist() for p in resumed.parameters()]


def test_flattened_distributed_checkpoints_leave_the_place_out_and_that_is_said():
    options = StateDictOptions(flatten_optimizer_state_dict=True)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    train(model, optimizer, steps=3)
    state = get_optimizer_state_dict(model, optimizer, options=options)
    resumed = network()
    again = torch.optim.SGD(resumed.parameters(), lr=0.1, momentum=0.9)
    attached = calando.attach(again, "linear(1, 0)", total_steps=10)
    train(resumed, again, steps=1)
    set_optimizer_state_dict(resumed, again, state, options=options)
    with pytest.warns(UserWarning, match="place in the schedule was not in it"):
        train(resumed, again, steps=1)
    assert attached.step == 2


def test_a_distributed_checkpoint_of_a_followed_average_is_refused_with_the_reason():
    model = network()
    training = calando.follow(model, "adamw(lr=0.1) | ema()", total_steps=10)
    train(model, training.optimizer, steps=3)
    state = get_optimizer_state_dict(model, training.optimizer)
    with pytest.raises(UsageError, match="leaves an average out, as torch.distributed.checkpoint does"):
        set_optimizer_state_dict(model, training.optimizer, state)


def test_base_rates_are_read_and_set():
    optimizer = optimizer_of(0.1, 0.01)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    update(optimizer, times=5)
    assert attached.base_lrs == [0.1, 0.01]
    attached.base_lrs = [0.2, 0.01]
    assert attached.get_last_lr() == attached.scheduler.get_lr() == [0.1, 0.005]
    update(optimizer)
    assert attached.get_last_lr() == [0.1, 0.005]
    assert attached.state_dict()["base_lrs"] == attached.scheduler.base_lrs == [0.2, 0.01]
    with pytest.raises(UsageError, match="a rate for each parameter group, got 1 for 2"):
        attached.base_lrs = [0.1]


def test_attributes_that_a_handle_does_not_have_cannot_be_set():
    optimizer, other = optimizer_of(0.1), optimizer_of(0.1)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    scheduler = calando.LRScheduler(other, "linear(1, 0)", total_steps=10)
    training = calando.follow(torch.nn.Linear(1, 1), "sgd(lr=0.1)", total_steps=10)
    for handle in (attached, scheduler, training, attached.scheduler, training.scheduler):
        for name in ("base_lr", "total_steps", "T_max", "horizon", "lr"):
            with pytest.raises(AttributeError):
                setattr(handle, name, 1)
    for name in ("step", "optimizer", "network", "base_lrs"):
        with pytest.raises(AttributeError):
            setattr(training, name, None)
    with pytest.raises(
        AttributeError, match="has no attribute 'T_max', and setting it would change nothing; it has base"
    ):
        scheduler.T_max = 3

    class Own(calando.LRScheduler):
        pass

    own = Own(optimizer_of(0.1), "linear(1, 0)", total_steps=10)
    own.noted = 1


def test_a_reported_rate_moves_nothing_and_is_what_is_used():
    optimizer = optimizer_of(0.1)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    reported = attached.scheduler
    assert attached.scheduler is reported
    seen = watch(optimizer)
    for step in range(10):
        for _ in range(step % 3):
            reported.step()
        announced = reported.get_lr()
        update(optimizer)
        assert reported.get_last_lr() == seen[-1] == announced
    curve = calando.parse("linear(1, 0)").bind(10)
    assert seen == [[0.1 * curve(step)] for step in range(10)]
    reported.load_state_dict({"last_epoch": 3, **reported.state_dict()})
    assert (attached.step, reported.last_epoch, reported.state_dict()) == (10, 10, {})
    for handle, refused in itertools.product((reported, attached), (copy.copy, copy.deepcopy, pickle.dumps)):
        with pytest.raises(UsageError, match="cannot be copied"):
            refused(handle)


def test_a_reported_rate_of_a_followed_strategy_has_the_controllers_answers():
    model = torch.nn.Linear(1, 1)
    training = calando.follow(model, "sgd(lr=0.1) | plateau(factor=0.5, patience=1)", total_steps=9)
    rates = []
    for loss in (1.0, 2.0, 0.5):
        model(torch.ones(1, 1)).sum().backward()
        training.optimizer.step()
        training.scheduler.step()
        training.observe(validation_loss=loss)
        rates.append(training.scheduler.get_last_lr())
        assert rates[-1] == training.scheduler.get_lr()
    assert rates == [[0.1], [0.05], [0.05]]


def test_nothing_is_warned_of_where_all_is_well():
    optimizer = optimizer_of(0.1)
    calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        update(optimizer, times=3)
        optimizer.load_state_dict(optimizer.state_dict())
        update(optimizer)
    assert not warned
