"""A schedule where torch's scheduler is expected: same rates, no patching."""

import gc
import math
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.loops.torch_training import TEXT, TOTAL, groups, sgd, train
from torch.optim import lr_scheduler

import calando
from calando.errors import UsageError


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


@pytest.mark.parametrize("epoch", [1.5, 2.0, "3"])
def test_an_epoch_is_not_taken_for_a_step(epoch):
    scheduler = calando.LRScheduler(sgd(0.1), "linear(1, 0)", total_steps=10)
    with pytest.raises(UsageError, match="counts updates, not epochs"):
        scheduler.step(epoch)
    assert (scheduler.last_epoch, scheduler.get_last_lr()) == (0, [0.1])


def test_rates_turned_into_tensors_later_are_written_in_place():
    optimizer = sgd(0.1, 0.01)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=10)
    train(optimizer, scheduler, steps=2)
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(group["lr"], dtype=torch.float64)
    held = [group["lr"] for group in optimizer.param_groups]
    train(optimizer, scheduler, steps=3)
    assert all(group["lr"] is rate for group, rate in zip(optimizer.param_groups, held, strict=True))
    assert scheduler.get_last_lr() == [0.05, 0.005]


def test_what_others_look_at_is_there_and_what_would_stop_accelerate_is_not():
    """Accelerate counts held-back calls in _step_count, and stops where that passes total_steps."""
    scheduler = calando.LRScheduler(sgd(0.1), "linear(1, 0)", total_steps=10)
    assert not hasattr(scheduler, "total_steps")
    scheduler._step_count += 1
    scheduler.last_epoch = 4  # as resuming scripts and ignite do
    assert scheduler.get_lr() == [pytest.approx(0.06)]
    scheduler.step()
    assert scheduler._last_lr == scheduler.get_last_lr() == [0.05]


def test_it_works_as_a_part_of_torchs_sequential_scheduler():
    optimizer = sgd(0.1)
    parts = [calando.LRScheduler(optimizer, text, total_steps=5) for text in ("linear(0.2, 1)", "linear(1, 0)")]
    scheduler = lr_scheduler.SequentialLR(optimizer, parts, milestones=[5])
    found = [rate for (rate,) in train(optimizer, scheduler, steps=10)]
    assert found == pytest.approx([0.1 * x for x in (0.2, 0.36, 0.52, 0.68, 0.84, 1, 0.8, 0.6, 0.4, 0.2)], rel=1e-12)


@pytest.mark.parametrize("build", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("tensor", [False, True])
def test_fused_optimizers_make_the_same_updates_as_others(build, tensor):
    ended = []
    for fused in (False, True):
        rate = torch.tensor(0.1) if tensor else 0.1
        optimizer = build([torch.nn.Parameter(torch.ones(4))], lr=rate, fused=fused, foreach=False)
        train(optimizer, calando.LRScheduler(optimizer, TEXT, total_steps=TOTAL), steps=TOTAL)
        ended.append(optimizer.param_groups[0]["params"][0].detach())
    torch.testing.assert_close(*ended)


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # of torch, when it first compiles
def test_a_compiled_update_is_compiled_once():
    from torch._dynamo.testing import CompileCounter

    optimizer = torch.optim.Adam(
        [{**group, "lr": torch.tensor(rate)} for group, rate in zip(groups(1, 1), (0.1, 0.01), strict=True)]
    )
    scheduler = calando.LRScheduler(optimizer, TEXT, total_steps=TOTAL)
    compiled = CompileCounter()

    @torch.compile(backend=compiled)
    def update() -> None:
        optimizer.step()

    for _ in range(TOTAL):
        for group in optimizer.param_groups:
            group["params"][0].grad = torch.ones(2)
        update()
        scheduler.step()
    assert compiled.frame_count == 1
    assert scheduler.get_last_lr() == [0.0, 0.0]
