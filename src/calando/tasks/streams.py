"""Random numbers without leftover state: a stream is named by (purpose, seed, count).

    stream(purpose, seed, count) = Philox(key = (seed, purpose), counter = (0, 0, 0, count))

Streams with different names do not overlap (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
`rank_keys` is for choices that must stay the same for ever, such as which samples are held out: it depends on no
library's generator.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

__all__ = ["Purpose", "rank_keys", "stream"]


class Purpose(IntEnum):
    """What random numbers are for; each use has streams of its own."""

    ORDER = 1
    AUGMENT = 2
    TEST_SPLIT = 3
    VALIDATION_SPLIT = 4
    TRAIN_LIMIT = 5


def stream(purpose: Purpose, *, seed: int, count: int) -> np.random.Generator:
    """A fresh generator; the same name gives the same numbers.

    >>> first, again = (stream(Purpose.ORDER, seed=0, count=3).integers(100) for _ in range(2))
    >>> int(first) == int(again)
    True
    """
    low = 2**64 - 1
    return np.random.Generator(np.random.Philox(key=[seed & low, int(purpose)], counter=[0, 0, 0, count & low]))


def rank_keys(count: int, purpose: Purpose) -> np.ndarray:
    """uint64[count]: distinct keys whose order is a fixed shuffle of the numbers 0 … count-1.

    key(i) = splitmix64(i + purpose · 2^40); splitmix64 is a bijection (Steele, Lea & Flood, 2014).

    >>> rank_keys(3, Purpose.TEST_SPLIT).argsort().tolist() == rank_keys(4, Purpose.TEST_SPLIT)[:3].argsort().tolist()
    True
    """
    z = np.arange(count, dtype=np.uint64) + np.uint64(int(purpose) << 40)
    z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
