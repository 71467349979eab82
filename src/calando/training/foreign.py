"""Draws that are not ours: a thread that draws from torch's generator, too, changes what dropout drops, by chance.

    between     from the end of an update until the generators are seeded for the next
    batch       while a batch is read that is held in memory: its augmentation has generators of its own
    backward    during the backward pass; one that draws in its first updates is taken for one that draws by itself

In these times nothing of a run's draws, so a generator that has moved was moved by another thread. A thread that draws
at other times only is not noticed; one that goes on is, within a few updates. Looked for where there are other threads.
"""

from __future__ import annotations

import threading
from typing import Literal, final

import torch

from calando.errors import UsageError

__all__ = ["Quiet"]

FIRST = 2

Time = Literal["between", "batch", "backward"]


@final
class Quiet:
    """Times in which torch's generator must stay as it is."""

    def __init__(self) -> None:
        self._before: bytes | None = None
        self._backwards = 0
        self._draws_itself = False

    def begin(self) -> None:
        """From now on nothing of ours draws."""
        self._before = _state() if threading.active_count() > 1 else None

    def end(self, time: Time) -> None:
        """Until now.

        Raises:
            UsageError: somebody did.
        """
        before, self._before = self._before, None
        if time == "backward":
            self._backwards += 1
        if before is None or before == _state():
            return
        if time == "backward" and (self._draws_itself or self._backwards <= FIRST):
            self._draws_itself = True
            return
        raise UsageError(
            "another thread of this process draws from torch's generator while a run is trained, so that scores would "
            'be others each time; train in processes of their own (executor="process"), or give that thread a '
            "torch.Generator of its own"
        )


def _state() -> bytes:
    return torch.get_rng_state().numpy().tobytes()
