"""Feedback as pure functions: (state, observation) -> (state, action).

A schedule knows the rate before training starts; a controller answers to what training does. It keeps no
hidden state: what it remembers is a frozen value that the checkpoint stores as JSON, so a resumed run goes
on to the bit, and what it did stands in the record as events.

A controller's multiplier composes with the schedule's: rate(t) = base * schedule(t) * product of multipliers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Action", "Controller", "Observation", "State", "Wants"]

State = dict[str, float]


@dataclass(frozen=True)
class Wants:
    """What a controller asks the loop for at an update, beyond its loss and evaluation; each has its price.

    Args:
        seen: the value of `Observation` that it answers to: "loss", "validation_loss" or "validation_score".
        dead: to look for gradients that are exactly zero (`Observation.dead`).
        curvature: to measure along the update, for a second pass (`Observation.slope`, `Observation.curvature`).
        ahead: to know the rate that is scheduled for the next update (`Observation.ahead`).
        states: to have a state to go back to: that before this update, where none is kept yet.
    """

    seen: str = "loss"
    dead: bool = False
    curvature: bool = False
    ahead: bool = False
    states: bool = False


@dataclass(frozen=True)
class Observation:
    """What the loop saw after update `step`.

    Args:
        step: index of the update just made, or, for a non-finite loss, just refused.
        loss: its training loss.
        rate: of the first parameter group in it.
        validation_loss: where an evaluation followed this update; else None.
        validation_score: as `validation_loss`, in [0, 1].
        chance: the mean loss of a network that knows how frequent each class is and nothing else: the entropy of the
            training labels, log(classes) where all are equally frequent; None where the loss is not a cross-entropy.
        batch_chance: the loss of that network on the batch of this update; None: as `chance`.
        dead: share of the trained tensors whose gradient is exactly zero, in [0, 1]; None where nobody looked. It
            need not be looked at after every update: a network that is dead stays dead.
        slope, curvature: along the update d just made, on its batch: -g d and d (g' - g), with g and g' the gradients
            before and after it; of a quadratic loss, d H d. Where a controller wants them; else None.
        ahead: the first parameter group's rate at the next update as it is scheduled, without multipliers. Likewise.
        broken: what was found not finite behind a finite loss, in words, such as "validation loss is nan"; "" where
            nothing was, or nobody looked. The loss is that before the update: what the update itself ruins is seen
            where weights are evaluated.
    """

    step: int
    loss: float
    rate: float = 0.0
    validation_loss: float | None = None
    validation_score: float | None = None
    chance: float | None = None
    batch_chance: float | None = None
    dead: float | None = None
    slope: float | None = None
    curvature: float | None = None
    ahead: float | None = None
    broken: str = ""


@dataclass(frozen=True)
class Action:
    """What the controller asks for, from the next update on.

    Args:
        multiplier: of the scheduled rate; in force until the next action says otherwise.
        stop: a reason to end the run as diverged, or None.
        event: a sentence for the record, or "".
        keep: the state after this update is worth coming back to; the loop keeps the last two of these (the first is
            the state before the first update).
        rewind: go back to the older of the two kept states, and leave out the batches trained on since. It wins over
            every `stop`. The controller that asks keeps its own state, all others go back too.
    """

    multiplier: float = 1.0
    stop: str | None = None
    event: str = ""
    keep: bool = False
    rewind: bool = False


class Controller(Protocol):
    """Anything with a first state, wants at each update, and an answer to each observation."""

    def initial(self) -> State:
        """The state before the first update: JSON-safe numbers by name."""
        ...

    def wants(self, step: int) -> Wants:
        """What it needs to see of update `step`; another controller's wants may show it more."""
        ...

    def respond(self, state: State, observation: Observation) -> tuple[State, Action]:
        """The next state and what to do; never changes `state`."""
        ...
