"""What is lent comes back: objects of the user's are trained, and then put back bit by bit, in place.

    with lending(model, optimizer, scaler, source=loader) as start_again:
        ...                 train
        start_again()       model, optimizer and scaler as they were lent; generators and the loader go on
        ...                 train again

On the way out, whatever happened, everything is as it was: parameters, buffers, gradients (None too), requires_grad,
train/eval modes and other attributes of modules; parameter groups (tensor rates in place) and state of optimizers;
scalers; what a loss function or `forward` reaches (`calando.training.reach`); the generators of Python, NumPy and torch
(CPU, CUDA); and a loader's position, where that is in attributes or generators of the loader, its samplers and data
set, or in its `state_dict`.
A second Ctrl-C waits until that is done.
"""

from __future__ import annotations

import copy
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from calando.errors import UsageError
from calando.training.reach import at_home, note_reached
from calando.training.snapshot import CLOSED, Snapshot, Undo

__all__ = ["lending", "undisturbed_loader"]

# What runs by itself, and what it waits on: put back to an earlier state, it would wait for ever.
RUNNING = ("torch.utils.data.dataloader", "queue", "_queue", "threading", "_thread", "multiprocessing", "concurrent")
MOST_PARTS = 64  # a list of a loader's that is longer holds samples, not transforms or samplers


@contextmanager
def lending(*objects: object, reached: Sequence[object] = (), source: object = None) -> Iterator[Undo]:
    """Put everything back at the end; what is yielded puts the objects back in between.

    Args:
        objects: modules, optimizers, scalers, and containers of them; anything else is left alone.
        reached: functions and objects that are called meanwhile; what they reach is lent too
            (`calando.training.reach`).
        source: what batches come from.

    Raises:
        UsageError: a network with lazy layers, whose first batch cannot be undone; a source that can be read once only;
            a function that reaches an iterator.

    >>> layer = nn.Linear(1, 1)
    >>> before = layer.weight.clone()
    >>> with lending(layer):
    ...     layer.weight.data += 1
    >>> torch.equal(layer.weight, before)
    True
    """
    lent, world = Snapshot(), Snapshot()
    for value in objects:
        lent.note(value)
    note_reached(lent, *reached)
    world.note_global_generators()
    _note_position(world, source)
    try:
        yield lent.put_back
    finally:
        with _undisturbed():
            lent.put_back()
            world.put_back()


def _note_position(world: Snapshot, source: object) -> None:
    """That of a loader and of what it is made of; samples are left alone."""
    if isinstance(source, Iterator) and not _keeps_state(source):
        raise UsageError(
            f"the loader is an iterator ({type(source).__name__}), whose batches cannot be put back; pass what it was "
            "made from: a DataLoader, a list of batches, or an object of yours with __iter__"
        )
    waiting = [source]
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor | np.ndarray):
            if value.ndim == 1 and not _holds_fractions(value):  # an order of samples
                world.note(value)
        elif (
            isinstance(value, CLOSED)
            or _runs_by_itself(value)
            or not world.first_sight(value)
            or world.note_generator(value)
        ):
            continue
        elif isinstance(value, dict | list | tuple | deque | set):
            parts = world.note_container(value)
            waiting.extend(parts if len(parts) <= MOST_PARTS else ())
        elif _keeps_state(value) and not isinstance(value, DataLoader | nn.Module):
            _note_state_dict(world, value)
        else:
            # A DataLoader that keeps state too: told to begin there, its next pass would not begin at the start.
            waiting.append(getattr(value, "__dict__", None))


def undisturbed_loader(loader: Iterable[Any]) -> Iterable[Any]:
    """The same batches, from workers of its own where the loader's are kept for the loop that may be going on."""
    if isinstance(loader, DataLoader) and loader.persistent_workers:
        twin = copy.copy(loader)
        twin._iterator = None
        return twin
    return loader


def _runs_by_itself(value: object) -> bool:
    return not isinstance(value, DataLoader) and at_home(value, RUNNING)


def _note_state_dict(world: Snapshot, value: Any) -> None:
    world.note_state(
        lambda: copy.deepcopy(value.state_dict()), lambda state: value.load_state_dict(copy.deepcopy(state))
    )


def _keeps_state(value: object) -> bool:
    return callable(getattr(value, "state_dict", None)) and callable(getattr(value, "load_state_dict", None))


def _holds_fractions(value: torch.Tensor | np.ndarray) -> bool:
    return value.is_floating_point() if isinstance(value, torch.Tensor) else value.dtype.kind not in "iub"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C waits until the end."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    asked: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if asked:
            signal.raise_signal(asked[0])
