"""Parameter groups: weight decay belongs to weight matrices and filters, not to norms and biases.

    decay      parameters of two dimensions or more
    no_decay   the others: biases, scales and shifts of normalisation layers

Source: He et al. 2019, *Bag of Tricks*, section 3.1 ("no bias decay").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calando.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["split_by_decay"]


def split_by_decay(network: nn.Module, *, weight_decay: float) -> list[dict[str, Any]]:
    """Named groups for an optimizer; one group where nothing decays.

    Raises:
        UsageError: no parameter asks for a gradient, or one has no shape yet.

    >>> import torch
    >>> [(g["name"], len(g["params"])) for g in split_by_decay(torch.nn.Linear(2, 3), weight_decay=0.1)]
    [('decay', 1), ('no_decay', 1)]
    """
    from torch.nn.parameter import UninitializedParameter

    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not trained:
        raise UsageError("the network has no parameter that asks for a gradient; unfreeze some before training")
    if any(isinstance(parameter, UninitializedParameter) for parameter in trained):
        raise UsageError("the network has lazy layers, whose weights depend on the first batch; give their sizes")
    if weight_decay == 0:
        return [{"name": "all", "params": trained}]
    groups = [
        {"name": "decay", "params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"name": "no_decay", "params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
