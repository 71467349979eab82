"""What a person lends is trained, and then restored bit by bit, in place: on success, exception and Ctrl-C.

    with restoring(model, optimizer, scaler, source=loader) as start_again:
        ...                 train
        start_again()       model, optimizer and scaler as they were lent; generators and the loader go on
        ...                 train again

At the end everything is as it was: parameters, buffers, gradients (None too), requires_grad, train/eval modes and other
attributes of modules; parameter groups (tensor rates in place) and state of optimizers; scalers; what a loss function
or `forward` reaches (`calando.training.reachable`); the generators of Python, NumPy and torch (CPU, CUDA); and a
loader's position, if attributes or generators of the loader, its samplers and data set hold it, or its `state_dict`.

Tensors keep their memory and their identity, and so do their gradients; dictionaries, lists and sets keep theirs.
Memory is known by its address, so what several tensors share is copied once.
"""

from __future__ import annotations

import copy
import random
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, final

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from calando.errors import UsageError
from calando.language import message
from calando.training.reachable import is_from, note_reached

__all__ = ["Snapshot", "Undo", "restoring", "undisturbed_loader"]

Undo = Callable[[], object]

OPENED = (nn.Module, Optimizer, torch.amp.GradScaler)  # objects whose attributes are theirs alone
# What cannot change, or is not ours to look into.
CLOSED = (str, bytes, int, float, complex, type(None), type, FunctionType, BuiltinFunctionType, MethodType, ModuleType)

# What runs by itself, and what it waits on: restored to an earlier state, it would wait for ever.
RUNNING = ("torch.utils.data.dataloader", "queue", "_queue", "threading", "_thread", "multiprocessing", "concurrent")
MOST_PARTS = 64  # a list of a loader's that is longer holds samples, not transforms or samplers


@final
class Snapshot:
    """What objects were when they were noted, to which `put_back` restores them, as often as it is called.

    >>> layer = nn.Linear(1, 1)
    >>> snapshot, before = Snapshot(), layer.weight.item()
    >>> snapshot.note(layer)
    >>> layer.weight.data += 1
    >>> snapshot.put_back()
    >>> layer.weight.item() == before
    True
    """

    def __init__(self) -> None:
        self._seen: dict[int, object] = {}  # holds them, so that no other gets the same id
        self._memory: set[tuple[str, int]] = set()
        self._undo: list[Undo] = []

    def put_back(self) -> None:
        for undo in self._undo:
            undo()

    def note(self, value: object) -> None:
        """A value and what it holds: containers, tensors, generators, modules, optimizers, scalers."""
        waiting = [value]
        while waiting:
            value = waiting.pop()
            if isinstance(value, CLOSED) or not self.first_sight(value):
                continue
            if isinstance(value, torch.Tensor):
                waiting.append(self._note_tensor(value))
            elif isinstance(value, OPENED):
                waiting.append(vars(value))
            elif not self.note_generator(value):
                waiting.extend(self.note_container(value))

    def note_global_generators(self) -> None:
        """The global ones; CUDA's only where it is in use, as a question would start it."""
        for get, put in (
            (random.getstate, random.setstate),
            (np.random.get_state, np.random.set_state),
            (torch.get_rng_state, torch.set_rng_state),
        ):
            self.note_state(get, put)
        if torch.cuda.is_initialized():
            self.note_state(torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all)

    def first_sight(self, value: object) -> bool:
        if id(value) in self._seen:
            return False
        self._seen[id(value)] = value
        return True

    def note_state(self, get: Callable[[], Any], put: Callable[[Any], object]) -> None:
        """`put` will be called with what `get` returns now."""
        state = get()
        self._undo.append(lambda: put(state))

    def note_generator(self, value: object) -> bool:
        """The state of a random number generator; False if it is none."""
        if isinstance(value, torch.Generator | np.random.RandomState):
            self.note_state(value.get_state, value.set_state)
        elif isinstance(value, random.Random):
            self.note_state(value.getstate, value.setstate)
        elif isinstance(value, np.random.Generator | np.random.BitGenerator):
            bits = value.bit_generator if isinstance(value, np.random.Generator) else value
            self.note_state(lambda: copy.deepcopy(bits.state), lambda state: setattr(bits, "state", state))
        else:
            return False
        return True

    def note_container(self, value: object) -> list[object]:
        """An array's numbers, or which members a container has; these are returned."""
        if isinstance(value, dict):
            self._undo.append(_of_members(value))
            return list(value.values())
        if isinstance(value, list | deque | set | tuple):
            if not isinstance(value, tuple):
                self._undo.append(_of_set(value) if isinstance(value, set) else _of_members(value))
            return list(value)
        if isinstance(value, np.ndarray) and value.flags.writeable:
            held = value.copy()
            self._undo.append(lambda: np.copyto(value, held))
        return []

    def _note_tensor(self, value: torch.Tensor) -> torch.Tensor | None:
        """Its memory, place, `requires_grad` and gradient; the gradient is returned."""
        if isinstance(value, UninitializedParameter | UninitializedBuffer):
            raise UsageError(
                message("the network has lazy layers, whose weights depend on the first batch; run one through it")
            )
        if value.device.type == "meta":
            return None
        alias = value.detach()  # the same memory, which is where the values must come back
        if value.layout is not torch.strided or type(alias) not in (torch.Tensor, nn.Parameter, nn.Buffer):
            held = alias.clone()
            self._undo.append(lambda: alias.copy_(held))
        else:
            self._note_memory(value.untyped_storage())
        leaf = value.is_leaf
        asks, grad = value.requires_grad, value.grad if leaf else None

        def undo() -> None:
            if not _same_place(value, alias):
                value.data = alias
            if leaf and value.requires_grad != asks:
                value.requires_grad_(asks)
            if leaf and value.grad is not grad:
                value.grad = grad

        self._undo.append(undo)
        return grad

    def _note_memory(self, memory: torch.UntypedStorage) -> None:
        size, place = memory.nbytes(), (str(memory.device), memory.data_ptr())
        if size == 0 or place in self._memory:
            return
        self._memory.add(place)
        held = memory.clone()

        def undo() -> None:
            if memory.nbytes() != size:
                memory.resize_(size)
            memory.copy_(held)

        self._undo.append(undo)


def _of_members(value: dict[Any, Any] | list[Any] | deque[Any]) -> Undo:
    held: list[Any] = list(value.items() if isinstance(value, dict) else value)

    def members() -> list[int]:
        entries = value.items() if isinstance(value, dict) else zip(value, strict=True)
        return [id(one) for entry in entries for one in entry]

    before = members()

    def undo() -> None:
        if members() != before:
            value.clear()
            value.update(held) if isinstance(value, dict) else value.extend(held)

    return undo


def _of_set(value: set[Any]) -> Undo:
    members = set(value)

    def undo() -> None:
        value.intersection_update(members)
        value.update(members)

    return undo


def _same_place(value: torch.Tensor, other: torch.Tensor) -> bool:
    if value.layout is not torch.strided or type(other) is not torch.Tensor:
        return True
    return (
        value.data_ptr() == other.data_ptr()
        and value.dtype == other.dtype
        and value.shape == other.shape
        and value.stride() == other.stride()
    )


@contextmanager
def restoring(*objects: object, reached: Sequence[object] = (), source: object = None) -> Iterator[Undo]:
    """Restore everything at the end; what is yielded restores the objects in between.

    Args:
        objects: modules, optimizers, scalers, and containers of them; anything else is left alone.
        reached: functions and objects that the training calls; what they reach is restored too.
        source: what batches come from.

    Raises:
        UsageError: a network with lazy layers, whose first batch cannot be undone; a source that can be read only once;
            a function that reaches an iterator.

    >>> layer = nn.Linear(1, 1)
    >>> before = layer.weight.clone()
    >>> with restoring(layer):
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
    """A loader's, and that of its parts; samples are left alone."""
    if isinstance(source, Iterator) and not _keeps_state(source):
        raise UsageError(
            message(
                "the loader is an iterator ({kind}), whose batches cannot be put back; pass what it was made "
                "from: a DataLoader, a list of batches, or an object of yours with __iter__",
                kind=type(source).__name__,
            )
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
            # Also a DataLoader that keeps state: if that were loaded, its next pass would not begin at the start.
            waiting.append(getattr(value, "__dict__", None))


def undisturbed_loader(loader: Iterable[Any]) -> Iterable[Any]:
    """The same batches, from other workers where the loader's persist: the person's loop may be under way."""
    if isinstance(loader, DataLoader) and loader.persistent_workers:
        twin = copy.copy(loader)
        twin._iterator = None
        return twin
    return loader


def _runs_by_itself(value: object) -> bool:
    return not isinstance(value, DataLoader) and is_from(value, RUNNING)


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
    """Ctrl-C waits until the end, also a second one."""
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
