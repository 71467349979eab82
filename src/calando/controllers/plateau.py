"""Plateau: cut the rate when the validation loss stops falling.

    best   <- min over evaluations of the validation loss, where a fall by less than `threshold` does not count
    factor is applied each time `patience` steps pass without a new best, counted from the last best or cut

Also known as ReduceLROnPlateau (torch, mode "min", threshold_mode "rel"), but patience is in steps, not in
calls, and the result is a multiplier, so it composes with any schedule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from calando.controllers.base import Action, Observation, State
from calando.errors import UsageError

__all__ = ["Plateau"]


@dataclass(frozen=True)
class Plateau:
    """Multiply the rate by `factor` after `patience` steps without progress, down to `floor`.

    Args:
        factor: in (0, 1).
        patience: steps, at least 1.
        threshold: relative fall of the validation loss that counts as progress, in [0, 1).
        floor: smallest multiplier, in [0, 1].

    Raises:
        UsageError: a value outside its range.

    >>> plateau = Plateau(factor=0.5, patience=10)
    >>> state = plateau.initial()
    >>> for step, loss in [(9, 1.0), (19, 1.0), (29, 0.5), (39, 0.6)]:
    ...     state, action = plateau.respond(state, Observation(step=step, loss=1.0, validation_loss=loss))
    ...     print(action.multiplier, action.event)
    1.0
    0.5 rate multiplied by 0.5: no progress on validation loss 1 for 10 steps
    0.5
    0.25 rate multiplied by 0.5: no progress on validation loss 0.5 for 10 steps
    """

    factor: float = 0.1
    patience: int = 1
    threshold: float = 1e-4
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.factor < 1:
            raise UsageError(f"plateau: factor must be in (0, 1), got {self.factor}")
        if self.patience < 1:
            raise UsageError(f"plateau: patience must be at least 1 step, got {self.patience}")
        if not 0 <= self.threshold < 1:
            raise UsageError(f"plateau: threshold must be in [0, 1), got {self.threshold}")
        if not 0 <= self.floor <= 1:
            raise UsageError(f"plateau: floor must be in [0, 1], got {self.floor}")

    def initial(self) -> State:
        """No best yet, full rate."""
        return {"best": math.inf, "since": 0, "multiplier": 1.0}

    def respond(self, state: State, observation: Observation) -> tuple[State, Action]:
        """Answer only where an evaluation followed the update."""
        loss, best, multiplier = observation.validation_loss, state["best"], state["multiplier"]
        if loss is None:
            return state, Action(multiplier=multiplier)
        if loss < best * (1 - self.threshold):
            return {"best": loss, "since": observation.step, "multiplier": multiplier}, Action(multiplier=multiplier)
        if observation.step - state["since"] < self.patience or multiplier <= self.floor:
            return state, Action(multiplier=multiplier)
        cut = max(multiplier * self.factor, self.floor)
        event = f"rate multiplied by {self.factor:g}: no progress on validation loss {best:g} for {self.patience} steps"
        return {"best": best, "since": observation.step, "multiplier": cut}, Action(multiplier=cut, event=event)
