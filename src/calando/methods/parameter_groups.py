"""Parameter groups with names, by which schedules and hyper-parameters can differ.

split_by_decay    weight decay belongs to weight matrices and filters, not to norms and biases
                      decay      parameters of two dimensions or more
                      no_decay   the others: biases, scales and shifts of normalisation layers
layer_groups      one group for each part of the network, for rates that differ from layer to layer

Sources: He et al. 2019, *Bag of Tricks*, section 3.1 ("no bias decay"); Howard & Ruder 2018, *ULMFiT*, section 3.2
(discriminative fine-tuning).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calando.errors import UsageError
from calando.language import message

if TYPE_CHECKING:
    from torch import nn

__all__ = ["decay_group_names", "layer_groups", "split_by_decay"]


def split_by_decay(network: nn.Module, *, weight_decay: float) -> list[dict[str, Any]]:
    """Named groups for an optimizer; one group where nothing decays.

    Raises:
        UsageError: no parameter requires a gradient, or one has no shape yet.

    >>> import torch
    >>> [(g["name"], len(g["params"])) for g in split_by_decay(torch.nn.Linear(2, 3), weight_decay=0.1)]
    [('decay', 1), ('no_decay', 1)]
    """
    trained = _trained(network)
    if weight_decay == 0:
        return [{"name": "all", "params": trained}]
    groups = [
        {"name": "decay", "params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"name": "no_decay", "params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def decay_group_names(weight_decay: float) -> tuple[str, ...]:
    """The groups that `split_by_decay` may make.

    >>> decay_group_names(0.0), decay_group_names(0.1)
    (('all',), ('decay', 'no_decay'))
    """
    return ("all",) if weight_decay == 0 else ("decay", "no_decay")


def layer_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Named groups for an optimizer: one for each child of the network that is trained, in order.

    Parameters of the network itself, outside its children, come first, in the group "own". A parameter that several
    children share belongs to the first.

    Raises:
        UsageError: no parameter requires a gradient, or one has no shape yet.

    >>> import torch
    >>> from torch import nn
    >>> network = nn.Sequential()
    >>> network.add_module("body", nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3)))
    >>> network.add_module("head", nn.Linear(3, 1))
    >>> [(g["name"], len(g["params"])) for g in layer_groups(network)]
    [('body', 4), ('head', 2)]

    A tenth of the rate for the body:

    >>> import calando
    >>> optimizer = torch.optim.SGD(layer_groups(network), lr=0.1)
    >>> scheduler = calando.LRScheduler(optimizer, "cosine(1, 0) * per_group({'body': 0.1}, others=1)", total_steps=10)
    >>> scheduler.get_last_lr()
    [0.010000000000000002, 0.1]
    """
    left = dict.fromkeys(_trained(network))  # those not yet in a group, in order
    parts = [("own", network.parameters(recurse=False))]
    parts += [(name, child.parameters()) for name, child in network.named_children()]
    groups = []
    for name, parameters in parts:
        mine = [parameter for parameter in parameters if parameter in left]
        for parameter in mine:
            del left[parameter]
        if mine:
            groups.append({"name": name, "params": mine})
    return groups


def _trained(network: nn.Module) -> list[nn.Parameter]:
    from torch.nn.parameter import UninitializedParameter

    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not trained:
        raise UsageError(
            message("the network has no parameter that asks for a gradient; unfreeze some before training")
        )
    if any(isinstance(parameter, UninitializedParameter) for parameter in trained):
        raise UsageError(
            message("the network has lazy layers, whose weights depend on the first batch; give their sizes")
        )
    return trained
