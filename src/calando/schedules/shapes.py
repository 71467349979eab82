"""Shapes: how a ramp goes from its start value to its end value.

Each is given the part done, p = t / L, and the part left, q = 1 - p, both in [0, 1]. Having q beside p
keeps full relative precision where a rate comes close to zero: 1 - p would have lost its digits there.

    linear            start * q                  + end * p
    cosine            start * (1 + cos πp) / 2   + end * (1 - cos πp) / 2
    polynomial        start * q^k                + end * (1 - q^k)
    one_minus_sqrt    start * (1 - √p)           + end * √p
    exponential       start^q                    * end^p                  both above zero

The weights in a row add up to one, so one of them is enough: that of the value further from zero, which
leaves nothing to cancel. (1 + cos πp) / 2 cancels too where it nears zero, and is written sin²(π/2 q).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, final

import numpy as np

from calando.schedules.base import Array
from calando.schedules.checks import checked_number, spell_number

__all__ = ["Cosine", "Exponential", "Linear", "OneMinusSqrt", "Polynomial", "Shape"]


@dataclass(frozen=True)
class Shape(ABC):
    """A way from one value to another; its fields are numbers that the constructor of its name takes.

    Attributes:
        name: of the constructor that builds a ramp of this shape, hence what its text begins with.
        needs_positive: the shape exists between values above zero only.
    """

    name: ClassVar[str]
    needs_positive: ClassVar[bool] = False

    @abstractmethod
    def between(self, start: float, end: float, p: Array, q: Array) -> Array:
        """The values at `p`, shape (n,), given `q` = 1 - p; the ramp itself sees to p = 0 and p = 1."""

    def spelled_fields(self) -> dict[str, str]:
        """The shape's own parameters as they are written in a text."""
        return {item.name: spell_number(getattr(self, item.name)) for item in fields(self)}


def _between(start: float, end: float, fall: Callable[[], Array], rise: Callable[[], Array]) -> Array:
    """start * fall + end * rise, for weights that add up to one."""
    if abs(start) >= abs(end):
        return end + (start - end) * fall()
    return start + (end - start) * rise()


@final
@dataclass(frozen=True)
class Linear(Shape):
    """In a straight line."""

    name: ClassVar[str] = "linear"

    def between(self, start: float, end: float, p: Array, q: Array) -> Array:
        return _between(start, end, lambda: q, lambda: p)


@final
@dataclass(frozen=True)
class Cosine(Shape):
    """Along half a cosine wave."""

    name: ClassVar[str] = "cosine"

    def between(self, start: float, end: float, p: Array, q: Array) -> Array:
        quarter_turn = np.pi / 2
        return _between(
            start, end, lambda: np.square(np.sin(quarter_turn * q)), lambda: np.square(np.sin(quarter_turn * p))
        )


@final
@dataclass(frozen=True)
class Polynomial(Shape):
    """By a power, above zero, of the part that is left."""

    power: float
    name: ClassVar[str] = "polynomial"

    def __post_init__(self) -> None:
        object.__setattr__(self, "power", checked_number("power", self.power, above=0))

    def between(self, start: float, end: float, p: Array, q: Array) -> Array:
        # 1 - q^k, precise for small p as well
        return _between(start, end, lambda: np.power(q, self.power), lambda: -np.expm1(self.power * np.log1p(-p)))


@final
@dataclass(frozen=True)
class OneMinusSqrt(Shape):
    """By the square root of the part done; a polynomial of power 1/2 is another thing, √(1 - p)."""

    name: ClassVar[str] = "one_minus_sqrt"

    def between(self, start: float, end: float, p: Array, q: Array) -> Array:
        # 1 - √p = (1 - p) / (1 + √p)
        return _between(start, end, lambda: q / (1 + np.sqrt(p)), lambda: np.sqrt(p))


@final
@dataclass(frozen=True)
class Exponential(Shape):
    """By the same ratio from each step to the next."""

    name: ClassVar[str] = "exponential"
    needs_positive: ClassVar[bool] = True

    def between(self, start: float, end: float, p: Array, q: Array) -> Array:
        values: Array = np.power(start, q) * np.power(end, p)
        return values
