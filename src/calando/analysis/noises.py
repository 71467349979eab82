"""Simulated scores whose truth is known: what runs, spreads and test sets can be like. Used by `calibration`.

Every strategy is equal to every other; shapes are [studies, strategies, seeds].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calando.analysis.paired import Floats
from calando.analysis.siblings import siblings

__all__ = ["NOISES", "ROUNDED", "SCALE", "UNEQUAL", "Draw", "diverging", "families", "rounded"]

Draw = Callable[[np.random.Generator, tuple[int, int, int]], Floats]

SCALE = 0.001


def _uneven(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    spread = np.exp(rng.uniform(0, np.log(10), (*shape[:2], 1)))
    return np.asarray(spread * rng.standard_normal(shape))


def _evenly_uneven(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    return np.asarray(rng.uniform(1, 10, (*shape[:2], 1)) * rng.standard_normal(shape))


def _some(share: float, *, wider: float) -> Draw:
    """Normal scores of spread 1, but of spread `wider` for that share of the strategies: one at least, never all."""

    def draw(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
        spread = np.ones((shape[1], 1))
        spread[: min(max(1, round(share * shape[1])), shape[1] - 1)] = wider
        return np.asarray(spread * rng.standard_normal(shape))

    return draw


def diverging(share: float) -> Draw:
    """Normal scores, of which a share falls to chance: 85 points below, in units of `SCALE`."""
    return lambda rng, shape: np.where(rng.random(shape) < share, -850.0, rng.standard_normal(shape))


def families(size: int, correlation: float) -> Draw:
    """Scores of siblings (`siblings`), so many to a family."""
    return lambda rng, shape: siblings(rng, shape, family=size, correlation=correlation)


NOISES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "t, 3 degrees of freedom": lambda rng, shape: rng.standard_t(3, shape),
    "t, 2 degrees of freedom": lambda rng, shape: rng.standard_t(2, shape),
    "Laplace": lambda rng, shape: rng.laplace(size=shape),
    "skewed (negative exponential)": lambda rng, shape: -rng.exponential(size=shape),
    "skewed (exponential)": lambda rng, shape: rng.exponential(size=shape),
    "normal, each strategy its own spread (1 to 10)": _uneven,
    "normal, one strategy of spread 5, the others 1": _some(0, wider=5),
    "normal, one strategy of spread 10, the others 1": _some(0, wider=10),
    "normal, a quarter of spread 10, the others 1": _some(0.25, wider=10),
    "normal, half of spread 3, the others 1": _some(0.5, wider=3),
    "normal, 2% of runs diverge to chance": diverging(0.02),
}
"""Noise of one run's score; times `SCALE` they are scores."""

UNEQUAL: dict[str, Draw] = {
    "evenly between 1 and 10": _evenly_uneven,
    **{
        f"{share:.0%} of spread {wider}": _some(share, wider=wider)
        for share in (0, 0.12, 0.25, 0.5, 0.75, 1)
        for wider in (2, 3, 5, 10)
    },
}
"""More spreads between 1 and 10 that strategies of one study can have; 0%: one strategy, 100%: all but one."""

ROUNDED: dict[str, tuple[float, int]] = {
    "360 test images, sd 0.1 points": (0.001, 360),
    "360 test images, sd 0.3 points": (0.003, 360),
    "360 test images, sd 1 point": (0.01, 360),
    "10000 test images, sd 0.01 points": (0.0001, 10_000),
    "10000 test images, sd 0.2 points": (0.002, 10_000),
}
"""Normal scores as test sets give them: name -> (standard deviation, test images)."""


def rounded(rng: np.random.Generator, shape: tuple[int, int, int], *, sd: float, images: int) -> Floats:
    """Equal strategies near 95%, their scores multiples of 1 / images; where 95% lies between two is random."""
    centre = 0.95 + rng.uniform(0, 1 / images, (shape[0], 1, 1))
    return np.asarray(np.round((centre + sd * rng.standard_normal(shape)) * images) / images)
