"""A closure is torch's: called once or twice, with the same dropout, for the loss of the batch."""

import pytest
import torch
from tests.loops.following import one_update, settled
from tests.methods.method_cases import digits, network
from torch import nn
from torch.nn.functional import cross_entropy

import calando
from calando.methods import METHODS


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


@pytest.mark.parametrize("method", METHODS)
def test_a_step_returns_the_loss_of_its_batch(method):
    x, y = digits(32)
    training = calando.follow(network(), settled(f"{method}()"), total_steps=9)
    wanted = cross_entropy(training.network(x), y).item()
    assert torch.as_tensor(one_update(training, x, y)).item() == pytest.approx(wanted, rel=1e-6)


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
