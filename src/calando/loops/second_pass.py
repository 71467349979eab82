"""Two passes over a batch by a user's closure: the gradient at the weights, then at wherever a method moves them.

Both see the same dropout, and running statistics are those of the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from calando.training.batch_norm import holding_statistics

__all__ = ["Closure", "second_pass"]

Closure = Callable[[], Any]


def second_pass(network: nn.Module, optimizer: Optimizer, closure: Closure) -> Closure:
    """Call the closure for the gradient at the weights as they are; what is returned calls it once more.

    Returns:
        A closure that gives the first pass's loss.
    """
    devices = {parameter.device for parameter in network.parameters() if parameter.is_cuda}
    dice = torch.get_rng_state(), {device: torch.cuda.get_rng_state(device) for device in devices}
    optimizer.zero_grad(set_to_none=True)
    with torch.enable_grad():
        loss = closure()

    def again() -> Any:
        optimizer.zero_grad(set_to_none=True)
        torch.set_rng_state(dice[0])
        for device, state in dice[1].items():
            torch.cuda.set_rng_state(state, device)
        with torch.enable_grad(), holding_statistics(network):
            closure()
        return loss

    return again
