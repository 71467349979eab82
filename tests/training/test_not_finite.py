"""What is not finite is a divergence wherever it appears, and scores as chance; it is not looked at each update."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.training.small_runs import STEPS, Bare, Dropping, a_run, a_workload, bits
from torch import nn
from torch.nn.functional import cross_entropy

import calando
from calando.study.jobs import Finished, Lease, TestLook, Train
from calando.study.perform_job import perform
from calando.training import network_statistics as network_numbers
from calando.training.loop import advance, execute
from calando.training.state import start

CHANCE = 1 / 3
LAST = STEPS - 1


class Steady(torch.autograd.Function):
    """Nothing to the output, and the same gradient to the weight after every batch."""

    @staticmethod
    def forward(ctx, output, weight):
        return output.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, torch.full((1,), -1.0)


class Bulging(nn.Module):
    """A weight that no output depends on grows by 3e37 each update: past single precision at the last of 12."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Bare()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return Steady.apply(self.layers(x), self.weight * 3e37)


class Blinking(nn.Module):
    """Where it is evaluated, nan or inf for one sample of each batch, at the evaluations named."""

    def __init__(self, at=(0,), value=math.nan) -> None:
        super().__init__()
        self.layers, self.at, self.value, self.seen = Bare(), at, value, 0

    def forward(self, x):
        out = self.layers(x)
        if not self.training:
            out = out.clone()
            if self.seen in self.at:
                out[0, 1] = self.value
            self.seen += 1
        return out


def run(text, workload, **changes):
    return execute(a_run(text, workload, **changes), workload)


def assert_diverged(record, *, at, why):
    assert (record.outcome, record.score, record.steps_done) == ("diverged", record.chance, at)
    assert record.chance == pytest.approx(CHANCE)
    assert record.at_chance
    assert len(record.losses) == at
    assert np.isfinite(record.losses).all()
    assert record.evaluations[-1].score == record.chance or math.isfinite(record.evaluations[-1].loss)
    (event,) = [event.text for event in record.events if event.kind == "diverged"]
    assert why in event


@pytest.mark.parametrize("model", [Bare, Dropping])
@pytest.mark.parametrize(
    "text",
    [
        f"sgd(lr=0.05) | piecewise(values=[1, 1e38], at=[{LAST}])",
        f"sgd(lr=0.05) | knots(values=[1, 1, 1e38], at=[{LAST - 1}, {LAST}])",
        f"adamw(lr=0.05) | constant(1, over={LAST}) >> constant(1e38)",
        f"sgd(lr=0.05, momentum=0.9) | piecewise(values=[1, 1e38], at=[{LAST}]) | ema(decay=0.9)",
        f"sgd(lr=0.05, momentum=0.9) | piecewise(values=[1, 1e38], at=[{LAST}]) | swa(start=2, every=2)",
        f"schedule_free_sgd(lr=0.05) | piecewise(values=[1, 1e38], at=[{LAST}])",
    ],
)
def test_an_update_that_ruins_the_network_is_seen_though_it_is_the_last(text, model):
    if text.startswith("schedule_free"):
        pytest.importorskip("schedulefree")
    record = run(text, a_workload(model))
    assert_diverged(record, at=STEPS, why="after step 11")
    again = run(text, a_workload(model))
    assert bits(again) == bits(record)


def test_weights_that_are_not_finite_behind_a_finite_loss():
    record = run("sgd(lr=1)", a_workload(Bulging, scale=0.01), accumulate=1)
    assert_diverged(record, at=STEPS, why="weights are not finite after step 11")
    assert math.isfinite(record.evaluations[-1].loss)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_output_of_one_sample_that_is_not_finite_ends_the_run_where_it_is_evaluated(value):
    record = run("sgd(lr=0.05)", a_workload(lambda: Blinking(value=value)))
    assert_diverged(record, at=4, why="validation loss is")


def two_classes(outputs, targets):
    return cross_entropy(outputs[:, :2], targets.clamp(max=1))


def test_a_mask_of_minus_infinity_hides_nothing():
    class Masking(Bare):
        def __init__(self):
            super().__init__()
            self.register_buffer("mask", torch.tensor([0.0, 0.0, -math.inf]))

        def forward(self, x):
            return super().forward(x) + self.mask

    whole = a_workload(Bare)
    held = (whole.validation.labels < 2).nonzero().flatten()
    workload = replace(a_workload(Masking), validation=whole.validation.take(held), loss=two_classes)
    record = run("sgd(lr=0.05)", workload)
    assert record.outcome != "diverged"
    assert math.isfinite(record.evaluations[-1].loss)


@pytest.mark.parametrize("kind", ["ema(decay=0.9)", "swa(start=1)"])
def test_an_average_that_is_not_finite(kind):
    workload = a_workload(Bare)
    spec = a_run(f"sgd(lr=0.05) | {kind}", workload)
    state = start(spec, workload)

    def ruin(state):
        if state.step == 6:
            next(iter(state.session.average.tensors.values()))[0, 0] = math.inf
        return False

    advance(state, workload, until=spec.steps, watch=ruin)
    assert state.stopped == "evaluated weights are not finite after step 7"
    assert state.step == state.seen == 8
    assert state.evaluations[-1].score == pytest.approx(CHANCE)


def test_statistics_of_batch_normalisation_that_are_not_finite():
    workload = a_workload(Dropping)
    spec = a_run("sgd(lr=0.05)", workload)
    state = start(spec, workload)

    def ruin(state):
        if state.step == 6:
            state.network.layers[1].running_var[0] = math.inf
        return False

    advance(state, workload, until=spec.steps, watch=ruin)
    assert state.stopped == "running statistics of batch normalisation are not finite after step 7"


def test_a_rollback_goes_back_from_it():
    workload = a_workload(lambda: Blinking(at=(1, 3)))
    record = run("sgd(lr=0.05) | rollback(every=2, warmup=0)", workload)
    assert record.outcome == "finished"
    assert record.steps_done == STEPS
    assert record.undone > 0
    said = [event.text for event in record.events if event.kind == "controller"]
    assert said[0] == "validation loss is nan after step 7: going back at 0.5 of the rate, try 1 of 5"
    assert all(math.isfinite(look.loss) for look in record.evaluations)


def test_a_rollback_that_cannot_help_gives_up():
    text = f"sgd(lr=0.05) | piecewise(values=[1, 1e38], at=[{LAST}]) | rollback(every=2, tries=2)"
    record = run(text, a_workload(Bare))
    assert record.outcome == "diverged"
    assert record.events[-1].text.endswith("rollback gave up after 2 tries, the last at 0.25 of the rate")
    assert len(record.losses) == record.steps_done == STEPS


def test_it_is_looked_at_where_the_network_is_evaluated_and_never_else(monkeypatch):
    looks = []
    monkeypatch.setattr(network_numbers.nn.utils, "get_total_norm", lambda *_, **__: looks.append(1) or torch.zeros(()))
    run("sgd(lr=0.05)", a_workload(Bare))
    assert len(looks) == STEPS // 4


def test_a_resumed_run_ends_as_it_ended(tmp_path):
    workload = a_workload(Bare)
    spec = a_run(f"sgd(lr=0.05) | piecewise(values=[1, 1e38], at=[{LAST}])", workload)
    record = execute(spec, workload, folder=tmp_path, keep=True)
    assert bits(execute(spec, workload, folder=tmp_path, keep=True)) == bits(record)


def test_a_test_look_that_is_not_finite_scores_chance(tmp_path):
    workload = a_workload(lambda: Blinking(at=(0,)))
    spec = a_run("sgd(lr=0.05)", workload).model_copy(update={"evaluate_every": STEPS})
    sound = a_workload(lambda: Blinking(at=()))
    made = perform(Lease(0, Train(spec)), sound, tmp_path, report=lambda *_: False, left=lambda _: None)
    assert isinstance(made, Finished)
    assert made.result.outcome == "finished"
    look = perform(Lease(1, TestLook(spec, diverged=False)), workload, tmp_path, report=lambda *_: False, left=print)
    assert (look.result.score, look.result.loss) == (workload.chance.score, math.inf)


def test_a_range_test_sees_what_its_last_update_ruined():
    from calando.range_test.borrowed_update import BorrowedUpdate
    from calando.range_test.loss import BatchLoss
    from calando.range_test.sweep import Measurement

    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return Steady.apply(x.new_ones(len(x), 3), self.weight)

    network = Alone()
    optimizer = torch.optim.SGD(network.parameters(), lr=1)
    update = BorrowedUpdate(
        loss=BatchLoss(model=network, loss_fn=cross_entropy), optimizer=optimizer, device=torch.device("cpu"),
        closure="none",
    )  # fmt: skip
    batches = iter(lambda: (torch.zeros(2, 1, 8, 8), torch.tensor([0, 1])), None)
    held = Measurement(update=update, batches=batches, start_again=lambda: None).hold(3e37, steps=STEPS)
    assert len(held) == STEPS
    assert math.isnan(held[-1])
    assert np.isfinite(held[:-1]).all()


X, Y = torch.randn(16, 64, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3


def follow(text, *, model=Bare, steps=STEPS):
    torch.manual_seed(0)
    network = model()
    return network, calando.follow(network, text, total_steps=steps, chance=math.log(3))


def one_update(network, training):
    loss = cross_entropy(network(X), Y)
    loss.backward()
    training.optimizer.step()
    training.optimizer.zero_grad()
    return loss


def test_in_a_loop_of_ones_own_a_rollback_sees_what_the_last_update_ruined():
    network, training = follow("sgd(lr=1) | rollback(every=2, factor=0.9, tries=2, warmup=0)", model=Bulging)
    made = 0
    while not training.done:
        training.observe(loss=one_update(network, training))
        made += 1
    assert made > STEPS
    assert "weights are not finite after step 11: going back" in training.events[0]
    assert training.stopped is None
    assert all(torch.isfinite(weight).all() for weight in network.parameters())


def test_in_a_loop_of_ones_own_weights_that_are_not_finite_end_training_where_a_controller_is_told():
    network, training = follow("sgd(lr=0.05) | plateau(patience=3)")
    one_update(network, training)
    training.observe(validation_loss=math.inf)
    assert training.stopped is None, "perplexities overflow; the weights are sound"
    one_update(network, training)
    next(network.parameters()).data[0, 0] = math.nan
    assert training.observe(validation_loss=math.nan) == ("weights are not finite after step 1",)
    assert training.done
