"""Whether the packages that methods come from are there: found without importing them, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from calando.errors import UsageError
from calando.methods import Method, find_method
from calando.records import StrategySpec

__all__ = ["check_installed", "is_installed"]


def is_installed(method: Method) -> bool:
    """Whether what the method needs beside torch is there.

    >>> is_installed(find_method("sgd"))
    True
    """
    return not method.package or find_spec(method.package.replace("-", "_")) is not None


def check_installed(strategies: Iterable[StrategySpec]) -> None:
    """Refuse strategies whose methods cannot be built here.

    Raises:
        UsageError: packages are missing; every one of them is named.
    """
    missing: dict[str, list[str]] = {}
    for strategy in strategies:
        method = find_method(strategy.method)
        if not is_installed(method) and method.name not in missing.setdefault(method.package, []):
            missing[method.package].append(method.name)
    if missing:
        needs = "; ".join(f"{', '.join(names)}: {package}" for package, names in missing.items())
        raise UsageError(f"packages that methods need are not installed ({needs}): pip install 'calando[methods]'")
