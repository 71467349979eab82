"""A strategy followed in a loop of one's own: the same updates and the same evaluated weights as calando's own loop."""

import copy
import io
import math

import pytest
import torch
from tests.optim.method_cases import digits, network
from tests.training.small_runs import Bare, a_run, a_workload
from torch import nn
from torch.nn.functional import cross_entropy

import calando
from calando.errors import UnknownName, UsageError
from calando.optim import METHODS, PRESETS, find_method, read_strategy
from calando.training.batch_norm import statistics_of
from calando.training.evaluate import evaluate
from calando.training.lane import holding_lane, seed_step
from calando.training.loop import advance
from calando.training.rewind import batch_index
from calando.training.state import start

PER_EPOCH = 6
TEXTS = {name: preset.text for name, preset in PRESETS.items() if name != "edge"}
TEXTS["plateau-training"] = (
    "adamw(lr=auto) | cosine(1, 0) | plateau(patience=3, metric='training_loss') | ema(decay=0.8)"
)
TEXTS["groups"] = "sgd(lr=auto, weight_decay=0.1, momentum=0.9) | per_group({'no_decay': 2}, others=linear(1, 0))"
TEXTS["momentum"] = "sgd(lr=auto, momentum=0.9) | linear(1, 0) | momentum: linear(1, 0.5)"


class Deeper(nn.Module):
    """Batch norm, dropout, and a hidden layer for muon."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (1, 4):
            layers += [nn.Conv2d(before, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 3))

    def forward(self, x):
        return self.layers(x)


def settled(text: str):
    """With a rate; and its method's usual one."""
    strategy = read_strategy(text)
    return strategy.model_copy(update={"lr": strategy.lr or find_method(strategy.method).usual_rate})


def train(training, workload, *, seed: int, batches: range, evaluate_every: int = 0, lane=None):
    """A loop as a user writes it, on the batches of a run of ours."""
    for index in batches:
        seed_step(seed, index)
        images, labels = workload.batch(index, seed=seed)

        def closure(images=images, labels=labels):
            training.optimizer.zero_grad()
            loss = workload.loss(training.network(images).float(), labels)
            loss.backward()
            closure.losses.append(loss.item())
            return loss

        closure.losses = []
        training.optimizer.step(closure)
        if any(c.wants(0).seen == "loss" for c in training._updates.controllers):
            training.observe(loss=closure.losses[0])
        elif training.strategy.controllers and training.step % evaluate_every == 0:
            with training.evaluated():
                loss, _ = evaluate(training.network, workload, workload.validation, lane=lane)
            training.observe(validation_loss=loss)


def bits(module: nn.Module) -> list[bytes]:
    return [value.numpy().tobytes() for value in module.state_dict().values()]


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
        drawn = [workload.batch(index, seed=spec.seed)[0] for index in range(20)]
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
    assert training.events == tuple(e.text for e in state.events if e.kind == "controller")
    assert training.events
    assert training.stopped == state.stopped
    assert (training.stopped is None) == (rate < 5)
    refused = state.stopped is not None and not math.isfinite(state.losses[state.step])
    assert index == batch_index(state, state.step) + refused
    if state.stopped is None:
        assert bits(mine) == bits(state.network)
        assert all(torch.equal(a, b) for a, b in zip(averages(training), state.average.tensors.values(), strict=True))


def averages(training) -> list[torch.Tensor]:
    return list(training.optimizer.state_dict()["calando"]["average"].values())


@pytest.mark.parametrize("method", METHODS)
def test_who_saves_the_optimizer_has_saved_the_strategy(method):
    """Through torch.save, read without pickle: the resumed half equals the uninterrupted one to the bit."""
    workload = a_workload(Deeper)
    schedule = {"any": " | linear(0.1, 1, over=3) >> cosine(1, 0)", "warmup": " | linear(0.1, 1, over=3)", "none": ""}
    text = settled(method + "()").text + schedule[METHODS[method].schedules]
    if METHODS[method].schedules == "any":
        text += " | plateau(patience=2, metric='training_loss')"
    text += "" if METHODS[method].eval_mode else " | ema(decay=0.9)"
    ends = []
    for cut in (12, 5):
        torch.manual_seed(3)
        training = calando.follow(Deeper(), text, total_steps=12)
        train(training, workload, seed=0, batches=range(cut))
        if cut < 12:
            file = io.BytesIO()
            torch.save({"net": training.network.state_dict(), "optimizer": training.optimizer.state_dict()}, file)
            file.seek(0)
            saved = torch.load(file, weights_only=True)
            training = calando.follow(Deeper(), text, total_steps=12)
            training.network.load_state_dict(saved["net"])
            training.optimizer.load_state_dict(saved["optimizer"])
            assert training.step == cut
            train(training, workload, seed=0, batches=range(cut, 12))
        drawn = [workload.batch(index, seed=0)[0] for index in range(4)]
        with training.evaluated(drawn):
            ends.append([*bits(training.network), repr(training.events).encode()])
    assert ends[0] == ends[1]


@pytest.mark.parametrize("text", ["schedule_free_sgd(lr=1)", "dog()", "sgd(lr=0.1) | ema(decay=0.5)", "sgd(lr=0.1)"])
def test_evaluating_leaves_no_trace(text):
    """Weights, optimizer, modes, generators and the order of a shuffled loader: training goes on as if unseen."""
    x, y = digits(96)
    ends = []
    for looking in (False, True):
        torch.manual_seed(5)
        training = calando.follow(network(), text, total_steps=12)
        training.network[1].eval()  # frozen statistics stay frozen
        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(x, y),
            batch_size=16,
            shuffle=True,
            generator=torch.Generator().manual_seed(1),
        )
        for _ in range(2):
            for inputs, labels in loader:
                cross_entropy(training.network(inputs), labels).backward()
                training.optimizer.step()
                training.optimizer.zero_grad()
            frozen = training.network[1].running_mean.clone()
            if looking:
                before = bits(training.network)
                with training.evaluated(loader):
                    assert not any(module.training for module in training.network.modules())
                    assert torch.equal(training.network[1].running_mean, frozen)
                    assert (bits(training.network) != before) == (text != "sgd(lr=0.1)")
                    training.network.noted = training.network(x).argmax(1)
                    torch.rand(3)
                assert training.network.noted.shape == y.shape
                with pytest.raises(KeyboardInterrupt), training.evaluated(loader):
                    raise KeyboardInterrupt
        modes = [module.training for module in training.network.modules()]
        ends.append((bits(training.network), modes, torch.rand(1).item()))
    assert ends[0][:2] == ends[1][:2]
    assert (ends[0] == ends[1]) == (text != "sgd(lr=0.1)")  # what is evaluated as it is, is not lent


@pytest.mark.parametrize(
    "batches",
    [
        lambda x, y: [(x, y), (x, y)],
        lambda x, y: [x, x],
        lambda x, y: [{"input": x}],
        lambda x, y: torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=len(x)),
    ],
    ids=["pairs", "inputs", "mappings", "loader"],
)
def test_statistics_are_those_of_the_batches_whatever_their_make(batches):
    x, y = digits(64)
    training = calando.follow(network(), "sgd(lr=0.1) | ema(decay=0.5)", total_steps=4)
    for _ in range(4):
        cross_entropy(training.network(x), y).backward()
        training.optimizer.step()
        training.optimizer.zero_grad()
    with training.evaluated(batches(x, y)):
        layer = statistics_of(training.network)[0]
        wanted = training.network[0](x).mean(dim=(0, 2, 3))
        torch.testing.assert_close(layer.running_mean, wanted, rtol=1e-4, atol=1e-5)
    with training.evaluated([y], forward=lambda net, batch: net(x + 1)):
        assert not torch.allclose(layer.running_mean, wanted, atol=1e-3)


def test_sam_takes_its_second_pass_on_the_same_dice_and_leaves_statistics_of_the_first():
    seen = []

    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))

        def forward(self, x):
            seen.append(torch.rand(2).tolist())
            return self.layers(x)

    training = calando.follow(Noisy(), "sam(lr=0.1)", total_steps=3)
    x = torch.randn(8, 3)
    for _ in range(3):
        before = training.network.layers[1].num_batches_tracked.item()

        def closure():
            training.optimizer.zero_grad()
            loss = training.network(x).square().mean()
            loss.backward()
            return loss

        training.optimizer.step(closure)
        assert training.network.layers[1].num_batches_tracked.item() == before + 1
    assert [seen[k] == seen[k + 1] for k in range(5)] == [True, False, True, False, True]


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


def test_where_a_strategy_cannot_be_followed_it_is_said_at_once():
    net = network()
    for text, words, error in (
        ("cosine", r"cosine leaves its rate to trials; pass lr=, .*\(usual for sgd: 0.1\)", UsageError),
        ("cosin", "did you mean 'cosine'", UnknownName),
        ("sgd(lr=0.1) | edge()", "edge measures by a second pass", UsageError),
        ("sgd(lr=0.1) | horizon('5 epochs')", r"leave out horizon\('5 epochs'\)", UsageError),
        ("sgd(lr=0.1) | step(every='1 epoch', factor=0.1)", "pass steps_per_epoch=", UsageError),
        ("sgd(lr=0.1) | per_group({'head': 2}, others=1)", "unknown parameter group", UnknownName),
        ("swa", "pass lr=", UsageError),
        ("muon", "pass lr=", UsageError),
    ):
        with pytest.raises(error, match=words):
            calando.follow(net, text, total_steps=10)
    with pytest.raises(UsageError, match="pass steps_per_epoch="):
        calando.follow(net, "swa", lr=0.1, total_steps=10)
    with pytest.raises(UsageError, match="muon is for hidden layers"):
        calando.follow(nn.Linear(2, 1), "muon", lr=0.1, total_steps=10)
    with pytest.raises(UsageError, match="lr must be a positive finite number, got -1"):
        calando.follow(net, "cosine", lr=-1, total_steps=10)
    with pytest.raises(UsageError, match="total_steps"):
        calando.follow(net, "cosine", lr=1, total_steps=0)
    with pytest.raises(UsageError, match="network must be a torch.nn.Module, got list"):
        calando.follow([net], "cosine", lr=1, total_steps=10)


@pytest.mark.parametrize(("text", "words"), [("momo", "needs the loss of the batch"), ("sam", "needs a second pass")])
def test_a_method_that_needs_a_closure_says_how_it_looks(text, words):
    training = calando.follow(network(), text, lr=0.1, total_steps=10)
    before = bits(training.network)
    with pytest.raises(UsageError, match=rf"{words}.*: optimizer.step\(closure\), where the closure clears gradients"):
        training.optimizer.step()
    assert training.step == 0
    assert bits(training.network) == before


def test_what_is_observed_wrongly_is_refused():
    net = nn.Linear(1, 1)

    def moved(text: str):
        training = calando.follow(net, text, lr=0.1, total_steps=10)
        net(torch.ones(1, 1)).sum().backward()
        training.optimizer.step()
        return training

    with pytest.raises(UsageError, match="nothing answers to validation_loss: the strategy has no controller"):
        moved("cosine").observe(validation_loss=1.0)
    with pytest.raises(UsageError, match="nothing answers to validation_loss: validation_score is what is read"):
        moved("sgd | plateau(metric='validation_score')").observe(validation_loss=1.0)
    with pytest.raises(UsageError, match=r"rollback\(\) answers to the training loss: pass loss= after every update"):
        moved("sgd | plateau() | rollback()").observe(validation_loss=1.0)
    training = moved("sgd | plateau()")
    assert training.observe(validation_loss=1.0, loss=2.0) == ()
    with pytest.raises(UsageError, match="none was made since the last call"):
        training.observe(validation_loss=1.0)


def test_a_state_of_something_else_is_refused_and_changes_nothing():
    net = network()
    training = calando.follow(net, "sgd(lr=0.1, momentum=0.9) | cosine(1, 0)", total_steps=10)
    other = calando.follow(network(), "sgd(lr=0.2, momentum=0.9) | cosine(1, 0)", total_steps=10)
    longer = calando.follow(network(), "sgd(lr=0.1, momentum=0.9) | cosine(1, 0)", total_steps=20)
    bare = torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.9)
    for state, words in (
        (other.optimizer.state_dict(), "saved with strategy='sgd.lr=0.2"),
        (longer.optimizer.state_dict(), "saved with total_steps=20; here it is 10"),
        (bare.state_dict(), "the optimizer was saved without its strategy"),
    ):
        with pytest.raises(UsageError, match=words):
            training.optimizer.load_state_dict(state)
        assert training.optimizer.param_groups[0]["lr"] == 0.1


def test_evaluating_another_weights_statistics_needs_batches():
    x, y = digits(32)
    training = calando.follow(network(), "schedule_free_sgd(lr=1)", total_steps=4)
    with pytest.raises(UsageError, match=r"pass training batches: evaluated\(loader\)"), training.evaluated():
        pass
    with pytest.raises(UsageError, match="there was none"), training.evaluated([]):
        pass
    with pytest.raises(UsageError, match="the loader is an iterator"), training.evaluated(iter([(x, y)])):
        pass
    with calando.follow(nn.Linear(1, 1), "schedule_free_sgd(lr=1)", total_steps=4).evaluated():
        pass


def test_nobody_else_may_drive_it():
    training = calando.follow(network(), "sgd(lr=0.1) | cosine(1, 0)", total_steps=4)
    for drive in (calando.attach, calando.LRScheduler):
        with pytest.raises(UsageError, match="if it is of calando.follow, write the schedule into its strategy"):
            drive(training.optimizer, "linear(1, 0)", total_steps=4)


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
