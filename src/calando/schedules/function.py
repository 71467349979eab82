"""A schedule from a function of the user's own.

    function(f)                v(t) = f(t / L)      f is given progress in [0, 1]; L: the steps it takes
    function(f, of="steps")    v(t) = f(t)          f is given the step

It is pure by promise: the same argument must give the same number. Its text is its name, and a name is read back
only where the function has been registered under it: reading a text never imports or runs what it names.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import final

import numpy as np

from calando.errors import UsageError
from calando.language import message
from calando.schedules.checks import LONGEST_LABEL, BadArgument, checked_choice, checked_label, did_you_mean, quote
from calando.schedules.known_schedules import Seen, counterpart, register
from calando.schedules.primitive import Formula, Primitive
from calando.schedules.schedule import Array, Extent, Schedule
from calando.schedules.span import Horizon, SpanLike, span_or_none

__all__ = ["Function", "bring_functions", "function", "functions_named", "named_function"]


Multiplier = Callable[[float], float]


ARGUMENTS = ("progress", "steps")
_REGISTERED: dict[str, Multiplier] = {}


@register(family="What changes a schedule", example="function('three waves')")
def function(f: Multiplier | str, *, of: str = "progress", over: SpanLike | None = None) -> Schedule:
    """A schedule from a function of your own.

    Formula: f(p), or f(t) with of="steps"

    Args:
        f: a pure function of one number, or the name it was registered under with `named_function`.
        of: "progress", a number in [0, 1], or "steps", the step (an int where it is whole).
        over: length; without it, the function stretches over all steps that are left ("progress"), or goes on for
            them ("steps").

    Raises:
        UsageError: an argument out of range; a name that is not registered.

    Source: torch's LambdaLR(f) is `function(f, of="steps")`.

    >>> function(lambda p: 1 - p).bind(4).sample()
    array([1.  , 0.75, 0.5 , 0.25])
    """
    if isinstance(f, str):
        if f not in _REGISTERED:
            guess = did_you_mean(f, list(_REGISTERED))
            raise BadArgument(
                "f",
                message("must be registered in this process"),
                f,
                hint=message('{guess} write @named_function("{f}") over it', guess=guess or message(";"), f=f),
            )
        return Function(f, _REGISTERED[f], of, over=span_or_none("over", over))
    if not callable(f):
        raise BadArgument("f", message("must be a function of one number, or the name of a registered one"), f)
    registered = next((name for name, known in _REGISTERED.items() if known is f), None)
    return Function(registered or _own_name(f), f, of, over=span_or_none("over", over))


def named_function(name: str) -> Callable[[Multiplier], Multiplier]:
    """Register a function under a name, so that a text may say `function('name')`.

    Raises:
        UsageError: the name is taken by another function, or is not a short text without quotes.

    >>> @named_function("cubic")
    ... def cubic(p):
    ...     return (1 - p) ** 3
    >>> from calando.schedules import parse
    >>> parse("function('cubic')").bind(4)(2)
    0.125
    """
    checked_label("name", name)

    def register(f: Multiplier) -> Multiplier:
        known = _REGISTERED.setdefault(name, f)
        if known is not f and _own_name(known) != _own_name(f):
            raise UsageError(
                message(
                    "the name {name} is taken by {own_name}; choose another",
                    name=quote(name),
                    own_name=_own_name(known),
                )
            )
        _REGISTERED[name] = f  # a module that is loaded again brings its functions again
        return f

    return register


def functions_named(text: str) -> dict[str, Multiplier]:
    """Those registered functions that a text names, by name.

    >>> functions_named("sgd(lr=0.1) | cosine(1, 0)")
    {}
    """
    return {name: f for name, f in _REGISTERED.items() if f"'{name}'" in text or f'"{name}"' in text}


def bring_functions(functions: Mapping[str, Multiplier]) -> None:
    """Register those of another process, which are right: this one may have them from importing the same script."""
    _REGISTERED.update(functions)


def _own_name(f: Multiplier) -> str:
    kind = type(f) if not hasattr(f, "__qualname__") else f
    name = f"{kind.__module__}.{kind.__qualname__}"
    return name.replace("'", "").replace("\n", " ")[:LONGEST_LABEL]


@final
@dataclass(frozen=True, repr=False)
class Function(Primitive):
    """A function of the user's; write `function(f)`."""

    name: str
    f: Multiplier
    of: str
    # `steps` has no length to fill; `progress` is given one
    extent_without_over = Extent.STRETCHED

    def __post_init__(self) -> None:
        checked_choice("of", self.of, ARGUMENTS)

    @property
    def extent(self) -> Extent:
        return Extent.ENDLESS if self.of == "steps" and self.over is None else super().extent

    def formula(self, horizon: Horizon, length: float) -> Formula:
        def values(steps: Array) -> Array:
            if self.of == "steps":
                arguments = [int(step) if step.is_integer() else step for step in steps.tolist()]
            else:
                arguments = (steps / length).tolist()
            return np.array([self.f(argument) for argument in arguments], dtype=np.float64)

        return values

    def __str__(self) -> str:
        over = "" if self.over is None else f", over='{self.over}'"
        return f"function('{self.name}', of='{self.of}'{over})"


@counterpart("LambdaLR")
def _lambda(seen: Seen) -> Schedule:
    return function(seen.scheduler.lr_lambdas[seen.index], of="steps")


@counterpart("MultiplicativeLR", multiplies=True)
def _multiplicative(seen: Seen) -> Schedule:
    factors = map(seen.scheduler.lr_lambdas[seen.index], range(1, seen.room + 1))
    return function(_Table(tuple(accumulate(factors, operator.mul, initial=1.0))), of="steps")


@final
@dataclass(frozen=True)
class _Table:
    """A function of the step that looks its value up."""

    values: tuple[float, ...]

    def __call__(self, step: float) -> float:
        return self.values[int(step)]
