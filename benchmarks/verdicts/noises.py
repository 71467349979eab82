"""Simulated scores whose truth is known: what runs, spreads and test sets can be like.

Every strategy is equal to every other; shapes are [studies, strategies, seeds].

Siblings are runs that share a past: at each seed alike within a family, independent from seed to seed.

    score of strategy i at seed s = sqrt(c) · F(family of i, s) + sqrt(1 - c) · e(i, s)        F, e: standard normal

Runs that were trained from one fork have so much in common that their scores are correlated (c). No fork is shared
between seeds, so seeds stay independent: the comparison takes differences seed by seed, and what siblings have in
common leaves them. Two families look like two strategies, though, and say less of each other's spread than the number
of strategies promises; the critical values of a borrowed spread allow for that.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from calando.analysis.paired import Floats

__all__ = ["NOISES", "ROUNDED", "SCALE", "UNEQUAL", "Draw", "diverging", "families", "rounded", "siblings"]


def siblings(rng: np.random.Generator, shape: tuple[int, int, int], *, family: int, correlation: float) -> Floats:
    """Noise of the scores of equal strategies, of which each so many in a row are siblings.

    Args:
        shape: [studies, strategies, seeds].
        family: how many strategies share a past; the last family may be smaller.
        correlation: of two siblings' scores at one seed, in [0, 1].

    Returns:
        [studies, strategies, seeds], each of standard deviation 1.

    >>> drawn = siblings(np.random.default_rng(0), (2, 3, 4), family=2, correlation=1.0)
    >>> bool((drawn[:, 0] == drawn[:, 1]).all()), bool((drawn[:, 0] == drawn[:, 2]).any())
    (True, False)
    """
    assert family >= 1
    assert 0 <= correlation <= 1
    studies, strategies, seeds = shape
    shared = rng.standard_normal((studies, -(-strategies // family), seeds)).repeat(family, axis=1)[:, :strategies]
    own = rng.standard_normal(shape)
    return np.asarray(math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own)


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
    """Scores of siblings, so many to a family."""
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
