"""Which samples make batch t: a pure function of (seed, step).

    epoch  = step // steps_per_epoch,   steps_per_epoch = size // batch_size
    batch  = permutation(seed, epoch)[i * batch_size : (i + 1) * batch_size],   i = step % steps_per_epoch

Every epoch is a fresh permutation; its last samples that do not fill a batch are left out of that epoch
(others are left out of the next), so that all updates average the same number of samples.

Randomness is counter-based (Philox): the key is the seed and the purpose, the counter is the step or epoch. So no
generator has a state that a resumed run would have to restore.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from calando.errors import DataError
from calando.tasks.streams import Purpose, stream

__all__ = ["batch_indices", "steps_per_epoch"]


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
            f"batch size {batch_size} is larger than the training part, which has {size} samples; choose at most {size}"
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
    epoch, place = divmod(step, steps_per_epoch(size, batch_size))
    return torch.from_numpy(_permutation(size, seed, epoch)[place * batch_size : (place + 1) * batch_size].copy())


@lru_cache(maxsize=2)
def _permutation(size: int, seed: int, epoch: int) -> np.ndarray:
    return stream(Purpose.ORDER, seed=seed, count=epoch).permutation(size)
