"""Feedback as pure functions: (state, observation) -> (state, action).

A schedule knows the rate before training starts; a controller answers to what training does. It keeps no
hidden state: what it remembers is a frozen value that the checkpoint stores as JSON, so a resumed run goes
on to the bit, and what it did stands in the record as events.

A controller's multiplier composes with the schedule's: rate(t) = base * schedule(t) * product of multipliers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Action", "Controller", "Observation", "State"]

State = dict[str, float]


@dataclass(frozen=True)
class Observation:
    """What the loop saw after update `step`.

    Args:
        step: index of the update just made, or, for a non-finite loss, just refused.
        loss: its training loss.
        validation_loss: where an evaluation followed this update; else None.
    """

    step: int
    loss: float
    validation_loss: float | None = None


@dataclass(frozen=True)
class Action:
    """What the controller asks for, from the next update on.

    Args:
        multiplier: of the scheduled rate; in force until the next action says otherwise.
        stop: a reason to end the run as diverged, or None.
        event: a sentence for the record, or "".
    """

    multiplier: float = 1.0
    stop: str | None = None
    event: str = ""


class Controller(Protocol):
    """Anything with a first state and an answer to each observation."""

    def initial(self) -> State:
        """The state before the first update: JSON-safe numbers by name."""
        ...

    def respond(self, state: State, observation: Observation) -> tuple[State, Action]:
        """The next state and what to do; never changes `state`."""
        ...
