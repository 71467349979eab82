"""What people gave (network factory, loss, Datasets), as it was, and copies of it: each run gets its own.

    copied     objects with all they hold: counters, running means, caches, generators, what closures hold
    kept       classes, modules, functions that hold nothing of their own, and the globals of functions
    shared     arrays of a Dataset from LARGE bytes on: they hold samples. One that is written to is noticed

What cannot be copied (a lock, an open file) is shared by all runs; `Pristine.shared` names it. State in a module's
globals or in a class is not copied either: `calando.study.verify` sees whether two equal runs differ.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Mapping
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, final

import numpy as np
import torch
from torch import nn

from calando.errors import UsageError, reason_of
from calando.language import message

__all__ = ["ATOMS", "LARGE", "Pristine", "copied_alone", "empty_cell", "fill_cell"]

LARGE = 2**20
_MOST_SUMMED = 2**30
"""Bytes of a shared array that are summed to notice whether it was written to."""

_KEPT = (type, ModuleType, CodeType)
ATOMS = (str, bytes, int, float, complex, bool, type(None))


@final
class Pristine:
    """Parts by name, as they are now.

    >>> pristine = Pristine({"the loss": [1, 2]})
    >>> pristine.copies()["the loss"].append(3)
    >>> pristine.copies()["the loss"]
    [1, 2]

    Args:
        parts: the objects to copy; an object that several of them hold stays shared in the copies.
        samples: names of those whose large arrays are shared.

    Attributes:
        shared: why a part cannot be copied, by its name.
    """

    def __init__(self, parts: Mapping[str, object], *, samples: frozenset[str] = frozenset()) -> None:
        self.shared: dict[str, str] = {}
        own: set[int] = set()
        for name, part in parts.items():
            trial = _Pickler(io.BytesIO(), shared=frozenset(), small=None)
            try:
                trial.dump(part)
            except Exception as error:  # it runs the user's own __reduce__ and __getstate__, which may raise anything
                self.shared[name] = reason_of(error)
            if name not in samples:
                own.update(map(id, trial.held))
        file = io.BytesIO()
        pickler = _Pickler(file, shared=frozenset(id(parts[name]) for name in self.shared), small=own)
        pickler.dump(dict(parts))
        self._data, self._held = file.getvalue(), pickler.held
        # Their own copies: what was given may be used elsewhere.
        self._kept = {index: _copy_of(self._held[index]) for index in pickler.copied}
        self._sums = [(memory, _sum(memory)) for memory in pickler.large.values()]

    def copies(self) -> dict[str, Any]:
        """A copy of each part; UsageError where an array that all share was written to since."""
        for memory, before in self._sums:
            if _sum(memory) != before:
                raise UsageError(
                    message(
                        "the data set writes to an array of {size:.0f} MiB that it holds while it is read, so "
                        "that a run would depend on those before it; have it return changed copies of its samples",
                        size=memory.nbytes / 2**20,
                    )
                )
        held = [_copy_of(self._kept[i]) if i in self._kept else one for i, one in enumerate(self._held)]
        found: dict[str, Any] = _Unpickler(io.BytesIO(self._data), held).load()
        return found


def copied_alone(part: object) -> object:
    """A copy of a part, or itself where it cannot be copied."""
    pristine = Pristine({"it": part}, samples=frozenset({"it"}))
    return part if pristine.shared else pristine.copies()["it"]


class _Pickler(pickle.Pickler):
    """Tensors, arrays, classes and functions are left out, and held.

    Args:
        shared: ids of parts that are not copied.
        small: ids of what is copied however large it is; None: this is a trial, and no array is looked into.
    """

    def __init__(self, file: io.BytesIO, *, shared: frozenset[int], small: set[int] | None) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.held: list[object] = []
        self.copied: list[int] = []
        self.large: dict[int, np.ndarray] = {}
        self._small = small
        self._references = set(shared)
        self._places: dict[int, int] = {}

    def persistent_id(self, value: object) -> int | None:
        """Its place among what is held; None: it is pickled."""
        if id(value) in self._places:
            return self._places[id(value)]
        kept = id(value) in self._references or isinstance(value, _KEPT) or _is_plain(value)
        if not kept and not _is_array(value):
            return None
        index = self._places[id(value)] = len(self.held)
        self.held.append(value)
        if not kept and self._small is not None:
            root = _root(value)
            if id(value) in self._small or root is None:
                self.copied.append(index)
            elif root.flags.writeable:  # what is mapped for reading cannot be written to
                self.large[root.ctypes.data] = root
        return index

    def reducer_override(self, value: Any) -> Any:
        """Functions, which pickle knows by name only, and what they close over."""
        if isinstance(value, FunctionType):
            self._references.add(id(value.__globals__))
            arguments = (value.__code__, value.__globals__, value.__name__, None, value.__closure__)
            names = ("__defaults__", "__kwdefaults__", "__dict__", "__qualname__", "__module__", "__doc__")
            return FunctionType, arguments, {name: getattr(value, name) for name in names}, None, None, _fill_function
        if isinstance(value, CellType):
            try:
                return CellType, (), value.cell_contents, None, None, fill_cell
            except ValueError:  # it is empty
                return CellType, ()
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, held: list[object]) -> None:
        super().__init__(file)
        self._held = held

    def persistent_load(self, index: int) -> object:
        return self._held[index]


def _fill_function(function: FunctionType, own: Mapping[str, Any]) -> None:
    for name, value in own.items():
        setattr(function, name, value)


def empty_cell() -> CellType:
    """A cell of a closure, to be filled."""
    return CellType()


def fill_cell(cell: CellType, content: object) -> None:
    """Closures that share it see the content."""
    cell.cell_contents = content


def _is_plain(value: object) -> bool:
    """Whether it is a function that holds nothing that could change."""
    if not isinstance(value, FunctionType) or value.__closure__ or value.__dict__:
        return False
    return all(isinstance(one, ATOMS) for one in (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()))


def _is_array(value: object) -> bool:
    return isinstance(value, torch.Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind != "O")


def _copy_of(value: Any) -> Any:
    if type(value) is torch.Tensor and value.layout is torch.strided:
        # Not `copy.deepcopy`, which copies all of the memory that a view is a part of.
        return value.detach().clone().requires_grad_(value.requires_grad)
    if type(value) is nn.Parameter:
        return nn.Parameter(value.detach().clone(), requires_grad=value.requires_grad)
    return copy.deepcopy(value)


def _root(value: Any) -> np.ndarray | None:
    """All the memory of which an array is a part, as bytes; None: that is small, not the CPU's or not in one piece."""
    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided or value.device.type != "cpu" or value.untyped_storage().nbytes() < LARGE:
            return None
        return torch.empty(0, dtype=torch.uint8).set_(value.untyped_storage()).numpy()
    mapped = isinstance(value, np.memmap)
    while isinstance(value.base, np.ndarray):
        value = value.base
    if not value.flags.c_contiguous or value.nbytes < LARGE:
        return None
    root = np.asarray(value).reshape(-1).view(np.uint8)
    root.flags.writeable = value.flags.writeable and not mapped  # a file's would have to be read
    return root


def _sum(memory: np.ndarray) -> int:
    """Another sum where the memory was written to, if that is among the _MOST_SUMMED bytes that are summed."""
    words = memory[: memory.nbytes // 8 * 8].view(np.uint64)
    step = max(1, memory.nbytes // _MOST_SUMMED)
    return int(np.add.reduce(words[::step]))
