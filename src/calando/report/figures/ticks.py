"""Where an axis has its marks: at numbers that read well, and at two of them at least.

1, 10, 100 …      a log axis of more than two and a half decades
1, 2, 5, 10 …     a shorter one
k · step          one so short that fewer than two of those lie on it, as a linear axis has them
"""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["even_ticks", "log_ticks", "within"]

LEAST = 2


def log_ticks(low: float, high: float) -> list[float]:
    """Marks of a log axis from `low` to `high`, ascending; 0 < low < high.

    >>> log_ticks(0.01, 1), log_ticks(0.067, 0.15)
    ([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0], [0.08, 0.1, 0.12, 0.14])
    """
    digits = (1, 2, 5) if high / low < 300 else (1,)
    return within([float(f"{digit}e{power}") for power in range(-12, 13) for digit in digits], low, high)


def within(marks: Iterable[float], low: float, high: float) -> list[float]:
    """Those of `marks` on the axis, those at its very ends among them; even ones where these are too few."""
    there = [mark for mark in marks if low * 0.999 <= mark <= high * 1.001]
    return there if len(there) >= LEAST else even_ticks(low, high)


def even_ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`: three to eight; low < high.

    >>> even_ticks(0.018, 0.022)
    [0.018, 0.02, 0.022]
    """
    power = math.floor(math.log10(high - low))
    for exponent in range(power + 1, power - 2, -1):
        for digit in (5, 2, 1):
            step, digits = digit * 10.0**exponent, max(0, -exponent)
            first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
            if last - first >= LEAST:
                return [round(count * step, digits) for count in range(first, last + 1)]
    raise AssertionError(f"no ticks from {low} to {high}")
