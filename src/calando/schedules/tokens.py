"""The tokens of a schedule's text: patterns by which its words are found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

__all__ = ["ARGUMENT_NAME", "EXPRESSION", "SPACE", "TOKEN", "Token"]

_SPACE = r"[ \t\r\n]*+"
_NUMBER = r"(?>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
_NAME = r"(?>[A-Za-z_][A-Za-z0-9_]*(?:[-.][A-Za-z0-9_]+)*)"
SPACE = re.compile(_SPACE)
"""What may stand between two words; it matches everywhere."""

TOKEN = re.compile(
    rf"""
      (?P<number>{_NUMBER})
    | (?P<string>'[^'\r\n]*'|"[^"\r\n]*")
    | (?P<name>{_NAME})
    | (?P<mark>>>|[*+()\[\]{{}},=:|])
    """,
    re.VERBOSE,
)
"""A word; its kind is the group that matches."""

ARGUMENT_NAME = re.compile(rf"{_NAME}{_SPACE}=")
"""Where an argument is given by name."""

EXPRESSION = re.compile(rf"(?:\({_SPACE})*+(?:{_NAME}{_SPACE}\(|(?:{_NUMBER}|{_NAME}){_SPACE}(?:>>|[*+]))")
"""Where a value is an expression: after brackets, if any, a call, or a number or name with an operator behind it."""


@final
@dataclass(frozen=True)
class Token:
    """A word of a text.

    Args:
        kind: "number", "string", "name", "mark" or "end".
        text: its characters.
        start: where it begins in the piece that is read.
    """

    kind: str
    text: str
    start: int
