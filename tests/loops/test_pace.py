"""`LRScheduler` counts updates: what steps it once an epoch or once a process is noticed, what is right is not."""

import copy
import warnings

import pytest
import torch
from tests.loops.torch_training import sgd

import calando


def run(pattern: str, *, total: int = 12) -> list[str]:
    """What is said where "u" is an update of the optimizer and "s" a call of scheduler.step()."""
    optimizer = sgd(0.1)
    return said_of(optimizer, calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=total), pattern)


def said_of(optimizer: torch.optim.Optimizer, scheduler: calando.LRScheduler, pattern: str) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for letter in pattern:
            optimizer.step() if letter == "u" else scheduler.step()
    return [str(one.message) for one in caught]


@pytest.mark.parametrize(
    "pattern",
    [
        "us" * 12,
        "su" * 12,  # as torch had it before 1.1
        "s" * 12,  # to look at it
        "u" * 12,  # forgotten, as with torch
        "us" * 4 + "s" * 8,  # to look at the rest
        "ssus" + "us" * 5 + "sus" + "us",  # updates that a gradient scaler skipped
        "us" + "uss" * 4,  # a scaler that skips every other
    ],
)
def test_one_step_an_update_is_right(pattern):
    assert run(pattern) == []


def test_once_an_epoch_is_said_after_the_first_and_once():
    (said,) = run("uuuus" * 3)
    assert said.startswith("the optimizer made 4 updates between two calls of scheduler.step(), all at one rate")


def test_updates_that_another_scheduler_moves_are_its_turn():
    optimizer = sgd(0.1)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, total_iters=4)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step in range(12):
            optimizer.step()
            (warmup if step < 4 else scheduler).step()
    assert scheduler.last_epoch == 8


def test_a_horizon_shorter_than_an_epoch_counts_epochs():
    assert run("uuuus" * 3, total=3) == []


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_once_a_process_is_said_at_the_second_update_and_once(processes):
    assert run("u" + "s" * processes + "u" + "s" * (processes - 1), total=24) == []
    (said,) = run(("u" + "s" * processes) * 5, total=24)
    assert f"called {processes} times for each update, so its 24 steps are over after {24 // processes} updates" in said


def test_a_step_that_calls_its_parents_is_one_update():
    class Own(torch.optim.AdamW):
        def step(self, closure=None):
            return super().step(closure)

    torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))])  # torch wraps the step of each class at its first instance
    optimizer = Own([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=12)
    assert said_of(optimizer, scheduler, "us" * 6) == []


def test_nothing_is_counted_once_it_is_settled():
    optimizer = sgd(0.1)
    before = len(optimizer._optimizer_step_post_hooks)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=100)
    assert len(optimizer._optimizer_step_post_hooks) == before + 1
    assert said_of(optimizer, scheduler, "us" * 12) == []
    assert len(optimizer._optimizer_step_post_hooks) == before
    for late in ("uus", "uss"):
        assert said_of(optimizer, scheduler, late * 3) == []


def test_steps_by_number_are_not_compared():
    optimizer = sgd(0.1)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=12)
    for epoch in range(3):
        for _ in range(4):
            optimizer.step()
        scheduler.step(4 * (epoch + 1))
    assert scheduler.get_last_lr() == [0.0]


def test_a_copy_compares_nothing():
    optimizer = sgd(0.1)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=12)
    optimizer.step()
    scheduler.step()
    other, its_scheduler = copy.deepcopy((optimizer, scheduler))
    assert said_of(other, its_scheduler, "us" * 6) == []
    assert said_of(optimizer, scheduler, "us" * 6) == []


def test_the_updates_of_a_range_test_are_not_counted():
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=500)
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))
    batches = [(x, x.sum(1, keepdim=True))]
    calando.find_lr(model, optimizer, torch.nn.functional.mse_loss, batches)
    assert said_of(optimizer, scheduler, "us" * 6) == []
