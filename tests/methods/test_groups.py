"""Parameter groups: every trained parameter is in one, under the name it is spoken of by."""

import pytest
import torch
from torch import nn

import calando
from calando.errors import UsageError
from calando.methods.parameter_groups import decay_group_names, split_by_decay


class Net(nn.Module):
    """Shares a weight between two children, has a parameter of its own, and a frozen child."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 4)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 4)
        self.head.weight = self.embed.weight
        self.scale = nn.Parameter(torch.ones(1))
        self.relu = nn.ReLU()


def test_layers_are_groups_by_the_childrens_names_and_shared_weights_count_once():
    network = Net()
    groups = calando.layer_groups(network)
    assert [(group["name"], len(group["params"])) for group in groups] == [
        ("own", 1),
        ("embed", 2),
        ("body", 4),
        ("head", 1),
    ]
    torch.optim.SGD(groups, lr=0.1)  # which refuses a parameter that comes twice
    found = {id(parameter) for group in groups for parameter in group["params"]}
    assert found == {id(parameter) for parameter in network.parameters() if parameter.requires_grad}


def test_rates_are_said_of_layers_by_name():
    optimizer = torch.optim.SGD(calando.layer_groups(Net()), lr=1.0)
    text = "cosine(1, 0) * per_group({'embed': 0.25, 'body': 0.5}, others=1)"
    assert calando.LRScheduler(optimizer, text, total_steps=10).get_last_lr() == [1.0, 0.25, 0.5, 1.0]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_groups_by_decay_have_the_names_that_strategies_know(weight_decay):
    names = [group["name"] for group in split_by_decay(Net(), weight_decay=weight_decay)]
    assert names == list(decay_group_names(weight_decay))


@pytest.mark.parametrize("make", [calando.layer_groups, lambda network: split_by_decay(network, weight_decay=0.1)])
@pytest.mark.parametrize(
    ("network", "message"),
    [(nn.Linear(2, 2).requires_grad_(False), "no parameter"), (nn.LazyLinear(3), "lazy layers")],
)
def test_networks_with_nothing_to_train_are_refused(make, network, message):
    with pytest.raises(UsageError, match=message):
        make(network)
