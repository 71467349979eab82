"""A strategy followed in a loop of one's own: the same updates and the same evaluated weights as calando's own loop."""

import copy
import math

import pytest
import torch
from tests.loops.following import Deeper, averages, bits, settled, train
from tests.methods.method_cases import digits, network
from tests.training.small_runs import Bare, a_run, a_workload
from torch import nn
from torch.nn.functional import cross_entropy

import calando
from calando.methods import find_method
from calando.strategy import PRESETS
from calando.training.evaluate import evaluate
from calando.training.lane import holding_lane
from calando.training.loop import advance
from calando.training.state import start

TEXTS = {name: preset.text for name, preset in PRESETS.items()}
TEXTS["plateau-training"] = (
    "adamw(lr=auto) | cosine(1, 0) | plateau(patience=3, metric='training_loss') | ema(decay=0.8)"
)
TEXTS["groups"] = "sgd(lr=auto, weight_decay=0.1, momentum=0.9) | per_group({'no_decay': 2}, others=linear(1, 0))"
TEXTS["edge with sam"] = "sam(lr=auto) | cosine(1, 0) | edge(until=9, every=3)"
TEXTS["momentum"] = "sgd(lr=auto, momentum=0.9) | linear(1, 0) | momentum: linear(1, 0.5)"


@pytest.mark.parametrize("name", TEXTS)
def test_every_strategy_makes_the_updates_of_calandos_own_loop(name):
    """Weights, statistics, rates, what is evaluated and what it scores: to the bit."""
    workload = a_workload(Deeper)
    spec = a_run("sgd(lr=0.1)", workload)
    spec = spec.model_copy(update={"strategy": settled(TEXTS[name])})
    with holding_lane(spec.lane):
        state = start(spec, workload)
        mine = copy.deepcopy(state.network)
        advance(state, workload, until=spec.steps)
        training = calando.follow(mine, spec.strategy, total_steps=spec.steps, steps_per_epoch=spec.steps_per_epoch)
        train(
            training,
            workload,
            seed=spec.seed,
            batches=range(spec.steps),
            evaluate_every=spec.evaluate_every,
            lane=spec.lane,
        )
        assert training.done
        assert bits(mine) == bits(state.network)
        assert [g["lr"] for g in training.optimizer.param_groups] == [g["lr"] for g in state.optimizer.param_groups]
        drawn = [workload.batch(index, seed=spec.seed).inputs for index in range(20)]
        with training.evaluated(drawn):
            found = evaluate(mine, workload, workload.validation, lane=spec.lane)
        last = state.evaluations[-1]
        assert found == (last.loss, last.score)
        assert bits(mine) == bits(state.network)


@pytest.mark.parametrize("rate", [0.5, 3.0, 5.0, 1e30])
def test_a_rollback_goes_back_as_in_calandos_own_loop(rate):
    """Over one to four deaths, spikes and non-finite losses; at the last two rates it gives up."""
    workload = a_workload(Bare)
    text = f"sgd(lr={rate}, momentum=0.9) | rollback(tries=4, warmup=3) | ema(decay=0.9)"
    spec = a_run(text, workload, steps=300)
    with holding_lane(spec.lane):
        state = start(spec, workload)
        mine = copy.deepcopy(state.network)
        advance(state, workload, until=spec.steps)
        training = calando.follow(mine, text, total_steps=spec.steps, chance=math.log(3))
        index = 0
        while not training.done:
            train(training, workload, seed=spec.seed, batches=range(index, index + 1))
            index += 1
    assert training.events == tuple(e.text for e in state.events if e.kind in ("controller", "diverged"))
    assert training.events
    assert training.stopped == state.stopped
    assert (training.stopped is None) == (rate < 5)
    refused = state.stopped is not None and not math.isfinite(state.losses[state.step])
    assert index == state.batch_index(state.step) + refused
    if state.stopped is None:
        assert bits(mine) == bits(state.network)
        assert all(
            torch.equal(a, b) for a, b in zip(averages(training), state.session.average.tensors.values(), strict=True)
        )


def test_a_step_that_a_gradient_scaler_skipped_is_no_update():
    for text in ("sgd(lr=0.1) | linear(1, 0) | ema(decay=0.5)", "adagrad(lr=0.1) | linear(1, 0) | ema(decay=0.5)"):
        training = calando.follow(nn.Linear(2, 1), text, total_steps=10)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
        for skip in (False, True, False):
            loss = (training.network.weight * (torch.inf if skip else 1.0)).sum()
            made = training.step
            scaler.scale(loss).backward()
            scaler.step(training.optimizer)
            scaler.update()
            training.optimizer.zero_grad()
            assert training.step == made + (not skip)


def test_a_skipped_update_is_nothing_to_observe():
    training = calando.follow(nn.Linear(2, 1), "sgd(lr=0.1) | rollback()", total_steps=10)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    for skip in (True, False, True):
        loss = (training.network.weight * (torch.inf if skip else 1.0)).sum()
        scaler.scale(loss).backward()
        scaler.step(training.optimizer)
        scaler.update()
        training.optimizer.zero_grad()
        assert training.observe(loss=1.0) == ()
    assert training.step == 1


def test_who_gave_up_stays_given_up():
    training = calando.follow(nn.Linear(1, 1), "sgd(lr=0.1) | rollback(tries=1, warmup=0)", total_steps=99)
    said = []
    training.network.noted = []
    for loss in (math.nan, math.nan, 1.0):
        training.network.noted.append(loss)
        training.network(torch.ones(1, 1)).sum().backward()
        training.optimizer.step()
        said.append(training.observe(loss=loss))
    assert "rollback gave up after 1 tries" in said[1][0]
    assert training.stopped == said[1][0]
    assert len(training.network.noted) == 3  # what the user notes on it is not taken back
    assert training.done
    assert said[2] == ()


@pytest.mark.parametrize("text", ["sgd(lr=0.1, momentum=0.9) | cosine(1, 0) | ema()", "sam(lr=0.1)", "momo(lr=1)"])
def test_a_range_test_sweeps_its_optimizer_and_gives_it_back(text):
    """As one of the same optimizer without a strategy: nothing of the strategy moves meanwhile."""
    x, y = digits(256)
    loader = [(x[at : at + 32], y[at : at + 32]) for at in range(0, 256, 32)]
    training = calando.follow(network(), text, total_steps=9)
    method, strategy = find_method(text.partition("(")[0]), training.strategy
    plain = network()
    options = method.settle(strategy.options)
    bare = method.build(method.groups.split(plain, options), strategy.lr, options)
    found = [
        calando.find_lr(net, optimizer, cross_entropy, loader, steps=30, repeats=1)
        for net, optimizer in ((training.network, training.optimizer), (plain, bare))
    ]
    assert found[0].curves.rates.tobytes() == found[1].curves.rates.tobytes()
    assert repr(found[0].curves.losses) == repr(found[1].curves.losses)
    assert training.step == 0
    assert training.optimizer.state_dict()["calando"]["averaged"] == 0
    assert bits(training.network) == bits(plain)
