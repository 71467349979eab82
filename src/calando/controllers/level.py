"""How the last training losses compare with chance: the level of a network, 1 where it knows class shares alone.

    level    1 + mean of (min(loss, 2 c) - c) / chance,  over the last 16 losses

c is the loss that a network at chance has on the same batch (`Observation.batch_chance`): which classes a batch happens
to hold is no knowledge. A mean, because where classes are unequal most batches of a network that always names one class
have a loss far below chance, and a few one far above: their median says that it learned. Cut at twice c, because a
single batch may have any loss.

Where the window's batches hold much fewer rare samples than usual, c below 3/4 of chance in the mean, the level says
nothing: on frequent classes alone any network is better than chance.

The window is kept in a controller's state, an entry a loss, so that a checkpoint has it to the bit.
"""

from __future__ import annotations

import math

from calando.controllers.base import Observation, State

__all__ = ["empty_level", "level_of", "remember_level"]

WINDOW = 16
MOST = 2.0
LEAST_OWN = 0.75

_EXCESS = tuple(f"excess {index}" for index in range(WINDOW))
_OWN = tuple(f"own {index}" for index in range(WINDOW))


def empty_level() -> State:
    """No losses."""
    return {"compared": 0.0}


def remember_level(state: State, observation: Observation) -> None:
    """Write how far a finite loss is above chance into the window of `state`, over the oldest where it is full."""
    chance = observation.chance
    if chance is None:
        return
    own = chance if observation.batch_chance is None else observation.batch_chance
    count = int(state.get("compared", 0.0))  # a state of before there was such a window
    state[_EXCESS[count % WINDOW]] = (min(observation.loss, MOST * own) - own) / chance
    state[_OWN[count % WINDOW]] = own / chance
    state["compared"] = count + 1.0


def level_of(state: State) -> float:
    """The level; inf where it is unknown: fewer than 16 losses, nothing to compare them with, or too few rare samples.

    >>> state = empty_level()
    >>> for loss in [0.5] * 15 + [100]:
    ...     remember_level(state, Observation(step=0, loss=loss, chance=2.0))
    >>> level_of(state)
    0.359375
    """
    if state.get("compared", 0.0) < WINDOW:
        return math.inf
    if math.fsum(state[entry] for entry in _OWN) < LEAST_OWN * WINDOW:
        return math.inf
    return 1.0 + math.fsum(state[entry] for entry in _EXCESS) / WINDOW
