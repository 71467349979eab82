"""Schedules known by a name alone, with the numbers that people mean by it; the presets of these names train with them.

parse("cosine")  is  parse("cosine(1, 0)")

A name that is also a constructor, `wsd`, means what the preset means, `wsd(start=0.01)`; `wsd()` calls the constructor.
A schedule's name may be spelled with - or with _ in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from calando.schedules.known_schedules import SCHEDULES

__all__ = ["BY_NAME", "either_spelling", "text_of_name"]

BY_NAME: Mapping[str, str] = {
    "fixed": "constant(1)",
    "step": "step(every='34%', factor=0.1)",
    "multistep": "multistep(at=['50%', '75%'], factor=0.1)",
    "exponential": "exponential(1, 0.01)",
    "polynomial": "polynomial(1, 0, power=2)",
    "linear": "linear(1, 0)",
    "cosine": "cosine(1, 0)",
    "warmup-cosine": "linear(0.01, 1, over='5%') >> cosine(1, 0)",
    "one-cycle": "one_cycle()",
    "wsd": "wsd(start=0.01)",
}

_NAME = re.compile(r"[A-Za-z_][\w-]*")


def either_spelling(name: str, known: Iterable[str]) -> str | None:
    """The one of the known names that a name stands for, whether it is spelled with - or with _.

    >>> either_spelling("one_cycle", ["one-cycle"]), either_spelling("wsd", ["one-cycle"])
    ('one-cycle', None)
    """
    wanted = name.replace("-", "_")
    return next((one for one in known if one.replace("-", "_") == wanted), None)


def text_of_name(name: str) -> str | None:
    """The text that a name alone stands for; None where it is no schedule's name.

    >>> text_of_name("warmup_cosine"), text_of_name("flat-cosine"), text_of_name("cosine(1, 0)")
    ("linear(0.01, 1, over='5%') >> cosine(1, 0)", 'flat_cosine', None)
    """
    if not _NAME.fullmatch(name := name.strip()):
        return None
    if (known := either_spelling(name, BY_NAME)) is not None:
        return BY_NAME[known]
    called = name.replace("-", "_")
    return called if called in SCHEDULES else None
