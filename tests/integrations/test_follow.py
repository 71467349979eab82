"""A strategy followed in a loop of one's own: the same updates and the same evaluated weights as calando's own loop."""

import copy
import gc
import io
import math
import pickle
import weakref

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
    assert training.events == tuple(e.text for e in state.events if e.kind in ("controller", "diverged"))
    assert training.events
    assert training.stopped == state.stopped
    assert (training.stopped is None) == (rate < 5)
    refused = state.stopped is not None and not math.isfinite(state.losses[state.step])
    assert index == batch_index(state, state.step) + refused
    if state.stopped is None:
        assert bits(mine) == bits(state.network)
        assert all(torch.equal(a, b) for a, b in zip(averages(training), state.average.tensors.values(), strict=True))


def averages(training) -> list[torch.Tensor]:
    return training.optimizer.state_dict()["calando"]["average"]


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


class Forever(torch.utils.data.Dataset):
    """A loader's workers import this module."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return torch.full((1, 4, 4), float(index)), index % 2


@pytest.mark.timeout(60)
def test_a_loader_whose_workers_stay_is_not_disturbed_between_and_within_epochs():
    orders = []
    for looking in (False, True):
        torch.manual_seed(0)
        loader = torch.utils.data.DataLoader(
            Forever(), batch_size=4, shuffle=True, num_workers=1, persistent_workers=True
        )
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
        training = calando.follow(net, "sgd(lr=0.01) | ema()", total_steps=9)
        order = []
        for _ in range(3):
            for place, (x, y) in enumerate(loader):
                order += x[:, 0, 0, 0].tolist()
                cross_entropy(net(x), y).backward()
                training.optimizer.step()
                training.optimizer.zero_grad()
                if looking and place != 1:
                    with training.evaluated(loader, most=2):
                        pass
        orders.append(order)
    assert orders[0] == orders[1]


def test_what_would_be_lost_or_wrong_within_an_evaluation_is_refused():
    x, y = digits(32)
    for text in ("schedule_free_sgd(lr=1)", "dog()", "sgd(lr=0.1) | ema()"):
        training = calando.follow(network(), text, total_steps=9)
        one_update(training, x, y)
        with training.evaluated([x]):
            with pytest.raises(UsageError, match="save the network's state there to use it, and outside"):
                training.optimizer.state_dict()
            with pytest.raises(UsageError, match=r"an update within evaluated\(\) would be lost"):
                training.optimizer.step()
        one_update(training, x, y)
        assert training.step == 2


def one_update(training, x, y, **options):
    def closure():
        training.optimizer.zero_grad()
        loss = cross_entropy(training.network(x), y)
        loss.backward()
        return loss

    return training.optimizer.step(closure, **options)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_returns_the_loss_of_its_batch(method):
    x, y = digits(32)
    training = calando.follow(network(), settled(f"{method}()"), total_steps=9)
    wanted = cross_entropy(training.network(x), y).item()
    assert torch.as_tensor(one_update(training, x, y)).item() == pytest.approx(wanted, rel=1e-6)


def test_frozen_statistics_stay_frozen():
    """In SAM's second pass; and in an evaluation, whether the network was put into evaluation mode before or not."""
    x, y = digits(32)
    inputs = []
    training = calando.follow(network(hidden=2), "sam(lr=0.1)", total_steps=9)
    training.network[1].eval()
    training.network[3].register_forward_hook(lambda module, given, out: inputs.append(given[0].mean().item()))
    with torch.no_grad():
        training.network[1].running_mean.fill_(5)
    one_update(training, x, y)
    assert inputs[1] == pytest.approx(inputs[0], rel=0.2)

    training = calando.follow(network(hidden=2), "sgd(lr=0.1) | ema()", total_steps=9)
    training.network[1].eval()
    one_update(training, x, y)
    outputs = []
    for prepare in (lambda: None, training.network.eval):
        prepare()
        with training.evaluated([x]):
            outputs.append(training.network(x))
            assert training.network[1].running_mean.abs().max() == 0
    assert torch.equal(*outputs)
    for layer in statistics_of(training.network.train()):
        layer.eval()
    one_update(training, x, y)
    with training.evaluated():  # nothing to gather: no batches are needed
        pass


def test_running_statistics_of_instances_are_of_the_first_pass_too():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.InstanceNorm2d(2, track_running_stats=True), nn.Flatten(), nn.LazyLinear(10)
    )
    x, y = digits(16)
    net(x)
    training = calando.follow(net, "sam(lr=0.1)", total_steps=9)
    net[1].reset_running_stats()
    wanted = 0.1 * net[0](x).mean(dim=(0, 2, 3)).detach()
    one_update(training, x, y)
    torch.testing.assert_close(net[1].running_mean, wanted, rtol=1e-4, atol=1e-6)


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


def test_a_state_is_not_changed_by_what_it_was_loaded_into():
    x, y = digits(32)
    training = calando.follow(network(), "sgd(lr=0.1) | plateau(patience=1, factor=0.5) | ema()", total_steps=9)
    one_update(training, x, y)
    training.observe(validation_loss=1.0)
    state = training.optimizer.state_dict()
    kept = copy.deepcopy(state)
    for _ in range(2):
        training.optimizer.load_state_dict(state)
        assert training.get_last_lr() == [0.1]
        one_update(training, x, y)
        assert training.observe(validation_loss=2.0)
        assert training.get_last_lr() == [0.1]
        one_update(training, x, y)
        assert training.get_last_lr() == [0.05]
        assert repr(state["calando"]) == repr(kept["calando"])


def test_an_average_is_loaded_whatever_wrapped_the_network_and_not_into_another():
    x, y = digits(32)
    text = "sgd(lr=0.1) | ema()"

    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, x):
            return self.module(x)

    wrapped = calando.follow(Wrapper(network()), text, total_steps=9)
    one_update(wrapped, x, y)
    plain = calando.follow(network(), text, total_steps=9)
    plain.optimizer.load_state_dict(wrapped.optimizer.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(averages(plain), averages(wrapped), strict=True))
    other = calando.follow(network(width=4), text, total_steps=9)
    with pytest.raises(UsageError, match="another network: the average's tensors have other shapes"):
        other.optimizer.load_state_dict(wrapped.optimizer.state_dict())
    with pytest.raises(UsageError, match="'calando' in it was written by something else"):
        plain.optimizer.load_state_dict({**plain.optimizer.state_dict(), "calando": {"step": 3}})


def test_it_goes_away_with_its_last_name_and_is_not_copied():
    x, y = digits(32)
    training = calando.follow(network(), "sgd(lr=0.1) | rollback(every=1)", total_steps=9)
    for _ in range(3):
        training.observe(loss=one_update(training, x, y))
    for copied in (copy.deepcopy, copy.copy, pickle.dumps):
        with pytest.raises(UsageError, match="cannot be copied or pickled"):
            copied(training)
    gone = weakref.ref(training.optimizer)
    gc.disable()
    try:
        del training
        assert gone() is None
    finally:
        gc.enable()


def test_who_gave_up_stays_given_up():
    training = calando.follow(nn.Linear(1, 1), "sgd(lr=0.1) | rollback(tries=1, warmup=0)", total_steps=99)
    said = []
    for loss in (math.nan, math.nan, 1.0):
        training.network(torch.ones(1, 1)).sum().backward()
        training.optimizer.step()
        said.append(training.observe(loss=loss))
    assert "rollback gave up after 1 tries" in said[1][0]
    assert training.stopped == said[1][0]
    assert training.done
    assert said[2] == ()


@pytest.mark.parametrize("method", METHODS)
def test_resuming_in_double_precision_changes_no_bit(method):
    x, y = digits(64)
    ends = []
    for cut in (8, 3):
        nets = [network().double() for _ in range(2)]
        training = calando.follow(nets[0], settled(f"{method}()"), total_steps=8)
        for _ in range(cut):
            one_update(training, x.double(), y)
        if cut < 8:
            saved = copy.deepcopy((nets[0].state_dict(), training.optimizer.state_dict()))
            training = calando.follow(nets[1], settled(f"{method}()"), total_steps=8)
            nets[1].load_state_dict(saved[0])
            training.optimizer.load_state_dict(saved[1])
            for _ in range(8 - cut):
                one_update(training, x.double(), y)
        ends.append(bits(training.network))
    assert ends[0] == ends[1]


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
    for wrong, words in (
        ({"strategy": None}, "strategy must be a preset's name, a text or a file, got None"),
        ({"lr": "0.1"}, "lr must be a positive finite number, got '0.1'"),
        ({"chance": -1}, "chance must be a loss above 0"),
        ({"chance": "a"}, "chance must be a loss above 0"),
    ):
        with pytest.raises(UsageError, match=words):
            calando.follow(net, **{"strategy": "cosine", "lr": 1, "total_steps": 9, **wrong})
    training = calando.follow(net, "cosine", lr=1, total_steps=9)
    for wrong, words in (
        ({"batches": 5}, "batches must be a loader or a list of batches, got 5"),
        ({"most": 0}, "most must be a whole number from 1, got 0"),
        ({"forward": 3}, r"forward must be called with \(network, batch\), got 3"),
    ):
        with pytest.raises(UsageError, match=words), training.evaluated(**wrong):
            pass
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
    with pytest.raises(UsageError, match="observe: validation_loss must be one number, got 'a'"):
        moved("sgd | plateau()").observe(validation_loss="a")
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
