"""MODULE:CALLABLE -> what it names: installed, or in the current folder, which is looked at last.

Last, so that a file called numpy.py or queue.py there stands in for nothing but itself.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from calando.errors import CalandoError, UsageError, reason_of

__all__ = ["call_user", "import_callable"]


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
            found: object = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's module may raise anything; it is reported in one line
        raise UsageError(f"cannot import {module_name!r} of {text!r}: {_told(error)}") from error
    for name in path.split("."):
        if not hasattr(found, name):
            raise UsageError(f"module {module_name!r} has no {path!r}; it has {', '.join(_public(module_name))}")
        found = getattr(found, name)
    if not callable(found):
        raise UsageError(f"{text!r} is a {type(found).__name__}, which cannot be called; name a function or class")
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
    except CalandoError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # as above
        raise UsageError(f"{name} failed: {_told(error)}") from error


@contextmanager
def _staying_one_process(name: str) -> Iterator[None]:
    """A copy of this process that the user's code makes, by `os.fork`, and does not end, ends here."""
    this = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != this:
            print(f"calando: {name} forked this process; the copy ends here", file=sys.stderr, flush=True)
            os._exit(1)


def _told(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if len(frames) > 1 else ""
    return f"{reason_of(error)}{place}"


def _public(module_name: str) -> list[str]:
    module = importlib.import_module(module_name)
    return sorted(name for name in vars(module) if not name.startswith("_") and callable(getattr(module, name)))[:12]
