"""A requirement of a kit: kept under `python -O`, where `assert` is not."""

from __future__ import annotations

__all__ = ["require"]


def require(holds: bool, problem: str) -> None:
    """Raises an AssertionError that says `problem`, unless it holds.

    >>> require(1 < 2, "numbers are out of order")
    """
    if not holds:
        raise AssertionError(problem)
