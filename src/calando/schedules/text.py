"""Schedules as text and as JSON: `parse(str(schedule)) == schedule`, and errors that point at the character.

    chain   = sum { ">>" sum }                  a >> b + c * d  is  a >> (b + (c * d)), as in Python
    sum     = product { "+" product }
    product = operand { "*" operand }
    operand = call | number | "(" chain ")"     a number stands for constant(number)

Calls are read by `grammar`; the names are those of `known_schedules.SCHEDULES`. A chain may be an argument of a call,
alone or in a list or dict: repeat(0.5 * cosine(1, 0), every='25%'). There, a number or name alone is just
that, and brackets around it make a list. The JSON form wraps the text, so there is one grammar and one set of
limits: {"calando": "schedule", "version": 1, "text": "cosine(1, 0)"}.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from itertools import pairwise
from typing import final

from calando.errors import ScheduleTextError, UsageError, said_by
from calando.language import message
from calando.registry import own_mistake, why_elsewhere
from calando.schedules.by_name import text_of_name
from calando.schedules.checks import LONGEST_TEXT, MOST_PARTS, did_you_mean, quote
from calando.schedules.compose import Constant, Plus, Then, Times
from calando.schedules.grammar import Call, Reader
from calando.schedules.known_schedules import SCHEDULES
from calando.schedules.schedule import Extent, Schedule

__all__ = ["JSON_VERSION", "from_json", "parse", "split_pipe", "to_json"]

# The version is that of the wrapping and of what old texts mean; it stays where texts can only say more. An older
# calando refuses a name or operator that it does not know and never misreads one, and it goes on reading the texts
# it does know, which it would refuse under a new version.
JSON_VERSION = 1

_OPERATORS: tuple[tuple[str, Callable[[tuple[Schedule, ...]], Schedule]], ...] = (
    (">>", Then),
    ("+", Plus),
    ("*", Times),
)
"""From the one that binds least to the one that binds most."""


def parse(text: str, *, offset: int = 0, whole: str | None = None) -> Schedule:
    """Read a schedule from the text that builds it, or from its name.

    Args:
        text: such as "linear(0, 1, over='5%') >> cosine(1, 0)". Or a name alone, such as "cosine", "one-cycle" or
            "warmup_cosine": that of a schedule, or of a preset that is just SGD with a schedule.
        offset: position of `text` in `whole`, so that errors point into the longer text.
        whole: the text that `text` is a part of.

    Raises:
        ScheduleTextError: the text does not parse, names no schedule, has wrong arguments, or is too large (100,000
            characters, 1000 parts, nested 50 deep). Or it is a whole strategy; the error then shows its schedule.

    >>> parse("linear(0, 1, over='5%') >> cosine(1, 0)")
    linear(0, 1, over='5%') >> cosine(1, 0)
    >>> parse("warmup-cosine")
    linear(0.01, 1, over='5%') >> cosine(1, 0)
    >>> parse("cosin(1, 0)")
    Traceback (most recent call last):
    calando.errors.ScheduleTextError: unknown schedule 'cosin'; did you mean 'cosine'? `calando schedules` lists
    all, at character 1 of 'cosin(1, 0)' -> here: <!>cosin(1, 0)
    """
    if whole is not None:
        return _read(text, offset=offset, whole=whole)
    try:
        return _read(text_of_name(text) or text if isinstance(text, str) else text, offset=offset)
    except ScheduleTextError:
        # A strategy's schedules are parsed too: what is wrong there is not looked up once more.
        if not isinstance(text, str) or _LOOKED_ELSEWHERE.get():
            raise
        looking = _LOOKED_ELSEWHERE.set(True)
        try:
            why = why_elsewhere(text)
        finally:
            _LOOKED_ELSEWHERE.reset(looking)
        if why is None:
            raise
        raise ScheduleTextError(why, text, 0) from None


_LOOKED_ELSEWHERE: ContextVar[bool] = ContextVar("looked elsewhere", default=False)


def _read(text: str, *, offset: int, whole: str | None = None) -> Schedule:
    expressions = _Expressions()
    reader = Reader(text, offset=offset, whole=whole, expression=expressions.read)
    schedule = expressions.read(reader)
    reader.finish()
    return schedule


def to_json(schedule: Schedule) -> str:
    """A schedule as versioned JSON.

    >>> from calando.schedules import cosine
    >>> to_json(cosine(1, 0))
    '{"calando": "schedule", "version": 1, "text": "cosine(1, 0)"}'
    """
    return json.dumps({"calando": "schedule", "version": JSON_VERSION, "text": str(schedule)})


def from_json(text: str) -> Schedule:
    """Read back what `to_json` wrote.

    Raises:
        UsageError: not JSON, not a schedule, or of a version that this calando does not read.
        ScheduleTextError: the schedule's text does not parse.

    >>> from_json('{"calando": "schedule", "version": 1, "text": "cosine(1, 0)"}')
    cosine(1, 0)
    """
    # every character of the text takes at most six here (\\u0000)
    if not isinstance(text, str) or len(text) > 6 * LONGEST_TEXT + 1000:
        raise UsageError(
            message("a schedule's JSON must be a string of at most {most} characters", most=6 * LONGEST_TEXT)
        )
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            message("a schedule's JSON does not parse ({error}), got {text}", error=error, text=quote(text))
        ) from None
    if not isinstance(data, dict) or data.get("calando") != "schedule":
        raise UsageError(message('a schedule\'s JSON must have "calando": "schedule", got {text}', text=quote(text)))
    version = data.get("version")
    if version != JSON_VERSION:
        raise UsageError(
            message(
                "a schedule's JSON of version {version} is not read by this calando, which knows "
                "{JSON_VERSION}; upgrade calando",
                version=quote(version),
                JSON_VERSION=JSON_VERSION,
            )
        )
    return parse(data.get("text", ""))


@final
class _Expressions:
    """Reads the schedules of one text, those that are arguments of others too, and counts their parts."""

    def __init__(self) -> None:
        self._parts = 0

    def read(self, reader: Reader, level: int = 0) -> Schedule:
        """Read what the operators from `level` on join; level 0 is a whole chain."""
        if level == len(_OPERATORS):
            return self._operand(reader)
        mark, join = _OPERATORS[level]
        starts = [reader.token.start]
        parts = [self.read(reader, level + 1)]
        while reader.take_operator(mark):
            starts.append(reader.token.start)
            parts.append(self.read(reader, level + 1))
        if len(parts) == 1:
            return parts[0]
        try:
            return join(tuple(parts))
        except UsageError as error:
            # a chain is wrong at the second part without a length, if that is what is wrong
            culprits = [start for start, part in zip(starts, parts, strict=True) if part.extent is not Extent.FIXED]
            if join is not Then or not culprits:
                culprits = starts[:1]
            raise reader.error(said_by(error), culprits[1] if len(culprits) > 1 else culprits[0]) from None

    def _operand(self, reader: Reader) -> Schedule:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise reader.error(message("more than {most_parts} parts", most_parts=MOST_PARTS))
        if reader.at("("):
            with reader.nested():
                inside = self.read(reader)
                if reader.at(","):
                    raise reader.error(message("a list of schedules goes in square brackets"))
                return inside
        if reader.token.kind == "number":
            return Constant(reader.number())
        if reader.token.kind != "name":
            raise reader.expected(message("a schedule such as cosine(1, 0)"))
        return _build(reader.call())


def _build(call: Call) -> Schedule:
    make = SCHEDULES.get(call.name)
    if make is None:
        # all the names would bury the place that is pointed at, where one of them is near
        names = SCHEDULES.names()
        guess = did_you_mean(call.name, names)
        known = (
            message("`calando schedules` lists all") if guess else message("choices: {names}", names=", ".join(names))
        )
        raise call.error(
            message(
                "unknown schedule {name}{guess} {known}",
                name=quote(call.name),
                guess=guess or message(";"),
                known=known,
            )
        )
    try:
        made = call.apply(make)
    except UsageError:
        raise
    except Exception as error:
        if SCHEDULES.is_ours(call.name):
            raise
        raise call.error(own_mistake(call.name, error)) from error
    if not isinstance(made, Schedule):
        raise call.error(
            message(
                "{name} must return a schedule such as cosine(1, 0), and it returned {made}",
                name=call.name,
                made=quote(made),
            )
        )
    return made


def split_pipe(text: str) -> list[tuple[str, int]]:
    """Split at each `|` that is outside quotes and brackets: the segments, stripped, and where each begins.

    Raises:
        ScheduleTextError: an empty segment, or a quote or bracket that is never closed.

    >>> split_pipe("sgd(lr=0.1) | cosine(1, 0)")
    [('sgd(lr=0.1)', 0), ('cosine(1, 0)', 14)]
    """
    if len(text) > LONGEST_TEXT:
        raise ScheduleTextError(
            message(
                "the text has {count} characters; at most {longest_text} are read",
                count=len(text),
                longest_text=LONGEST_TEXT,
            ),
            text,
            LONGEST_TEXT,
        )
    cuts, open_brackets, quote_start = [-1], list[int](), -1
    for index, character in enumerate(text):
        if quote_start >= 0:
            quote_start = -1 if character == text[quote_start] else quote_start
        elif character in "'\"":
            quote_start = index
        elif character in "([{":
            open_brackets.append(index)
        elif character in ")]}" and open_brackets:
            open_brackets.pop()
        elif character == "|" and not open_brackets:
            cuts.append(index)
    if quote_start >= 0:
        raise ScheduleTextError(message("this quote is never closed"), text, quote_start)
    if open_brackets:
        raise ScheduleTextError(
            message("this {text} is never closed", text=quote(text[open_brackets[-1]])), text, open_brackets[-1]
        )
    segments = []
    for before, after in pairwise([*cuts, len(text)]):
        segment = text[before + 1 : after]
        if not segment.strip():
            raise ScheduleTextError(message("expected a method or a schedule"), text, before + 1)
        segments.append((segment.strip(), before + 1 + len(segment) - len(segment.lstrip())))
    return segments
