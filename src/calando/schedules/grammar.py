"""The small language of calls that schedules and strategies are written in, read without `eval`.

    call     = name [ "(" [ argument { "," argument } [","] ] ")" ]
    argument = value | name "=" value                       by position first, then by name
    value    = number | string | name | list                true, false, none; also True, False, None
    list     = "[" [ value { "," value } [","] ] "]"        or the same in parentheses
    pipe     = segment { "|" segment }

A string is in single or double quotes and holds no escapes. Any other bare name is a string: lr=auto says
lr='auto'. Every error is a ScheduleTextError that points at the character, in the whole text where the
piece that is read is part of a longer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import final

from calando.errors import ScheduleTextError, UsageError
from calando.schedules.call import Call, Value
from calando.schedules.checks import DEEPEST_NESTING, LONGEST_TEXT, quote

__all__ = ["Call", "Reader", "Token", "Value", "parse_call", "split_pipe"]

_TOKEN = re.compile(
    r"""
      (?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<string>'[^'\r\n]*'|"[^"\r\n]*")
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:[-.][A-Za-z0-9_]+)*)
    | (?P<mark>>>|[*()\[\],=|])
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"[ \t\r\n]*")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "none": None}
_WORDS = {**_WORDS, **{word.capitalize(): value for word, value in _WORDS.items()}}
_UNITS = ("epoch", "epochs", "step", "steps")
_LONGEST_INTEGER = 18  # digits; longer ones are read as floats
_CLOSING = {"(": ")", "[": "]"}


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


@final
class Reader:
    """A cursor over the tokens of one piece of text; `token` is the next one.

    Args:
        text: the piece to read.
        offset: where the piece begins in `whole`.
        whole: the text that the piece is part of, for errors; the piece itself if not given.
    """

    def __init__(self, text: str, *, offset: int = 0, whole: str | None = None) -> None:
        if not isinstance(text, str):
            raise UsageError(f"a schedule's text must be a string, got {quote(text)}")
        self.text, self.offset, self.whole = text, offset, text if whole is None else whole
        if len(text) > LONGEST_TEXT:
            raise self.error(f"the text has {len(text)} characters; at most {LONGEST_TEXT} are read", LONGEST_TEXT)
        self._position = self._depth = 0
        self.token = self._scan()

    def error(self, problem: str, start: int | None = None) -> ScheduleTextError:
        """An error that points at `start` in this piece, or at the next token."""
        return ScheduleTextError(problem, self.whole, self.offset + (self.token.start if start is None else start))

    def take(self) -> Token:
        """The next token; the one after it becomes the next."""
        taken, self.token = self.token, self._scan()
        return taken

    def at(self, *marks: str) -> bool:
        """Whether the next token is one of these marks."""
        return self.token.kind == "mark" and self.token.text in marks

    def finish(self) -> None:
        """Raises a ScheduleTextError unless everything is read."""
        if self.token.kind != "end":
            raise self.error(f"expected the end, found {quote(self.token.text)}")

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Take a bracket, read what is inside within the `with`, and take the bracket that closes it."""
        opening = self.take()
        self._depth += 1
        if self._depth > DEEPEST_NESTING:
            raise self.error(f"brackets are nested more than {DEEPEST_NESTING} deep", opening.start)
        yield
        if not self.at(_CLOSING[opening.text]):
            raise self.error(f"expected {quote(_CLOSING[opening.text])}{self._found()}")
        self.take()
        self._depth -= 1

    def call(self) -> Call:
        """Read a call or a bare name."""
        if self.token.kind != "name":
            raise self.error(f"expected a name{self._found()}")
        name = self.take()
        args: list[Value] = []
        kwargs: dict[str, Value] = {}
        positions: dict[int | str, int] = {}
        names: dict[str, int] = {}
        if self.at("("):
            with self.nested():
                for first in self._items(")"):
                    key = self.take() if first.kind == "name" else None
                    if key is not None and self.at("="):
                        if key.text in kwargs:
                            raise self.error(f"{quote(key.text)} is given twice", key.start)
                        self.take()
                        names[key.text] = self.offset + key.start
                        positions[key.text] = self.offset + self.token.start
                        kwargs[key.text] = self.value()
                    elif kwargs:
                        raise self.error("a value without a name must come before those with one", first.start)
                    else:
                        positions[len(args)] = self.offset + first.start
                        args.append(self.value() if key is None else _word(key.text))
        return Call(name.text, tuple(args), kwargs, positions, names, self.offset + name.start, self.whole)

    def value(self) -> Value:
        """Read a number, string, name or list."""
        token = self.token
        if token.kind == "number":
            number = self.number()
            if self.token.text in _UNITS:
                raise self.error(f"a length with a unit goes in quotes: '{token.text} {self.token.text}'", token.start)
            return number
        if token.kind == "string":
            return self.take().text[1:-1]
        if token.kind == "name":
            return _word(self.take().text)
        if self.at("[", "("):
            with self.nested():
                return tuple([self.value() for _ in self._items(_CLOSING[token.text])])
        raise self.error(f"expected a value{self._found()}")

    def number(self) -> int | float:
        """Read a number: an int if it is written as one, else a float."""
        token = self.take()
        if len(token.text) <= _LONGEST_INTEGER and token.text.lstrip("+-").isdigit():
            return int(token.text)
        value = float(token.text)
        if value in (float("inf"), float("-inf")):
            raise self.error("this number is too large", token.start)
        return value

    def _items(self, closing: str) -> Iterator[Token]:
        while not self.at(closing):
            yield self.token
            if not self.at(","):
                if not self.at(closing):
                    raise self.error(f"expected ',' or {quote(closing)}{self._found()}")
                return
            self.take()

    def _found(self) -> str:
        return "" if self.token.kind == "end" else f", found {quote(self.token.text)}"

    def _scan(self) -> Token:
        space = _SPACE.match(self.text, self._position)
        assert space is not None, "the pattern matches the empty text"
        start = space.end()
        if start == len(self.text):
            return Token("end", "", start)
        match = _TOKEN.match(self.text, start)
        if match is None:
            character = self.text[start]
            if character in "'\"":
                raise self.error("this quote is never closed", start)
            hint = "; a length with a unit goes in quotes: '5%'" if character == "%" else ""
            raise self.error(f"unexpected {quote(character)}{hint}", start)
        self._position = match.end()
        assert match.lastgroup is not None, "each branch of the pattern has a name"
        return Token(match.lastgroup, match.group(), start)


def parse_call(text: str, *, offset: int = 0, whole: str | None = None) -> Call:
    """Read one call such as `sgd(lr=0.1, momentum=0.9)`, or a bare name such as `adam`.

    Lists come as tuples.

    Args:
        text: the call.
        offset: where `text` begins in `whole`, so that errors point into the longer text.
        whole: the text that `text` is a piece of.

    Raises:
        ScheduleTextError: it does not parse.

    >>> call = parse_call("adam(lr=auto, betas=[0.9, 0.999])")
    >>> call.name, call.kwargs
    ('adam', {'lr': 'auto', 'betas': (0.9, 0.999)})
    """
    reader = Reader(text, offset=offset, whole=whole)
    call = reader.call()
    reader.finish()
    return call


def split_pipe(text: str) -> list[tuple[str, int]]:
    """Split at each `|` that is outside quotes and brackets: the segments, stripped, and where each begins.

    Raises:
        ScheduleTextError: an empty segment, or a quote or bracket that is never closed.

    >>> split_pipe("sgd(lr=0.1) | cosine(1, 0)")
    [('sgd(lr=0.1)', 0), ('cosine(1, 0)', 14)]
    """
    if len(text) > LONGEST_TEXT:
        raise ScheduleTextError(
            f"the text has {len(text)} characters; at most {LONGEST_TEXT} are read", text, LONGEST_TEXT
        )
    cuts, open_brackets, quote_start = [-1], list[int](), -1
    for index, character in enumerate(text):
        if quote_start >= 0:
            quote_start = -1 if character == text[quote_start] else quote_start
        elif character in "'\"":
            quote_start = index
        elif character in "([":
            open_brackets.append(index)
        elif character in ")]" and open_brackets:
            open_brackets.pop()
        elif character == "|" and not open_brackets:
            cuts.append(index)
    if quote_start >= 0:
        raise ScheduleTextError("this quote is never closed", text, quote_start)
    if open_brackets:
        raise ScheduleTextError(f"this {quote(text[open_brackets[-1]])} is never closed", text, open_brackets[-1])
    segments = []
    for before, after in pairwise([*cuts, len(text)]):
        segment = text[before + 1 : after]
        if not segment.strip():
            raise ScheduleTextError("expected a method or a schedule", text, before + 1)
        segments.append((segment.strip(), before + 1 + len(segment) - len(segment.lstrip())))
    return segments


def _word(text: str) -> Value:
    return _WORDS.get(text, text)
