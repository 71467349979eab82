"""Packages that bring methods, imported when one of theirs is built."""

from __future__ import annotations

from types import ModuleType

from calando.errors import UsageError

__all__ = ["import_prodigyopt", "import_pytorch_optimizer", "import_schedulefree"]


def import_pytorch_optimizer(method: str) -> ModuleType:
    """The module, for a method that needs it.

    Raises:
        UsageError: it is not installed; so below.
    """
    try:
        import pytorch_optimizer
    except ModuleNotFoundError as error:
        raise _missing(method, "pytorch-optimizer") from error
    return pytorch_optimizer


def import_schedulefree(method: str) -> ModuleType:
    """The module, for a method that needs it."""
    try:
        import schedulefree
    except ModuleNotFoundError as error:
        raise _missing(method, "schedulefree") from error
    module: ModuleType = schedulefree
    return module


def import_prodigyopt(method: str) -> ModuleType:
    """The module, for a method that needs it."""
    try:
        import prodigyopt
    except ModuleNotFoundError as error:
        raise _missing(method, "prodigyopt") from error
    module: ModuleType = prodigyopt
    return module


def _missing(method: str, package: str) -> UsageError:
    return UsageError(f"{method} needs {package}: pip install 'calando[methods]'")
