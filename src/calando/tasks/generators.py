"""The generators of this process (Python's, NumPy's, torch's): held by one thread at a time, and put back afterwards.

So are the current folder, torch's default type and whether it keeps gradients, which code that draws may change.

Whoever draws from them on our behalf, a run or a look at data, holds them meanwhile: of two studies in two threads
one waits while the other trains a run. Threads that are not ours ask nobody; `calando.training.foreign` notices them.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

__all__ = ["holding_generators", "holding_seeded"]

_holder = threading.RLock()


@contextmanager
def holding_generators() -> Iterator[None]:
    """Nobody else of ours draws meanwhile; the states are put back at the end. May be nested."""
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
    with holding_generators():
        # torch.manual_seed would also touch the user's GPU generators.
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        yield


def _renew() -> None:
    """In a forked process there are no other threads, and nobody to let go of what one of them held."""
    global _holder
    _holder = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
