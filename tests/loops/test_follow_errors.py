"""What cannot be followed, observed, loaded or copied is reported in one line."""

import copy
import gc
import pickle
import warnings
import weakref

import pytest
import torch
from tests.loops.following import bits, one_update
from tests.methods.method_cases import digits, network
from torch import nn

import calando
from calando.errors import UnknownName, UsageError


def test_where_a_strategy_cannot_be_followed_it_is_said_at_once():
    net = network()
    for text, words, error in (
        ("cosine", r"cosine leaves its rate to trials; pass lr=, .*\(usual for sgd: 0.1\)", UsageError),
        ("cosin", "did you mean 'cosine'", UnknownName),
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


@pytest.mark.parametrize(
    ("text", "words"),
    [("momo", "needs the loss of the batch"), ("sam", "needs a second pass"), ("sgd | edge()", "needs a second pass")],
)
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


def test_nobody_else_may_drive_it():
    training = calando.follow(network(), "sgd(lr=0.1) | cosine(1, 0)", total_steps=4)
    for drive in (calando.attach, calando.LRScheduler):
        with pytest.raises(UsageError, match="if it is of calando.follow, write the schedule into its strategy"):
            drive(training.optimizer, "linear(1, 0)", total_steps=4)


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


def test_a_controller_that_is_not_given_the_loss_is_reported_once():
    training = calando.follow(nn.Linear(1, 1), "sgd(lr=0.1) | rollback(patience=3)", total_steps=10)

    def update() -> None:
        training.network(torch.ones(1, 1)).sum().backward()
        training.optimizer.step()

    update()
    training.observe(loss=1.0)
    update()
    with pytest.warns(
        UserWarning, match=r"rollback\(patience=3\) answers to the training loss .* update 1: call observe"
    ):
        update()
    update()
    assert training.step == 4


def test_a_closure_returns_the_loss():
    training = calando.follow(network(), "sam(lr=0.1)", total_steps=10)
    with pytest.raises(UsageError, match="the closure must return the loss, one number, got None"):
        training.optimizer.step(lambda: None)
    assert training.step == 0


@pytest.mark.parametrize("observed", [False, True])
def test_a_plateau_that_is_shown_nothing_says_so_once(observed):
    training = calando.follow(network(), "sgd(lr=0.1) | plateau()", total_steps=10)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(10):
            training.optimizer.step()
            if observed and step == 2:
                training.observe(validation_loss=1.0)
    warned = [str(one.message) for one in caught if "can do nothing" in str(one.message)]
    expected = "answers to validation loss and was given none in 5 updates: call observe(validation_loss=…) after each"
    assert len(warned) == (not observed)
    assert all(expected in one for one in warned)
