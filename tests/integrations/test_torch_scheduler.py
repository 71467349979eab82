"""A schedule where torch's scheduler is expected: same rates, no patching, resume in any order."""

import gc
import itertools
import math
import pickle
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

import calando
from calando.errors import UsageError

TOTAL = 20
TEXT = "linear(0.1, 1, over='25%') >> cosine(1, 0)"


def groups(*rates: float) -> list[dict]:
    return [{"params": [torch.nn.Parameter(torch.ones(2))], "lr": rate} for rate in rates]


def sgd(*rates: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups(*rates or (0.1,)), lr=1.0, momentum=0.9)


def train(optimizer: torch.optim.Optimizer, scheduler: lr_scheduler.LRScheduler, *, steps: int) -> list[list[float]]:
    """Make updates; the rates of each."""
    seen = []
    for _ in range(steps):
        seen.append([float(group["lr"]) for group in optimizer.param_groups])
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        scheduler.step()
    return seen


@given(st.lists(st.floats(1e-5, 10), min_size=1, max_size=3), st.integers(1, 60), st.sampled_from([0.0, 0.01, 0.5]))
def test_cosine_gives_torchs_rates(rates, total, floor):
    """torch's eta_min is a rate for all groups, ours a multiplier of each: the same for one base rate at a time."""
    for rate in rates:
        ours, theirs = sgd(rate), sgd(rate)
        found = train(ours, calando.LRScheduler(ours, f"cosine(1, {floor})", total_steps=total), steps=total)
        annealing = lr_scheduler.CosineAnnealingLR(theirs, T_max=total, eta_min=floor * rate)
        expected = [[rate * (floor + (1 - floor) * (1 + math.cos(math.pi * t / total)) / 2)] for t in range(total)]
        for one, other, exact in zip(found, train(theirs, annealing, steps=total), expected, strict=True):
            assert one == pytest.approx(exact, rel=1e-12, abs=1e-15)
            assert one == pytest.approx(other, rel=1e-9, abs=1e-12 * rate)  # theirs is a chain of products


@given(st.lists(st.floats(1e-5, 10), min_size=1, max_size=4), st.integers(1, 60), st.integers(0, 20))
def test_any_schedule_gives_the_rates_of_a_lambda_and_groups_keep_their_ratios(rates, total, beyond):
    schedule = calando.parse(TEXT)
    curve = schedule.bind(total)
    ours, theirs = sgd(*rates), sgd(*rates)
    found = train(ours, calando.LRScheduler(ours, schedule, total_steps=total), steps=total + beyond)
    assert found == train(theirs, lr_scheduler.LambdaLR(theirs, curve), steps=total + beyond)
    for one in found:
        assert [rate / rates[0] * one[0] for rate in rates] == pytest.approx(one, rel=1e-12)


def test_it_is_torchs_scheduler_in_the_places_that_look():
    optimizer = sgd(0.1, 0.01)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=10)
    assert isinstance(scheduler, lr_scheduler.LRScheduler)
    assert (scheduler.base_lrs, scheduler.last_epoch, scheduler.optimizer) == ([0.1, 0.01], 0, optimizer)
    train(optimizer, scheduler, steps=5)
    assert scheduler.get_last_lr() == scheduler.get_lr() == [0.05, 0.005]
    assert [group["initial_lr"] for group in optimizer.param_groups] == [0.1, 0.01]
    scheduler.step(2)
    assert scheduler.get_last_lr() == [0.1 * 0.8, 0.01 * 0.8]


def test_nothing_is_patched_and_nothing_keeps_the_optimizer_alive():
    optimizer = sgd()
    function, before = optimizer.step.__func__, set(vars(optimizer))
    gc.collect()
    gc.disable()
    try:
        scheduler = calando.LRScheduler(optimizer, TEXT, total_steps=TOTAL)
        assert optimizer.step.__func__ is function
        assert set(vars(optimizer)) == before
        train(optimizer, scheduler, steps=3)
        gone = weakref.ref(scheduler), weakref.ref(optimizer)
        del scheduler
        assert gone[0]() is None
        del optimizer
        assert gone[1]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("build", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_a_tensor_rate_is_written_in_place(build):
    rate = torch.tensor(0.1)
    optimizer = build([torch.nn.Parameter(torch.ones(2))], lr=rate)
    held = optimizer.param_groups[0]["lr"]
    scheduler = calando.LRScheduler(optimizer, TEXT, total_steps=TOTAL)
    curve = calando.parse(TEXT).bind(TOTAL)
    for step in range(TOTAL):
        assert optimizer.param_groups[0]["lr"] is held
        assert held.item() == pytest.approx(0.1 * curve(step), rel=1e-6)
        train(optimizer, scheduler, steps=1)


def test_a_group_added_later_joins_in():
    optimizer = sgd(0.1)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=10)
    train(optimizer, scheduler, steps=4)
    optimizer.add_param_group(groups(0.5)[0])
    scheduler.step()
    assert scheduler.get_last_lr() == [0.05, 0.25]
    assert scheduler.base_lrs == [0.1, 0.5]


# Every order in which a script can bring back what it saved: each is built before it is loaded.
STEPS = ("build optimizer", "load optimizer", "build scheduler", "load scheduler")
ORDERS = [
    order
    for order in itertools.permutations(STEPS)
    if order.index("build optimizer") < min(order.index("load optimizer"), order.index("build scheduler"))
    and order.index("build scheduler") < order.index("load scheduler")
]


@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
@pytest.mark.parametrize("edited", [1.0, 7.0], ids=["same script", "rates in the script changed since"])
def test_resumed_in_any_order_the_next_rates_are_right(order, edited):
    rates, at = (0.1, 0.01), 7
    whole = sgd(*rates)
    undisturbed = train(whole, calando.LRScheduler(whole, TEXT, total_steps=TOTAL), steps=TOTAL)
    stopped = sgd(*rates)
    scheduler = calando.LRScheduler(stopped, TEXT, total_steps=TOTAL)
    train(stopped, scheduler, steps=at)
    saved = pickle.dumps({"optimizer": stopped.state_dict(), "scheduler": scheduler.state_dict()})

    state = pickle.loads(saved)
    for step in order:
        match step:
            case "build optimizer":
                optimizer = sgd(*(edited * rate for rate in rates))
            case "load optimizer":
                optimizer.load_state_dict(state["optimizer"])
            case "build scheduler":
                scheduler = calando.LRScheduler(optimizer, TEXT, total_steps=TOTAL)
            case "load scheduler":
                scheduler.load_state_dict(state["scheduler"])
    assert train(optimizer, scheduler, steps=TOTAL - at) == undisturbed[at:]


def test_a_state_that_does_not_fit_is_refused():
    scheduler = calando.LRScheduler(sgd(), TEXT, total_steps=TOTAL)
    other = calando.LRScheduler(sgd(), "cosine(1, 0)", total_steps=TOTAL)
    with pytest.raises(UsageError, match=r"saved with schedule 'cosine\(1, 0\)', this scheduler has .linear"):
        scheduler.load_state_dict(other.state_dict())
    wider = calando.LRScheduler(sgd(0.1, 0.2), TEXT, total_steps=TOTAL)
    with pytest.raises(UsageError, match="saved with 2 parameter groups, the optimizer has 1"):
        scheduler.load_state_dict(wider.state_dict())
    theirs = lr_scheduler.CosineAnnealingLR(sgd(), T_max=3)
    with pytest.raises(UsageError, match="not a state of calando's LRScheduler: it holds .*T_max"):
        scheduler.load_state_dict(theirs.state_dict())
    assert scheduler.last_epoch == 0


@pytest.mark.parametrize(
    ("schedule", "options", "message"),
    [
        ("cosin(1, 0)", {"total_steps": 10}, "unknown schedule 'cosin'; did you mean 'cosine'"),
        ("cosine(1, 0)", {"total_steps": 0}, "total_steps must be a whole number from 1"),
        ("cosine(1, 0, over='2 epochs')", {"total_steps": 10}, "needs steps_per_epoch"),
        ("cosine(1, 0, over='99 steps')", {"total_steps": 10}, "89 steps too many"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused_and_changes_nothing(schedule, options, message):
    optimizer = sgd(0.1)
    with pytest.raises(UsageError, match=message):
        calando.LRScheduler(optimizer, schedule, **options)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert "initial_lr" not in optimizer.param_groups[0]


def test_a_step_below_zero_is_refused_and_changes_nothing():
    scheduler = calando.LRScheduler(sgd(0.1), "linear(1, 0)", total_steps=10)
    with pytest.raises(UsageError, match="a step must be 0 or more, got -1"):
        scheduler.step(-1)
    assert (scheduler.last_epoch, scheduler.get_last_lr()) == (0, [0.1])


def test_epochs_are_counted_where_they_are_given():
    optimizer = sgd(1.0)
    scheduler = calando.LRScheduler(
        optimizer, "linear(0, 1, over='2 epochs') >> constant(1)", total_steps=20, steps_per_epoch=5
    )
    assert [rate for (rate,) in train(optimizer, scheduler, steps=12)] == [*(t / 10 for t in range(10)), 1.0, 1.0]
