"""What a person's code gives its run, checked: numbers, lengths, a seed, a time."""

from __future__ import annotations

import math
import operator
import re
from typing import Any

import torch

from calando.errors import UsageError, quote

__all__ = ["number", "seconds", "seed_number", "whole_number"]

MOST_LENGTH = 2**53


def number(name: str, value: Any) -> float:
    """One number, of whatever type.

    >>> number("run.report: score", torch.tensor(0.5))
    0.5
    """
    try:
        return float(value.detach() if isinstance(value, torch.Tensor) else value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise UsageError(f"{name} must be one number, got {quote(value)}") from None


def seed_number(value: Any) -> int:
    """A seed that every generator takes."""
    try:
        seed = operator.index(value)
    except TypeError:
        seed = -(2**63)
    if not -(2**63) < seed < 2**63:
        raise UsageError(f"calando.run: seed must be a whole number of at most 63 bits, got {quote(value)}")
    return seed


def whole_number(name: str, value: float) -> int:
    """How many epochs or steps there are.

    >>> whole_number("epochs", 10)
    10
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 1 <= value <= MOST_LENGTH
        or value != round(value)
    ):
        raise UsageError(f"run.{name}: the number of {name} must be a whole number from 1, got {quote(value)}")
    return round(value)


def seconds(every: str | float) -> float:
    """A time as seconds.

    >>> seconds("5 min"), seconds(20)
    (300.0, 20)
    """
    if isinstance(every, int | float) and not isinstance(every, bool) and 0 <= every < math.inf:
        return every
    read = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min)?\s*", str(every))
    if read is None:
        raise UsageError(f'run.keep: every must be a time such as "60 s" or "5 min", got {quote(every)}')
    return float(read[1]) * (60 if read[2] == "min" else 1)
