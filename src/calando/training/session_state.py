"""The state of a session: where it stands, the states that it may go back to, and the running average of its weights.

The average's formula stands with its plan (`calando.strategy.averages`); the first weights are taken as they are.
Averages are float32 or better. Statistics of batch normalisation are not averaged: they are gathered again for the
averaged weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from torch import nn

from calando.controllers import Controller, state_from_json, state_to_json
from calando.controllers.controller import State
from calando.strategy import Average

__all__ = ["Kept", "Memory", "Position", "RunningAverage"]


class Memory(Protocol):
    """Weights, optimizer's state and average at one moment."""

    def put_back(self) -> object:
        """Restore them, to the bit, as often as it is called."""
        ...


@final
@dataclass(frozen=True)
class Position:
    """Where a session stands, besides what network, optimizer and average hold; by controller, in order."""

    step: int
    averaged: int
    controller_states: tuple[State, ...]
    multipliers: tuple[float, ...]

    def document(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "averaged": self.averaged,
            "controller_states": [state_to_json(state) for state in self.controller_states],
            "multipliers": list(self.multipliers),
        }

    @classmethod
    def read(cls, document: Mapping[str, Any], controllers: Sequence[Controller]) -> Position:
        """From a document that `document` gave; KeyError, TypeError or ValueError where it is none."""
        return cls(
            step=int(document["step"]),
            averaged=int(document["averaged"]),
            controller_states=tuple(
                state_from_json(controller, state)
                for controller, state in zip(controllers, document["controller_states"], strict=True)
            ),
            multipliers=tuple(float(value) for value in document["multipliers"]),
        )


@final
@dataclass(frozen=True)
class Kept:
    """A state that a controller may go back to."""

    position: Position
    memory: Memory


class RunningAverage:
    """The average of the weights that a network trains, by name; the network itself is not changed."""

    def __init__(self, network: nn.Module, plan: Average) -> None:
        self.plan = plan
        self.count = 0
        self._weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        self.tensors = {
            name: weight.detach().to(torch.promote_types(weight.dtype, torch.float32), copy=True)
            for name, weight in self._weights.items()
        }

    def update(self, step: int) -> None:
        """Take in the weights after update `step`, if the plan has it."""
        due = step >= self.plan.start and (step - self.plan.start) % self.plan.every == 0
        if not due:
            return
        n, self.count = self.count, self.count + 1
        share = self.plan.share(n)
        for name, weight in self._weights.items():
            if n == 0:
                self.tensors[name].copy_(weight.detach())
            else:
                self.tensors[name].lerp_(weight.detach().to(self.tensors[name].dtype), share)

    @torch.no_grad()
    def put_in(self) -> None:
        """Write the average into the network; the caller has kept the weights."""
        for name, weight in self._weights.items():
            weight.copy_(self.tensors[name])
