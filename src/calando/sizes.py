"""The numbers that an optimizer can use: it multiplies by them in single precision.

base values    at most 1e30 in size, and of rates and what must not be 0 at least 1e-30, so that what a method makes
               of them (1 / (1 - beta), a group's factor) stays within it too
products       of a base value and a schedule: at most 3.4e38 in size, where single precision ends; any may be 0,
               as a decay ends there, but not all of a rate's because they are too small
"""

from __future__ import annotations

import math

import numpy as np

from calando.errors import UsageError, quote
from calando.language import message

__all__ = ["LARGEST", "LEAST", "MOST", "check_products", "check_rate", "check_size"]

LEAST, MOST = 1e-30, 1e30
LARGEST = float(np.finfo(np.float32).max)
SMALLEST = float(np.finfo(np.float32).tiny)


def check_size(what: str, value: float, *, least: float = 0.0) -> None:
    """Refuse a number that single precision cannot use; 0 and infinities are others' to judge.

    Raises:
        UsageError: it is too large, or not 0 and smaller than `least`.

    >>> check_size("weight_decay", 1e40)
    Traceback (most recent call last):
    ...
    calando.errors.UsageError: weight_decay must be at most 1e+30 in size (single precision), got 1e+40
    """
    if MOST < abs(value) < math.inf:
        raise UsageError(
            message(
                "{what} must be at most 1e+30 in size (single precision), got {value}", what=what, value=quote(value)
            )
        )
    if 0 < abs(value) < least:
        raise UsageError(
            message("{what} must be from 1e-30 to 1e+30 (single precision), got {value}", what=what, value=quote(value))
        )


def check_rate(what: str, value: float, *, where: str = "") -> float:
    """The rate, a positive finite number, as a float.

    Raises:
        UsageError: it is too large or too small.

    >>> check_rate("lr", 1)
    1.0
    """
    if not LEAST <= value <= MOST:
        raise UsageError(
            message(
                "{what} must be from 1e-30 to 1e+30 (single precision), got {value}{where}",
                what=what,
                value=quote(value),
                where=where,
            )
        )
    return float(value)


def check_products(key: str, base: float, multipliers: np.ndarray, *, first: int | None = None) -> None:
    """Refuse values of a schedule that single precision cannot hold.

    Args:
        key: the hyper-parameter.
        base: what the schedule multiplies.
        multipliers: of some updates; infinities and nan are others' to judge.
        first: index of the first of these updates, which then follow each other; None: they are a sample of all, so
            that a rate which is too small at each of them is refused too.

    Raises:
        UsageError: one is too large, or all of a rate's are too small.

    >>> check_products("lr", 0.1, np.array([1.0, 1e38]), first=7)
    """
    sizes = np.abs(multipliers[np.isfinite(multipliers)])
    largest = float(sizes.max(initial=0.0))
    if abs(base) > LARGEST / max(largest, 1.0):
        place = int(np.flatnonzero(np.abs(multipliers) == largest)[0])
        at = "" if first is None else message(" at update {step}", step=first + place)
        raise UsageError(
            message(
                "{key} would be {rate:.3g}{at} (base value {base:g} times {factor:.3g}), and single "
                "precision ends at 3.4e38; give smaller factors",
                key=key,
                rate=base * float(multipliers[place]),
                at=at,
                base=base,
                factor=float(multipliers[place]),
            )
        )
    if first is None and key == "lr" and largest and abs(base) * largest < SMALLEST:
        raise UsageError(
            message(
                "lr would never be more than {most:.3g} (base value {base:g} times {largest:.3g}), which "
                "is 0 in single precision; give a larger rate or larger factors",
                most=abs(base) * largest,
                base=base,
                largest=largest,
            )
        )
