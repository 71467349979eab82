"""What recent training losses tell: is this one far above them, and does the network know anything?

    usual      the median of the last 32 losses
    y          asinh(20 * loss / chance): logarithmic for losses that matter, linear for those near zero
    spread     1.4826 * median |y - median y|, at least 0.05
    high       y > median y + 6 * spread,  and  loss > (usual + chance) / 2: half of what was learned is lost

Where classes are unequal, a batch that holds more rare samples than usual has a higher loss with no harm done. On a
batch that is HARDER than usual for a network that knows class shares alone, a high loss is above that network's.

Medians, because a batch's loss has heavy tails; and the second condition, because a rate that rises on purpose makes
the loss rise as well, though not back to chance. Where chance is not known (no cross-entropy), the median of the first
16 losses stands for it.

The window is kept in a controller's state, an entry a loss, so that a checkpoint has it to the bit.
"""

from __future__ import annotations

import math

from calando.controllers.base import State

__all__ = ["LEAST", "WINDOW", "empty_window", "is_high", "remember"]

WINDOW = 32
LEAST = 16
SPREADS = 6.0
LEAST_SPREAD = 0.05
SHARPNESS = 20.0
HARDER = 1.02
SIGMA = 1.4826  # the standard deviation of a normal distribution over its median absolute deviation

_ENTRIES = tuple(f"loss {index}" for index in range(WINDOW))


def empty_window() -> State:
    """No losses; "usual" is inf as long as there are fewer than 16."""
    return {"losses": 0.0, "usual": math.inf}


def remember(state: State, loss: float) -> None:
    """Write a finite loss into the window of `state`, over the oldest where it is full."""
    count = int(state["losses"])
    state[_ENTRIES[count % WINDOW]] = loss
    state["losses"] = count + 1.0
    if count + 1 >= LEAST:
        state["usual"] = _median(_window(state))


def is_high(state: State, loss: float, *, chance: float, batch_chance: float | None = None) -> bool:
    """Whether `loss` is far above those in the window; False before there are 16.

    >>> state = empty_window()
    >>> for index in range(20):
    ...     remember(state, 1 + 0.1 * (-1) ** index)
    >>> is_high(state, 1.5, chance=2.3), is_high(state, 3, chance=2.3)
    (False, True)

    Args:
        state: with the window.
        loss: of the last update.
        chance: the mean loss of a network that knows class shares alone.
        batch_chance: its loss on the batch of this update; None: the same.
    """
    if loss <= (state["usual"] + chance) / 2:
        return False
    if batch_chance is not None and batch_chance > HARDER * chance and loss <= batch_chance:
        return False
    scale = SHARPNESS / abs(chance) if chance else SHARPNESS
    window = [math.asinh(scale * value) for value in _window(state)]
    middle = _median(window)
    spread = max(SIGMA * _median([abs(value - middle) for value in window]), LEAST_SPREAD)
    return math.asinh(scale * loss) > middle + SPREADS * spread


def _window(state: State) -> list[float]:
    return [state[entry] for entry in _ENTRIES[: int(state["losses"])]]


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
