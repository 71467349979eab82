"""Divergence watch: a run that is not finite ends at that step. Every run carries it.

    loss         of every batch; its update is not made
    broken       weights, outputs and validation losses, where the network is evaluated; after the last update always

An infinite loss counts as well, also one of a person's own: it has no gradient to go on with. A loss that may be
infinite, such as the logarithm of a probability of zero, must be bounded where it is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from calando.controllers.controller import Action, Observation, State, Wants
from calando.language import message

__all__ = ["Divergence", "not_finite"]


@dataclass(frozen=True)
class Divergence:
    """Stop where the training loss, or anything that an evaluation saw, is nan or infinite.

    >>> _, action = Divergence().respond({}, Observation(step=7, loss=float("nan")))
    >>> action.stop
    'loss is nan at step 7'
    """

    def initial(self) -> State:
        return {}

    def wants(self, step: int) -> Wants:
        return Wants()

    def respond(self, state: State, observation: Observation) -> tuple[State, Action]:
        return state, Action(stop=not_finite(observation) or None)


def not_finite(observation: Observation) -> str:
    """What is not finite, and when; "" where all is.

    >>> not_finite(Observation(step=7, loss=0.5, broken="weights are not finite"))
    'weights are not finite after step 7'
    """
    if not math.isfinite(observation.loss):
        return message("loss is {loss} at step {step}", loss=observation.loss, step=observation.step)
    if not observation.broken:
        return ""
    return message("{what} after step {step}", what=observation.broken, step=observation.step)
