"""Who saves the optimizer has saved the strategy, to the bit and whatever wraps the network."""

import copy
import io

import pytest
import torch
from tests.loops.following import Deeper, averages, bits, one_update, settled, train
from tests.methods.method_cases import digits, network
from tests.training.small_runs import a_workload
from torch import nn

import calando
from calando.errors import UsageError
from calando.methods import METHODS


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
        drawn = [workload.batch(index, seed=0).inputs for index in range(4)]
        with training.evaluated(drawn):
            ends.append([*bits(training.network), repr(training.events).encode()])
    assert ends[0] == ends[1]


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
