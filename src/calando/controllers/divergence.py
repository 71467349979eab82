"""Divergence watch: a run whose loss is not finite ends at that step. Every run carries it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from calando.controllers.base import Action, Observation, State, Wants

__all__ = ["Divergence"]


@dataclass(frozen=True)
class Divergence:
    """Stop where the training loss is nan or infinite.

    >>> _, action = Divergence().respond({}, Observation(step=7, loss=float("nan")))
    >>> action.stop
    'loss is nan at step 7'
    """

    def initial(self) -> State:
        """Nothing to remember."""
        return {}

    def wants(self, step: int) -> Wants:
        """Nothing but the loss."""
        return Wants()

    def respond(self, state: State, observation: Observation) -> tuple[State, Action]:
        """Ask for a stop at the first non-finite loss."""
        if math.isfinite(observation.loss):
            return state, Action()
        return state, Action(stop=f"loss is {observation.loss} at step {observation.step}")
