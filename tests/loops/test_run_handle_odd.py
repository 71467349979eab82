"""Code that uses its run in unusual ways: it is trained as it says, or refused by name."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import calando
from calando.errors import UsageError
from calando.loops.kept_state import read_kept, write_kept
from calando.loops.run_channel import Assignment
from calando.loops.run_handle import RunOver
from calando.loops.run_result import read_result
from calando.loops.run_start import active
from calando.strategy import parse_strategy, read_strategy

SPEC = read_strategy("fixed").at_rate(0.1)


def asked(folder=None, *, steps: int = 4) -> Assignment:
    return Assignment(
        strategy="", seed=0, total_steps=steps, steps_per_epoch=2, folder="" if folder is None else str(folder)
    )


def update(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    model(torch.ones(2, 1)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": 5}, "strategy must be"),
        ({"lr": "high"}, "lr must be one number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": 2**80}, "seed must be a whole number"),
    ],
)
def test_what_a_run_is_made_of_is_checked(options, message):
    with pytest.raises(UsageError, match=message):
        calando.run(**{"strategy": "cosine", "lr": 0.1, **options})
    assert calando.run("cosine", lr=0.1, seed=np.int64(3)).seed == 3


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**30, 10**400, 0, None])
def test_a_length_is_a_whole_number(value):
    run = calando.run("cosine", lr=0.1)
    for ask in (run.epochs, run.steps):
        with pytest.raises(UsageError, match="whole number from 1"):
            ask(value)


@pytest.mark.parametrize("value", [10**400, 1j, None, [], torch.ones(2), torch.tensor(1j), "high"])
def test_what_is_reported_is_one_number(value):
    run = calando.run("cosine", lr=0.1)
    for report in (lambda: run.report(value), lambda: run.observe(loss=value), lambda: run.report(1.0, other=value)):
        with pytest.raises(UsageError, match="must be one number"):
            report()


def test_a_second_loop_is_refused():
    run = calando.run("cosine", lr=0.1)
    assert list(run.epochs(2)) == [0, 1]
    with pytest.raises(UsageError, match="one loop over run.epochs"):
        list(run.epochs(2))


def test_keep_comes_once_and_before_the_loop():
    run, model = calando.run("cosine", lr=0.1), nn.Linear(1, 1)
    run.keep(model=model)
    with pytest.raises(UsageError, match="call run.keep once"):
        run.keep(other=model)
    run = calando.run("cosine", lr=0.1)
    for _ in run.epochs(2):
        with pytest.raises(UsageError, match="before the loop"):
            run.keep(model=model)


def test_a_checkpoint_without_the_training_is_refused_where_it_is_read(tmp_path):
    def train(run, *, epochs: int) -> None:
        model = nn.Linear(1, 1)
        training = run.follow(model, total_steps=4, steps_per_epoch=2)
        run.keep(model=model)
        for epoch in run.epochs(2):
            if epoch == epochs:
                raise RuntimeError("killed")
            for _ in range(2):
                update(model, training.optimizer)

    with active(SPEC, asked(tmp_path), lambda report: False) as run, pytest.raises(RuntimeError):
        train(run, epochs=1)
    with (
        active(SPEC, asked(tmp_path), lambda report: False) as run,
        pytest.raises(UsageError, match="training=training"),
    ):
        train(run, epochs=2)


def test_of_two_optimizers_the_first_ones_updates_are_counted():
    reports = []
    with active(SPEC, asked(), lambda report: bool(reports.append(report))) as run:
        nets = nn.Linear(1, 1), nn.Linear(1, 1)
        often, seldom = (torch.optim.SGD(net.parameters(), lr=0.5) for net in nets)
        run.scheduler(often, total_steps=4, steps_per_epoch=2)
        run.scheduler(seldom, total_steps=2, steps_per_epoch=1)
        for _ in run.epochs(2):
            update(nets[0], often)
            update(nets[0], often)
            update(nets[1], seldom)
        assert (run.step, run.total_steps) == (4, 4)
        run.report(1.0)
        run.finish()
    assert [report["total_steps"] for report in reports if report["kind"] == "began"] == [4]
    assert [often.param_groups[0]["lr"], seldom.param_groups[0]["lr"]] == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize("test", [math.nan, math.inf, 1e308])
def test_a_test_score_that_is_not_finite_is_that_of_a_diverged_run(tmp_path, test):
    with active(SPEC, asked(tmp_path), lambda report: False) as run:
        model = nn.Linear(1, 1)
        training = run.follow(model, total_steps=4, steps_per_epoch=2)
        for _ in range(4):
            update(model, training.optimizer)
        run.report(1.0)
        with pytest.raises(RunOver):
            run.finish(test=test)
    assert read_result(tmp_path).outcome == "diverged"


@pytest.mark.parametrize("rest", ["", " | rollback()"])
def test_a_plateau_answers_whatever_loss_is_observed(rest):
    """The training loss of an update and the validation loss after it come in two calls."""
    run = calando.run(parse_strategy(f"sgd(lr=0.1) | plateau(factor=0.5, patience=1){rest}"))
    model = nn.Linear(1, 1)
    training = run.follow(model, total_steps=9)
    for loss in (0.5, 0.6):
        update(model, training.optimizer)
        run.observe(loss=1.0)
        run.report(-loss, loss=loss)
    assert len(training.events) == 1


def test_a_plateau_answers_after_a_checkpoint_of_the_last_batch():
    model = nn.Linear(1, 1)
    training = calando.follow(model, "sgd(lr=0.1) | plateau()", total_steps=9)
    update(model, training.optimizer)
    training.optimizer.load_state_dict(training.optimizer.state_dict())
    assert training.observe(validation_loss=0.5) == ()


def test_states_of_one_place_are_kept_apart(tmp_path):
    one, two = torch.zeros(2), torch.ones(2)
    write_kept(tmp_path, {"a.b": one, "a": {"b": two}, 1: one, "1": two, "number": np.array(3)})
    read = read_kept(tmp_path)
    assert [read["a.b"].sum(), read["a"]["b"].sum(), read[1].sum(), read["1"].sum()] == [0, 2, 0, 2]
    assert read["number"].shape == ()
    with pytest.raises(UsageError, match="no checkpoint without pickle"):
        write_kept(tmp_path, {"names": np.array(["a"])})
