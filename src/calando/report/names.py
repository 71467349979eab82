"""Names cut to a width: in their middle, since strategies often differ in their last letters alone."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["distinct"]


def distinct(names: Iterable[str], width: int) -> dict[str, str]:
    """Name -> the same in at most `width` letters, cut in its middle; names that differ still differ.

    >>> distinct(["linear(0, 1, over='5%') >> cosine(1, 0)", "cosine"], 20)
    {"linear(0, 1, over='5%') >> cosine(1, 0)": 'linear(0,…sine(1, 0)', 'cosine': 'cosine'}
    """
    shown: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        short, count = _cut(name, width), 1
        while short in taken:
            count += 1
            mark = f" ({count})"
            short = _cut(name, width - len(mark)) + mark
        taken.add(short)
        shown[name] = short
    return shown


def _cut(name: str, width: int) -> str:
    tail = width // 2
    return name if len(name) <= width else f"{name[: width - 1 - tail]}…{name[-tail:]}"
