"""The small language of calls that schedules and strategies are written in, read without `eval`.

    call     = name [ "(" [ argument { "," argument } [","] ] ")" ]
    argument = value | name "=" value                       by position first, then by name
    value    = number | string | name | list | dict         true, false, none; also True, False, None
             | expression                                   where the reader is given a way to read one
    list     = "[" [ value { "," value } [","] ] "]"        or the same in parentheses
    dict     = "{" [ string ":" value { "," ... } [","] ] "}"

Any other bare name is a string: lr=auto means
lr='auto'. What an expression means is not known here: it is read by a function that is handed the reader
where one begins, so that brackets are counted through everything that is nested.
Every error is a ScheduleTextError that points at the character, in the whole text where the piece that is
read is part of a longer one; a call keeps where each argument stands, so that errors in its meaning point there too.

    number   = -1, .5, 1e-3                                 with its sign
    string   = '5%', "2 epochs"                             without escapes
    name     = cosine, adamw-cosine, timm.resnet18
    mark     = >> * + ( ) [ ] { } , = : |

Every pattern takes time linear in what it reads, whatever it reads: no piece of it can match in two ways, and
those that may fail are atomic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import final

from calando.errors import ScheduleTextError, UsageError
from calando.language import message
from calando.schedules.call import Call, Value
from calando.schedules.checks import DEEPEST_NESTING, LONGEST_TEXT, quote
from calando.schedules.tokens import ARGUMENT_NAME, EXPRESSION, SPACE, TOKEN, Token

__all__ = ["Call", "Reader", "Value", "parse_call"]


_LOWER: Mapping[str, bool | None] = {"true": True, "false": False, "none": None}
_WORDS = {**_LOWER, **{word.capitalize(): value for word, value in _LOWER.items()}}
_UNITS = ("epoch", "epochs", "step", "steps")
_LONGEST_INTEGER = 18  # digits; longer ones are read as floats
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_HINTS = {
    "%": message("; a length with a unit goes in quotes: '5%'"),
    "-": message("; to subtract, add: a + -0.5 or a + -1 * b"),
}


@final
class Reader:
    """A cursor over the tokens of one piece of text; `token` is the next one.

    Args:
        text: the piece to read.
        offset: where the piece begins in `whole`.
        whole: the text that the piece is part of, for errors; the piece itself if not given.
        expression: reads a value that is more than a number, string, name, list or dict; without it such a
            value is refused.
    """

    def __init__(
        self,
        text: str,
        *,
        offset: int = 0,
        whole: str | None = None,
        expression: Callable[[Reader], Value] | None = None,
    ) -> None:
        if not isinstance(text, str):
            raise UsageError(message("a schedule's text must be a string, got {text}", text=quote(text)))
        self.text, self.offset, self.whole = text, offset, text if whole is None else whole
        if len(text) > LONGEST_TEXT:
            raise self.error(
                message(
                    "the text has {count} characters; at most {longest_text} are read",
                    count=len(text),
                    longest_text=LONGEST_TEXT,
                ),
                LONGEST_TEXT,
            )
        self._expression = expression
        self._position = self._round = self._square = 0
        self.token = self._scan()

    def error(self, problem: str, start: int | None = None) -> ScheduleTextError:
        """An error that points at `start` in this piece, or at the next token."""
        return ScheduleTextError(problem, self.whole, self.offset + (self.token.start if start is None else start))

    def expected(self, what: str) -> ScheduleTextError:
        """An error that says what should stand in place of the next token."""
        if self.token.kind == "end":
            return self.error(message("expected {what}", what=what))
        return self.error(message("expected {what}, found {found}", what=what, found=quote(self.token.text)))

    def take(self) -> Token:
        """The next token; the one after it becomes the next."""
        taken, self.token = self.token, self._scan()
        return taken

    def at(self, *marks: str) -> bool:
        """Whether the next token is one of these marks."""
        return self.token.kind == "mark" and self.token.text in marks

    def take_operator(self, mark: str) -> bool:
        """Take the operator if it is next; of `a +0.5`, where the number has the sign, only the sign."""
        if self.at(mark):
            self.take()
            return True
        if self.token.kind == "number" and self.token.text[0] in "+-":
            if self.token.text[0] == "-":
                raise self.error(message("unexpected '-'{hint}", hint=_HINTS["-"]))
            if mark == "+":
                self.token = Token("number", self.token.text[1:], self.token.start + 1)
                return True
        return False

    def finish(self) -> None:
        """Raises a ScheduleTextError unless everything is read."""
        if self.token.kind != "end":
            raise self.expected(message("the end"))

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Take a bracket, read what is inside within the `with`, and take the bracket that closes it."""
        opening = self.take()
        # counted apart: a schedule's text may have one round and one other bracket at each level
        is_round = opening.text == "("
        self._round += is_round
        self._square += not is_round
        if max(self._round, self._square) > DEEPEST_NESTING:
            raise self.error(
                message("brackets are nested more than {deepest_nesting} deep", deepest_nesting=DEEPEST_NESTING),
                opening.start,
            )
        yield
        if not self.at(_CLOSING[opening.text]):
            raise self.expected(quote(_CLOSING[opening.text]))
        self.take()
        self._round -= is_round
        self._square -= not is_round

    def call(self) -> Call:
        """Read a call or a bare name."""
        if self.token.kind != "name":
            raise self.expected(message("a name"))
        name = self.take()
        args: list[Value] = []
        kwargs: dict[str, Value] = {}
        positions: dict[int | str, int] = {}
        names: dict[str, int] = {}
        items: dict[int | str, Mapping[int | str, int]] = {}
        if self.at("("):
            with self.nested():
                for first in self._items(")"):
                    places: dict[int | str, int] = {}
                    if self._looks_like(ARGUMENT_NAME):
                        key = self.take().text
                        if key in kwargs:
                            raise self.error(message("{key} is given twice", key=quote(key)), first.start)
                        self.take()
                        names[key] = self.offset + first.start
                        positions[key], items[key] = self.offset + self.token.start, places
                        kwargs[key] = self.value(places)
                    elif kwargs:
                        raise self.error(message("a value without a name must come before those with one"), first.start)
                    else:
                        positions[len(args)], items[len(args)] = self.offset + first.start, places
                        args.append(self.value(places))
        return Call(name.text, tuple(args), kwargs, positions, names, items, self.offset + name.start, self.whole)

    def value(self, places: dict[int | str, int] | None = None) -> Value:
        """Read a value; of a list or dict, `places` is given where each item's value begins."""
        places = {} if places is None else places
        if self._expression is not None and self._looks_like(EXPRESSION):
            return self._expression(self)
        token = self.token
        if token.kind == "number":
            number = self.number()
            if self.token.text in _UNITS:
                raise self.error(
                    message(
                        "a length with a unit goes in quotes: '{text} {unit}'",
                        text=token.text,
                        unit=self.token.text,
                    ),
                    token.start,
                )
            return number
        if token.kind == "string":
            return self.take().text[1:-1]
        if token.kind == "name":
            word = self.take().text
            if self.at("("):
                problem = message(
                    "{word} cannot be called here; a schedule goes behind a '|': sgd(lr=0.1) | cosine(1, 0)",
                    word=quote(word),
                )
                raise self.error(problem, token.start)
            return _WORDS.get(word, word)
        if self.at("[", "("):
            return self._list(places)
        if self.at("{"):
            return self._dict(places)
        raise self.expected(message("a value"))

    def number(self) -> int | float:
        """Read a number: an int if it is written as one, else a float."""
        token = self.take()
        if len(token.text) <= _LONGEST_INTEGER and token.text.lstrip("+-").isdigit():
            return int(token.text)
        value = float(token.text)
        if value in (float("inf"), float("-inf")):
            raise self.error(message("this number is too large"), token.start)
        return value

    def _list(self, places: dict[int | str, int]) -> Value:
        closing = _CLOSING[self.token.text]
        values: list[Value] = []
        with self.nested():
            for first in self._items(closing):
                places[len(values)] = self.offset + first.start
                values.append(self.value())
        return tuple(values)

    def _dict(self, places: dict[int | str, int]) -> Value:
        values: dict[str, Value] = {}
        with self.nested():
            for first in self._items("}"):
                if first.kind != "string":
                    raise self.expected(message("a key in quotes, such as 'head'"))
                key = self.take().text[1:-1]
                if key in values:
                    raise self.error(message("{key} is given twice", key=quote(key)), first.start)
                if not self.at(":"):
                    raise self.expected(message("':'"))
                self.take()
                places[key] = self.offset + self.token.start
                values[key] = self.value()
        return values

    def _items(self, closing: str) -> Iterator[Token]:
        while not self.at(closing):
            yield self.token
            if not self.at(","):
                if not self.at(closing):
                    raise self.expected(message("',' or {closing}", closing=quote(closing)))
                return
            self.take()

    def _looks_like(self, pattern: re.Pattern[str]) -> bool:
        return pattern.match(self.text, self.token.start) is not None

    def _scan(self) -> Token:
        space = SPACE.match(self.text, self._position)
        assert space is not None, "the pattern matches the empty text"
        start = space.end()
        if start == len(self.text):
            return Token("end", "", start)
        match = TOKEN.match(self.text, start)
        if match is None:
            character = self.text[start]
            if character in "'\"":
                raise self.error(message("this quote is never closed"), start)
            raise self.error(
                message("unexpected {character}{hint}", character=quote(character), hint=_HINTS.get(character, "")),
                start,
            )
        self._position = match.end()
        assert match.lastgroup is not None, "each branch of the pattern has a name"
        return Token(match.lastgroup, match.group(), start)


def parse_call(text: str, *, offset: int = 0, whole: str | None = None) -> Call:
    """Read one call such as `sgd(lr=0.1, momentum=0.9)`, or a bare name such as `adam`; lists come as tuples.

    Args:
        text: the call.
        offset: where `text` begins in `whole`, so that errors point into the longer text.
        whole: the text that `text` is a part of.

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
