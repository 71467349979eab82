"""What a person's function reaches: the modules, optimizers, tensors and generators that a call of it may change.

    functions        closure cells, defaults, attributes, and the globals that their code names
    bound methods    the object, and the functions of its class
    partial          function and arguments
    schedulers       their step and their attributes; optimizers with attached schedules likewise
    other objects    attributes, slots, and what their class holds; modules too

Each is noted with the cell, name, attribute or entry that holds it, and what the first call makes is removed
afterwards. Numbers, texts and lists of them are records of what happened (losses, a counter), which stay. So do
loaders, threads, files and what runs by itself, and the globals of installed packages.
"""

from __future__ import annotations

import functools
import inspect
import io
import itertools
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset, Sampler

from calando.errors import UsageError
from calando.language import message

if TYPE_CHECKING:
    from calando.training.restore import Snapshot

__all__ = ["is_from", "note_reached"]

STATE = (
    nn.Module, Optimizer, torch.amp.GradScaler, torch.Tensor, torch.Generator, np.ndarray, np.random.Generator,
    np.random.RandomState, random.Random,
)  # fmt: skip
CLOSED = (
    str, bytes, bytearray, int, float, complex, type(None), range, slice, torch.dtype, torch.device, torch.Size,
    BuiltinFunctionType, io.IOBase, DataLoader, Dataset, Sampler,
)  # fmt: skip
RUNNING = (
    "torch.utils.data.dataloader", "torch.distributed", "queue", "_queue", "threading", "_thread", "multiprocessing",
    "concurrent", "asyncio", "logging", "tqdm", "rich", "lightning", "pytorch_lightning", "accelerate",
)  # fmt: skip
MOST_PARTS = 1024  # a longer container without state in its first entries holds samples


def note_reached(snapshot: Snapshot, *values: object) -> None:
    """Note what these functions and objects reach; UsageError where one consumes an iterator, which cannot be restored.

    >>> from calando.training.restore import Snapshot
    >>> ema, snapshot = torch.zeros(1), Snapshot()
    >>> note_reached(snapshot, functools.partial(torch.add, ema))
    >>> _ = ema.add_(5)
    >>> snapshot.put_back()
    >>> ema
    tensor([0.])
    """
    walk = _Walk(snapshot)
    for value in values:
        walk.follow(value)


def is_from(value: object, homes: Iterable[str]) -> bool:
    """Whether an object's class is defined in one of these modules or below."""
    home = type(value).__module__
    return any(home == name or home.startswith(f"{name}.") for name in homes)


@final
class _Walk:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.seen: dict[int, object] = {}  # holds them, so that no other gets the same id
        self.waiting: list[object] = []

    def follow(self, value: object) -> None:
        """Note all that is reached from one object."""
        self.waiting.append(value)
        while self.waiting:
            found = self.waiting.pop()
            if isinstance(found, CLOSED) or id(found) in self.seen:
                continue
            self.seen[id(found)] = found
            if isinstance(found, STATE):
                self.snapshot.note(found)
                if isinstance(found, Optimizer):
                    self._followed(found)
                if isinstance(found, nn.Module):
                    self._object(found)
            elif isinstance(found, LRScheduler):
                self._place(found)
                self.waiting += self.snapshot.note_container(vars(found))
            elif isinstance(found, MethodType):
                self._function(found.__func__, owner=found.__self__)
                self.waiting.append(found.__self__)
            elif isinstance(found, FunctionType):
                self._function(found)
            elif isinstance(found, functools.partial):
                named = {str(place): one for place, one in enumerate(found.args)} | found.keywords
                self._refuse_iterators(named, "a partial")
                self.waiting += [found.func, *named.values()]
            elif isinstance(found, dict | list | tuple | deque | set | frozenset):
                self._container(found)
            elif not isinstance(found, ModuleType):
                self._object(found)

    def _followed(self, optimizer: Optimizer) -> None:
        """Note the place in the schedule of `calando.attach` or `calando.follow`."""
        for hook in getattr(optimizer, "_optimizer_state_dict_post_hooks", {}).values():
            self._place(getattr(inspect.unwrap(hook), "__self__", None))

    def _place(self, follower: object) -> None:
        if callable(keep_place := getattr(follower, "keep_place", None)):
            self.snapshot.note_state(keep_place, lambda put_back: put_back())

    def _function(self, function: Any, *, owner: object = None) -> None:
        if not isinstance(function, FunctionType):
            self.waiting.append(function)
            return
        where, named = function.__qualname__, set(_names(function.__code__))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._bound(name, _content(cell), functools.partial(setattr, cell, "cell_contents"), where)
            self.snapshot.note_state(functools.partial(_content, cell), functools.partial(_refill, cell))
        if not _installed(function.__code__.co_filename, function.__module__):
            around = function.__globals__
            self._made_later(around, named)
            for name in named & around.keys():
                self._bound(name, around[name], functools.partial(around.__setitem__, name), where)
                if isinstance(around[name], ModuleType):
                    self._module(around[name], named, where)
        defaults = {str(place): one for place, one in enumerate(function.__defaults__ or ())}
        defaults |= function.__kwdefaults__ or {}
        self._refuse_iterators(defaults, where)
        self.waiting += [*defaults.values(), vars(function)]
        kept = getattr(owner, "__dict__", {})
        self._refuse_iterators({name: kept[name] for name in named & kept.keys()}, where)

    def _module(self, module: ModuleType, named: set[str], where: str) -> None:
        """Follow what the code names of a person's own module."""
        if not _installed(getattr(module, "__file__", None), module.__name__):
            kept = vars(module)
            for name in named & kept.keys():
                self._bound(name, kept[name], functools.partial(setattr, module, name), where)

    def _bound(self, name: str, value: object, put: Callable[[Any], object], where: str) -> None:
        """Follow what a name is bound to, and note the binding."""
        self._refuse_iterators({name: value}, where)
        self.waiting.append(value)
        if isinstance(value, STATE):
            self.snapshot.note_state(lambda: value, put)

    def _made_later(self, place: Any, names: set[str] | None = None) -> None:
        """Note that these names, or all entries, may get state that was not there."""
        before = dict(place) if names is None else {name: place[name] for name in names if name in place}

        def undo(_: object) -> None:
            for name in list(place) if names is None else [name for name in names if name in place]:
                if isinstance(place[name], STATE) and before.get(name) is not place[name]:
                    if name in before:
                        place[name] = before[name]
                    else:
                        del place[name]

        self.snapshot.note_state(lambda: None, undo)

    def _container(self, found: Any) -> None:
        parts = list(found.values()) if isinstance(found, dict) else list(found)
        stateful = any(isinstance(part, STATE) for part in parts[:MOST_PARTS])
        if stateful:
            self.snapshot.note_container(found)
        elif isinstance(found, dict):
            self._made_later(found)
        if stateful or len(parts) <= MOST_PARTS:
            self.waiting += parts

    def _object(self, found: Any) -> None:
        """Follow any other object, or a class."""
        if is_from(found, RUNNING):
            return
        kind: type = found if isinstance(found, type) else type(found)
        if kind is not found:
            self.waiting.append(getattr(found, "__dict__", None))
        for base in kind.__mro__:
            if kind is not found:
                for name in _slots(base):
                    self._bound(name, getattr(found, name, None), functools.partial(setattr, found, name), "")
            if not _installed(getattr(sys.modules.get(base.__module__), "__file__", None), base.__module__):
                for name, held in vars(base).items():
                    self._held_by_class(base, name, held)

    def _held_by_class(self, kind: type, name: str, held: object) -> None:
        if isinstance(held, STATE):
            self._bound(name, held, functools.partial(setattr, kind, name), "")
        elif isinstance(held, staticmethod | classmethod):
            self.waiting.append(held.__func__)
        elif isinstance(held, property):
            self.waiting += [held.fget, held.fset]
        elif isinstance(held, FunctionType | dict | list | tuple | deque | set):
            self.waiting.append(held)

    def _refuse_iterators(self, held: Mapping[str, object], where: str) -> None:
        for name, value in held.items():
            if where and isinstance(value, Iterator) and not isinstance(value, io.IOBase | itertools.count):
                raise UsageError(
                    message(
                        "{where} reaches {name!r}, an iterator ({kind}), whose place cannot be put back after a "
                        "range test; pass what it gives in the loader's batches, or let the function index what the "
                        "iterator was made from",
                        where=where,
                        name=name,
                        kind=type(value).__name__,
                    )
                )


def _names(code: CodeType) -> Iterator[str]:
    """What code names, in functions inside it too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _refill(cell: CellType, before: object) -> None:
    """Take out state that a call has put into the cell."""
    now = _content(cell)
    if isinstance(now, STATE) and now is not before:
        cell.cell_contents = before


def _slots(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    names = [slots] if isinstance(slots, str) else list(slots)
    hidden = f"_{kind.__name__.lstrip('_')}"  # what Python makes of a name with two underscores
    return [
        f"{hidden}{name}" if name.startswith("__") and not name.endswith("__") else name
        for name in names
        if name not in ("__dict__", "__weakref__")
    ]


def _installed(path: str | None, module: str | None) -> bool:
    """Whether code belongs to Python, to an installed package or to us."""
    root = (module or "").partition(".")[0]
    if root == "__main__":
        return False
    return (
        root in sys.stdlib_module_names
        or root in ("torch", "calando")
        or (path is not None and ("site-packages" in path or "dist-packages" in path))
    )
