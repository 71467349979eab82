"""The registry of methods: name -> Method. Importing it needs no torch; building an optimizer does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from calando.errors import UnknownName, UsageError, quote
from calando.methods.base import Method
from calando.registry import Registry, home_of

if TYPE_CHECKING:
    from calando.records import StrategySpec

__all__ = ["METHODS", "check_methods_installed", "find_method", "register"]


def register(method: Method) -> Method:
    """Register a method, so that a strategy's text can call it by its name.

    Args:
        method: the optimizer and what must be known of it; its `build` takes the parameter groups, rate and options.

    Raises:
        UsageError: no `Method`; a name that is taken or that no text can call.

    >>> from calando.methods import METHODS, Method
    >>> mine = register(Method(name="my_sgd", summary="plain SGD", family="classic", usual_rate=0.1,
    ...     decay="as SGD's", options={}, build=lambda groups, lr, options: torch.optim.SGD(groups, lr), source="",
    ...     memory=0))
    >>> find_method("my_sgd").usual_rate
    0.1
    >>> METHODS.remove("my_sgd")
    """
    if not isinstance(method, Method):
        raise UsageError(f"a method is registered as a Method(name=..., build=...), got {quote(method)}")
    METHODS.add(method.name, method, home=home_of(method.build))
    return method


def _join(name: str, found: object) -> None:
    if isinstance(found, Method) and found.name != name:
        raise UsageError(f"its entry point is named {name!r}, and the method {found.name!r}")
    register(found)  # type: ignore[arg-type]  # refused there where it is none


METHODS: Registry[Method] = Registry("method", join=_join)
"""Name -> method."""


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        UnknownName: there is none.

    >>> find_method("adamw").usual_rate
    0.001
    """
    if name not in METHODS:
        raise UnknownName("method", name, METHODS.names(), hint="see `calando strategies`")
    return METHODS[name]


def check_methods_installed(strategies: Iterable[StrategySpec]) -> None:
    """Refuse strategies whose methods cannot be built here.

    Raises:
        UsageError: packages are missing; every one of them is named.
    """
    missing: dict[str, list[str]] = {}
    for method in dict.fromkeys(find_method(strategy.method).name for strategy in strategies):
        if not METHODS[method].installed:
            missing.setdefault(METHODS[method].package, []).append(method)
    if missing:
        needs = "; ".join(f"{', '.join(names)}: {package}" for package, names in missing.items())
        raise UsageError(f"packages that methods need are not installed ({needs}): pip install 'calando[methods]'")
