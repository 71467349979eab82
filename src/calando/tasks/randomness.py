"""Random numbers: which samples make batch t, and the generators of this process.

A stream is named by (purpose, seed, count) and leaves no state that a resumed run would have to restore:

    stream(purpose, seed, count) = Philox(key = (seed, purpose), counter = (0, 0, 0, count))

Streams with different names do not overlap (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
`rank_keys` is for choices that must stay the same for ever, such as which samples are held out: it depends on no
library's generator.

    epoch  = step // steps_per_epoch,   steps_per_epoch = size // batch_size
    batch  = permutation(seed, epoch)[i * batch_size : (i + 1) * batch_size],   i = step % steps_per_epoch

Every epoch is another permutation; its last samples that do not fill a batch are left out of that epoch (others are
left out of the next), so that all updates average the same number of samples.

The generators of Python, NumPy and torch are held by one thread at a time, and put back afterwards; so are the current
folder, torch's default type and whether it keeps gradients, which code that draws may change. A run or a read of data
holds them meanwhile: of two studies in two threads one waits while the other trains a run. Other people's threads take
no such lock; `calando.training.foreign` notices them.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calando.errors import DataError
from calando.language import message

if TYPE_CHECKING:
    import torch

__all__ = ["Purpose", "batch_indices", "holding_generators", "holding_seeded", "rank_keys", "steps_per_epoch", "stream"]


class Purpose(IntEnum):
    """What random numbers are for; each use has streams of its own."""

    ORDER = 1
    AUGMENT = 2
    TEST_SPLIT = 3
    VALIDATION_SPLIT = 4
    TRAIN_LIMIT = 5
    MASK = 6
    MIX = 7


def stream(purpose: Purpose, *, seed: int, count: int) -> np.random.Generator:
    """A fresh generator; the same name gives the same numbers."""
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


def steps_per_epoch(size: int, batch_size: int) -> int:
    """Updates in one pass over `size` samples; a last batch that is not full is dropped.

    >>> steps_per_epoch(1000, 128)
    7

    Raises:
        DataError: fewer samples than one batch.
    """
    assert batch_size >= 1
    if batch_size > size:
        raise DataError(
            message(
                "batch size {batch_size} is larger than the training part, which has {size} samples; "
                "choose at most {size}",
                batch_size=batch_size,
                size=size,
            )
        )
    return size // batch_size


def batch_indices(*, size: int, batch_size: int, seed: int, step: int) -> torch.Tensor:
    """int64[batch_size]: the samples of one update, distinct within an epoch.

    >>> first, second = (batch_indices(size=4, batch_size=2, seed=0, step=step).tolist() for step in (6, 7))
    >>> sorted(first + second)
    [0, 1, 2, 3]

    Raises:
        DataError: fewer samples than one batch.
    """
    import torch

    epoch, place = divmod(step, steps_per_epoch(size, batch_size))
    return torch.from_numpy(_permutation(size, seed, epoch)[place * batch_size : (place + 1) * batch_size].copy())


@lru_cache(maxsize=2)
def _permutation(size: int, seed: int, epoch: int) -> np.ndarray:
    return stream(Purpose.ORDER, seed=seed, count=epoch).permutation(size)


_holder = threading.RLock()


@contextmanager
def holding_generators() -> Iterator[None]:
    """Hold the generators; their states are put back at the end. May be nested."""
    import torch

    with _holder:
        states = torch.get_rng_state(), np.random.get_state(), random.getstate()
        kind, gradients, here = torch.get_default_dtype(), torch.is_grad_enabled(), _here()
        try:
            yield
        finally:
            torch.set_default_dtype(kind)
            torch.set_grad_enabled(gradients)
            if here and here != _here():
                os.chdir(here)
            torch.set_rng_state(states[0])
            np.random.set_state(states[1])
            random.setstate(states[2])


def _here() -> Path | None:
    """None where the current folder was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


@contextmanager
def holding_seeded(seed: int) -> Iterator[None]:
    """The same, and what is drawn is a function of the seed."""
    import torch

    with holding_generators():
        # torch.manual_seed would also touch the user's GPU generators.
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        yield


def _renew() -> None:
    """A forked process has no other threads, so a lock that one of them held would never be released."""
    global _holder
    _holder = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
