"""The ranges of a workload's options; needs no torch."""

from __future__ import annotations

import math
from numbers import Integral, Real

from calando.errors import UsageError, quote

__all__ = ["check_options"]


def check_options(
    *,
    batch_size: int = 1,
    accumulate: int = 1,
    label_smoothing: float = 0.0,
    clip_norm: float | None = None,
    validation_fraction: float = 0.1,
    train_limit: int | None = None,
) -> None:
    """Nothing, if every option is in its range.

    >>> check_options(batch_size=0)
    Traceback (most recent call last):
    ...
    calando.errors.UsageError: batch size must be at least 1, got 0

    Raises:
        UsageError: names the first that is not.
    """
    counts = {"batch size": batch_size, "accumulate": accumulate, "train limit": train_limit}
    for name, count in counts.items():
        if count is None and name == "train limit":
            continue
        if not isinstance(count, Integral) or isinstance(count, bool):
            raise UsageError(f"{name} must be a whole number, got {quote(count)}")
        if count < 1:
            raise UsageError(f"{name} must be at least 1, got {count}")
    sizes = {"label smoothing": label_smoothing, "validation fraction": validation_fraction, "clip norm": clip_norm}
    for name, size in sizes.items():
        if not isinstance(size, Real) and not (size is None and name == "clip norm"):
            raise UsageError(f"{name} must be a number, got {quote(size)}")
    if batch_size % accumulate:
        raise UsageError(f"accumulate must divide the batch size, got {accumulate} for a batch size of {batch_size}")
    if not 0 <= label_smoothing < 1:
        raise UsageError(f"label smoothing must be in [0, 1), got {label_smoothing}")
    if not 0 < validation_fraction < 1:
        raise UsageError(f"validation fraction must be in (0, 1), got {validation_fraction}")
    if clip_norm is not None and not 0 < clip_norm < math.inf:
        raise UsageError(f"clip norm must be a positive number, got {clip_norm}; leave it out to clip nothing")
