"""People's own code: MODULE:CALLABLE is imported and called, and the state that it keeps is watched.

A module is looked for in the current folder last, so that a file called numpy.py there stands in for nothing else.

`calando.tasks.run_copies` does not copy the following state, so one run could affect the next:

    globals of modules      those that the code of network, loss and data names, and what that names in turn
    attributes of classes   of theirs, and of those that are named
    defaults of functions   a list or dictionary that is written to
    the environment

What is the standard library's or installed is passed over, and so are functions, classes and modules themselves. Two
looks are compared: what differs has changed in between.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import io
import operator
import os
import pickle
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from calando.errors import CalandoError, UsageError, reason_of
from calando.language import _, message
from calando.tasks.run_copies import ATOMS, LARGE

__all__ = ["call_user", "import_callable", "look_behind"]

_MOST = 2000
_LIBRARIES = tuple({path for name, path in sysconfig.get_paths().items() if "lib" in name})


def import_callable(text: str) -> Callable[..., object]:
    """The callable that the text names.

    >>> import_callable("collections:Counter").__name__
    'Counter'

    Raises:
        UsageError: the module cannot be imported, or holds no such callable; names it and the reason.
    """
    module_name, _, path = text.partition(":")
    # `python -c` and notebooks have the current folder in their path already, as "".
    if "" not in sys.path and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        with _staying_one_process(module_name):
            module = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's module may raise anything; it is reported in one line
        raise UsageError(
            message(
                "cannot import {module_name!r} of {text!r}: {error}",
                module_name=module_name,
                text=text,
                error=_located(error),
            )
        ) from error
    try:
        found: object = operator.attrgetter(path)(module)  # a callable may be an attribute of a class
    except AttributeError:
        public = sorted(name for name, value in vars(module).items() if not name.startswith("_") and callable(value))
        raise UsageError(
            message(
                "module {module_name!r} has no {path!r}; it has {public}",
                module_name=module_name,
                path=path,
                public=", ".join(public[:12]),
            )
        ) from None
    if not callable(found):
        raise UsageError(
            message(
                "{text!r} is of type {name} and cannot be called; name a function or class",
                text=text,
                name=type(found).__name__,
            )
        )
    return found


def call_user(function: Callable[..., object], *, name: str, offered: dict[str, object]) -> object:
    """Call the user's function with those of the offered arguments that it names.

    >>> call_user(lambda *, classes: classes + 1, name="f", offered={"classes": 10, "in_channels": 3})
    11

    Raises:
        UsageError: it raised; names it and the reason. Our own errors pass as they are.
    """
    try:
        wanted = set(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # built-in callables may have no signature
        wanted = set()
    try:
        with _staying_one_process(name):
            return function(**{key: value for key, value in offered.items() if key in wanted})
    except (CalandoError, KeyboardInterrupt):
        raise
    except BaseException as error:  # as above
        raise UsageError(message("{name} failed: {error}", name=name, error=_located(error))) from error


@contextmanager
def _staying_one_process(name: str) -> Iterator[None]:
    """A copy of this process that the user's code makes, by `os.fork`, and does not end, ends here."""
    this = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != this:
            said = _("{name} forked this process; the copy ends here", name=name)
            print(f"calando: {said}", file=sys.stderr, flush=True)
            os._exit(1)


def _located(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    reason = reason_of(error)
    if len(frames) <= 1:
        return reason
    return message("{reason} ({file}, line {line})", reason=reason, file=frames[-1].filename, line=frames[-1].lineno)


def look_behind(*parts: object) -> Mapping[str, bytes]:
    """A digest of each piece of state that code of `parts` may keep, by its name."""
    reached = ((message("the environment"), dict(os.environ)), *_reached(parts))
    return {name: _digest(value) for name, value in reached}


def _reached(parts: tuple[object, ...]) -> Iterator[tuple[str, object]]:
    left, seen = list(parts), set[int]()
    while left and len(seen) < _MOST:
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
            yield message("a default of {name}", name=function.__qualname__), value
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
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    ours = top == "calando" or (top in sys.stdlib_module_names and top != "__main__")
    return not ours and not file.startswith(_LIBRARIES)


class _Pickler(pickle.Pickler):
    """Arrays by what they hold where they are small; classes and functions by themselves."""

    def persistent_id(self, value: Any) -> object:
        if isinstance(value, type | FunctionType | ModuleType):
            return id(value)
        if isinstance(value, torch.Tensor):
            plain = value.dtype != torch.bfloat16 and not value.is_quantized and value.layout is torch.strided
            small = plain and value.numel() * value.element_size() < LARGE
            return id(value), value._version, value.detach().cpu().numpy().tobytes() if small else b""
        if isinstance(value, np.ndarray) and value.nbytes >= LARGE:
            return id(value)
        if isinstance(value, torch.Generator):
            return value.get_state().numpy().tobytes()
        return None


def _digest(value: object) -> bytes:
    file = io.BytesIO()
    try:
        _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception:  # it runs the user's own __reduce__, which may raise anything; then only whether it is another
        return str(id(value)).encode()
    return hashlib.sha256(file.getvalue()).digest()
