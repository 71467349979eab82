"""The weights to judge, meanwhile: theirs the statistics, and no trace afterwards."""

import pytest
import torch
from tests.loops.following import bits, one_update
from tests.methods.method_cases import digits, network
from torch import nn
from torch.nn.functional import cross_entropy

import calando
from calando.errors import UsageError
from calando.training.network_statistics import statistics_of


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


class Forever(torch.utils.data.Dataset):
    """A loader's workers import this module."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return torch.full((1, 4, 4), float(index)), index % 2


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


def test_an_evaluation_within_another_changes_nothing():
    x, y = digits(32)
    for text in ("schedule_free_sgd(lr=1)", "sgd(lr=0.1) | ema()"):
        training = calando.follow(network(), text, total_steps=9)
        one_update(training, x, y)
        before = bits(training.network)
        with training.evaluated([x]):
            judged = bits(training.network)
            with training.evaluated([x]):
                assert bits(training.network) == judged
            assert bits(training.network) == judged
            with pytest.raises(UsageError, match="would be lost"):
                training.optimizer.step()
        assert bits(training.network) == before
        one_update(training, x, y)
