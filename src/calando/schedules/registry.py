"""The schedules by name: what a text may call, and how a list shows them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from calando.schedules import presets
from calando.schedules.base import Schedule
from calando.schedules.checks import signature_text

__all__ = ["SCHEDULES", "Description", "describe"]

SCHEDULES: Mapping[str, Callable[..., Schedule]] = MappingProxyType(
    {name: getattr(presets, name) for name in presets.__all__}
)
"""Name -> constructor, sorted: every public name of `presets`."""


@dataclass(frozen=True)
class Description:
    """A schedule as a list shows it.

    Args:
        name: what a text calls it.
        signature: the call with its arguments and defaults.
        summary: one line.
        formula: the value at update t, or the algebra it stands for.
    """

    name: str
    signature: str
    summary: str
    formula: str


def describe() -> list[Description]:
    """Every schedule that has a name, sorted by it.

    >>> describe()[1].signature, describe()[1].formula
    ('cosine(start, end, *, over=None)', 'end + (start - end) * (1 + cos(pi * p)) / 2')
    """
    return [_describe(name, make) for name, make in SCHEDULES.items()]


def _describe(name: str, make: Callable[..., Schedule]) -> Description:
    lines = inspect.cleandoc(make.__doc__ or "").splitlines()
    formula = next(line.removeprefix("Formula: ") for line in lines if line.startswith("Formula: "))
    return Description(name, signature_text(name, make), lines[0].removesuffix("."), formula)
