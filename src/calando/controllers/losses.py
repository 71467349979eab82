"""What recent training losses show: is this one far above them, and does the network know anything?

    usual      the median of the last 32 losses
    y          asinh(20 * loss / chance): logarithmic for losses that matter, linear for those near zero
    spread     1.4826 * median |y - median y|, at least 0.05
    high       y > median y + 6 * spread,  and  loss > (usual + chance) / 2: half of what was learned is lost
    level      1 + mean of (min(loss, 2 c) - c) / chance,  over the last 16 losses: 1 where only class shares are known

Where classes are unequal, a batch that holds more rare samples than usual has a higher loss with no harm done. On a
batch that is HARDER than usual for a network that knows class shares alone, a high loss is above that network's.

Medians, because a batch's loss has heavy tails; and the second condition, because a rate that rises on purpose makes
the loss rise as well, though not back to chance. Where chance is not known (no cross-entropy), the median of the first
16 losses stands for it.

In the level, c is the loss that a network at chance has on the same batch (`Observation.batch_chance`): which classes a
batch happens to hold is no knowledge. A mean, because where classes are unequal most batches of a network that always
names one class have a loss far below chance, and a few one far above: their median says that it learned. Cut at twice
c, because a single batch may have any loss. Where the window's batches hold much fewer rare samples than usual, c below
3/4 of chance in the mean, the level means nothing: on frequent classes alone any network is better than chance.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from calando.controllers.controller import Observation

__all__ = ["AT_CHANCE", "LEAST", "LEVEL_WINDOW", "WINDOW", "Losses", "Standing"]

WINDOW = 32
LEAST = 16
SPREADS = 6.0
LEAST_SPREAD = 0.05
SHARPNESS = 20.0
HARDER = 1.02
SIGMA = 1.4826  # the standard deviation of a normal distribution over its median absolute deviation

LEVEL_WINDOW = 16
AT_CHANCE = 0.98  # a network that died stays near the level of chance, not at or above it
MOST = 2.0
LEAST_OWN = 0.75


class Losses(NamedTuple):
    """The last training losses.

    Attributes:
        window: at most 32 of them, all finite, oldest first.
        seen: how many there were.
        usual: the median of `window`; inf as long as there are fewer than 16.
    """

    window: tuple[float, ...] = ()
    seen: int = 0
    usual: float = math.inf

    def after(self, loss: float) -> Losses:
        """With a finite loss more."""
        window = (*self.window, loss)[-WINDOW:]
        return Losses(window, self.seen + 1, _median(window) if self.seen + 1 >= LEAST else self.usual)

    def is_high(self, loss: float, *, chance: float, batch_chance: float | None = None) -> bool:
        """Whether `loss` is far above those in the window; False before there are 16.

        >>> losses = Losses()
        >>> for index in range(20):
        ...     losses = losses.after(1 + 0.1 * (-1) ** index)
        >>> losses.is_high(1.5, chance=2.3), losses.is_high(3, chance=2.3)
        (False, True)

        Args:
            loss: of the last update.
            chance: the mean loss of a network that knows class shares alone.
            batch_chance: its loss on the batch of this update; None: the same.
        """
        if loss <= (self.usual + chance) / 2:
            return False
        if batch_chance is not None and batch_chance > HARDER * chance and loss <= batch_chance:
            return False
        scale = SHARPNESS / abs(chance) if chance else SHARPNESS
        window = [math.asinh(scale * value) for value in self.window]
        middle = _median(window)
        spread = max(SIGMA * _median([abs(value - middle) for value in window]), LEAST_SPREAD)
        return math.asinh(scale * loss) > middle + SPREADS * spread


class Standing(NamedTuple):
    """How the last training losses stand to chance; empty where chance is not known.

    Attributes:
        excess: at most 16 of (min(loss, 2 c) - c) / chance, oldest first.
        own: the c / chance of the same updates.
    """

    excess: tuple[float, ...] = ()
    own: tuple[float, ...] = ()

    def after(self, observation: Observation) -> Standing:
        """With a finite loss more."""
        chance = observation.chance
        if chance is None:
            return self
        own = chance if observation.batch_chance is None else observation.batch_chance
        excess = (min(observation.loss, MOST * own) - own) / chance
        return Standing((*self.excess, excess)[-LEVEL_WINDOW:], (*self.own, own / chance)[-LEVEL_WINDOW:])

    @property
    def level(self) -> float:
        """1 at chance, 0 where all is known; inf where it is unknown: fewer than 16 losses, or too few rare samples.

        >>> standing = Standing()
        >>> for loss in [0.5] * 15 + [100]:
        ...     standing = standing.after(Observation(step=0, loss=loss, chance=2.0))
        >>> standing.level
        0.359375
        """
        if len(self.excess) < LEVEL_WINDOW or math.fsum(self.own) < LEAST_OWN * LEVEL_WINDOW:
            return math.inf
        return 1.0 + math.fsum(self.excess) / LEVEL_WINDOW


def _median(values: tuple[float, ...] | list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
