"""Schedules as text and as JSON: `parse(str(schedule)) == schedule`, and errors that point at the character.

    chain   = product { ">>" product }          a >> b * c  is  a >> (b * c)
    product = operand { "*" operand }
    operand = call | number | "(" chain ")"     a number stands for constant(number)

Calls are read by `grammar`; the names are those of `registry.SCHEDULES`. The JSON form wraps the text, so
there is one grammar and one set of limits: {"calando": "schedule", "version": 1, "text": "cosine(1, 0)"}.
"""

from __future__ import annotations

import json

from calando.errors import UsageError
from calando.schedules.base import Extent, Schedule
from calando.schedules.call import Call
from calando.schedules.checks import LONGEST_TEXT, MOST_PARTS, did_you_mean, quote
from calando.schedules.compose import Then, Times
from calando.schedules.grammar import Reader
from calando.schedules.ramp import Constant
from calando.schedules.registry import SCHEDULES

__all__ = ["JSON_VERSION", "from_json", "parse", "to_json"]

JSON_VERSION = 1


def parse(text: str, *, offset: int = 0, whole: str | None = None) -> Schedule:
    """Read a schedule from the text that builds it.

    Args:
        text: such as "linear(0, 1, over='5%') >> cosine(1, 0)".
        offset: where `text` begins in `whole`, so that errors point into the longer text.
        whole: the text that `text` is a piece of.

    Raises:
        ScheduleTextError: it does not parse, names no schedule, has wrong arguments, or is too large
            (100,000 characters, 1000 parts, nested 50 deep).

    >>> parse("linear(0, 1, over='5%') >> cosine(1, 0)")
    linear(0, 1, over='5%') >> cosine(1, 0)
    >>> parse("cosin(1, 0)")
    Traceback (most recent call last):
    calando.errors.ScheduleTextError: unknown schedule 'cosin'; did you mean 'cosine'? choices: constant, cosine,
    exponential, linear, multistep, one_cycle, one_minus_sqrt, polynomial, step, wsd at character 1 of 'cosin(1, 0)'
    -> here: <!>cosin(1, 0)
    """
    reader = Reader(text, offset=offset, whole=whole)
    schedule = _chain(reader)
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
        raise UsageError(f"a schedule's JSON must be a string of at most {6 * LONGEST_TEXT} characters")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"a schedule's JSON does not parse ({error}), got {quote(text)}") from None
    if not isinstance(data, dict) or data.get("calando") != "schedule":
        raise UsageError(f'a schedule\'s JSON must have "calando": "schedule", got {quote(text)}')
    version = data.get("version")
    if version != JSON_VERSION:
        raise UsageError(
            f"a schedule's JSON of version {quote(version)} is not read by this calando, which knows {JSON_VERSION}; "
            "upgrade calando"
        )
    return parse(data.get("text", ""))


def _chain(reader: Reader) -> Schedule:
    parts: list[Schedule] = []
    starts: list[int] = []
    while True:
        starts.append(reader.token.start)
        parts.append(_product(reader))
        if len(parts) > MOST_PARTS:
            raise reader.error(f"more than {MOST_PARTS} parts", starts[-1])
        if not reader.at(">>"):
            break
        reader.take()
    if len(parts) == 1:
        return parts[0]
    try:
        return Then(tuple(parts))
    except UsageError as error:
        # at the second part without a length, if that is what is wrong
        culprits = [start for start, part in zip(starts, parts, strict=True) if part.extent is not Extent.FIXED]
        raise reader.error(str(error), [*culprits, starts[0]][1 if len(culprits) > 1 else -1]) from None


def _product(reader: Reader) -> Schedule:
    start = reader.token.start
    factors: list[Schedule] = []
    while True:
        if len(factors) > MOST_PARTS:
            raise reader.error(f"more than {MOST_PARTS} parts")
        factors.append(_operand(reader))
        if not reader.at("*"):
            break
        reader.take()
    if len(factors) == 1:
        return factors[0]
    try:
        return Times(tuple(factors))
    except UsageError as error:
        raise reader.error(str(error), start) from None


def _operand(reader: Reader) -> Schedule:
    if reader.at("("):
        with reader.nested():
            return _chain(reader)
    if reader.token.kind == "number":
        return Constant(reader.number())
    if reader.token.kind != "name":
        found = "" if reader.token.kind == "end" else f", found {quote(reader.token.text)}"
        raise reader.error(f"expected a schedule such as cosine(1, 0){found}")
    return _build(reader.call())


def _build(call: Call) -> Schedule:
    make = SCHEDULES.get(call.name)
    if make is None:
        guess = did_you_mean(call.name, list(SCHEDULES)) or ";"
        raise call.error(f"unknown schedule {quote(call.name)}{guess} choices: {', '.join(SCHEDULES)}")
    return call.apply(make)
