"""State that the user's code keeps where no copy for a run reaches: a run would depend on those before it.

    globals of modules      those that the code of network, loss and data names, and what that names in turn
    attributes of classes   of theirs, and of those that are named
    defaults of functions   a list or dictionary that is written to
    the environment

What is the standard library's or installed is passed over, and so are functions, classes and modules themselves. Two
looks are compared: what differs has changed in between.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from calando.tasks.pristine import ATOMS, LARGE

__all__ = ["look_behind"]

MOST = 2000
_LIBRARIES = tuple({path for name, path in sysconfig.get_paths().items() if "lib" in name})


def look_behind(*parts: object) -> Mapping[str, bytes]:
    """A digest of each piece of state that code of `parts` may keep, by its name.

    >>> seen = []
    >>> before = look_behind(len)
    >>> before == look_behind(len)
    True
    """
    found = {"the environment": _digest(dict(os.environ))}
    for name, value in _reached(parts):
        found[name] = _digest(value)
    return found


def _reached(parts: tuple[object, ...]) -> Iterator[tuple[str, object]]:
    left, seen = list(parts), set[int]()
    while left and len(seen) < MOST:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, staticmethod | classmethod | MethodType):
            left.append(one.__func__)
        elif isinstance(one, property):
            left += [each for each in (one.fget, one.fset) if each]
        elif isinstance(one, FunctionType):
            if _is_theirs(one.__module__):
                yield from _held(one, left)
        elif isinstance(one, type):
            left += one.__mro__[1:]
            if not _is_theirs(one.__module__):
                continue
            for name, value in list(vars(one).items()):
                if isinstance(value, FunctionType | staticmethod | classmethod | property | type):
                    left.append(value)
                elif not name.startswith("__"):
                    yield f"{one.__qualname__}.{name}", value
        elif isinstance(one, torch.nn.Module):
            left += [type(module) for module in one.modules()]
        else:
            left.append(type(one))


def _held(function: FunctionType, left: list[object]) -> Iterator[tuple[str, object]]:
    """Defaults and globals of a function; what can hold more is left to be looked into."""
    for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        if not isinstance(value, ATOMS):
            yield f"a default of {function.__qualname__}", value
    for name in _named(function.__code__):
        if name not in function.__globals__:
            continue
        value = function.__globals__[name]
        if isinstance(value, ModuleType):
            continue
        if isinstance(value, FunctionType | type):
            left.append(value)
        else:
            yield f"{function.__module__}.{name}", value


def _named(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            names |= _named(inner)
    return names


def _is_theirs(module: str | None) -> bool:
    top = (module or "").partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return False
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    return top != "calando" and not file.startswith(_LIBRARIES)


class _Pickler(pickle.Pickler):
    """Arrays by what they hold where they are small; classes and functions by themselves."""

    def persistent_id(self, value: Any) -> object:
        if isinstance(value, type | FunctionType | ModuleType):
            return id(value)
        if isinstance(value, torch.Tensor):
            small = value.numel() * value.element_size() < LARGE and value.layout is torch.strided
            return id(value), value._version, value.detach().cpu().numpy().tobytes() if small and _plain(value) else b""
        if isinstance(value, np.ndarray) and value.nbytes >= LARGE:
            return id(value)
        if isinstance(value, torch.Generator):
            return value.get_state().numpy().tobytes()
        return None


def _plain(value: torch.Tensor) -> bool:
    return value.dtype != torch.bfloat16 and not value.is_quantized


def _digest(value: object) -> bytes:
    file = io.BytesIO()
    try:
        _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception:  # it runs the user's own __reduce__, which may raise anything; then only whether it is another
        return str(id(value)).encode()
    return hashlib.sha256(file.getvalue()).digest()
