"""What a strategy's text calls behind a pipe, controllers and averages: from text, bound to a horizon.

    plateau(factor=0.1, patience='10%', threshold=0.0001, threshold_mode='rel', cooldown=0, floor=0,
            metric='validation_loss')
    rollback(factor=0.5, warmup='2%', every='2%', tries=5, patience='10%', wait='50%')
    edge(until='10%', sigma=0.5, smoothing=0, every=2)
    ema(decay=0.999)
    swa(start='75%', every='1 epoch')

The options are the fields of its class (`calando.controllers`, `calando.strategy.averages`). Lengths are in any unit.
Those of a rollback are at least as long as its statistics need: `every` and `patience` 32 updates, `wait` 64.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from calando.controllers import CONTROLLERS, Controller, Length
from calando.controllers.controller import Entry
from calando.errors import UnknownName, UsageError
from calando.language import message
from calando.registry import own_mistake
from calando.schedules import Call, Span, parse_call
from calando.schedules.checks import checked_count, quote
from calando.schedules.span import LONGEST_HORIZON, Horizon
from calando.strategy.averages import AVERAGES, Average

__all__ = ["average_of", "call_text", "called", "controller_of", "default_of"]

Part = TypeVar("Part")
_Value = float | int | str

_ZERO = re.compile(r"\s*[+-]?0+(\.0*)?\s*(%|steps?|epochs?)?\s*")
_HEAD = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(|$)")


def called(segment: str) -> str:
    """The name that is called at the start of a pipe's segment, or "".

    >>> called(" swa(start='75%')"), called("beta1: linear(1, 0)")
    ('swa', '')
    """
    head = _HEAD.match(segment)
    return head[1] if head else ""


def call_text(call: Call) -> str:
    """The text of a controller or an average, in its one form.

    Raises:
        UnknownName: nothing of that name; an option that it does not take.
        UsageError: an option without its name.

    >>> call_text(parse_call("ema( decay = 0.9990 )"))
    'ema(decay=0.999)'
    """
    entry = AVERAGES[call.name] if call.name in AVERAGES else _controller(call)
    if call.args:
        raise UsageError(
            message("{name} takes named options only, as in {example}", name=call.name, example=entry.example)
        )
    for key in call.kwargs:
        if key not in entry.options:
            raise UnknownName(message("option of {name}", name=call.name), key, entry.options)
    return f"{call.name}({', '.join(f'{key}={value!r}' for key, value in call.kwargs.items())})"


def controller_of(text: str, horizon: Horizon) -> Controller:
    """A controller from its text, its lengths in steps.

    Raises:
        UsageError: a value of the wrong kind or outside its range.

    >>> controller_of("plateau(patience='5%')", Horizon(1000))
    Plateau(factor=0.1, patience=50, ...)
    """
    call = parse_call(text)
    entry = _controller(call)
    try:
        return _made(entry, call, horizon)
    except UsageError:
        raise
    except Exception as error:
        if CONTROLLERS.is_ours(call.name):
            raise
        raise UsageError(own_mistake(call.name, error)) from error


def average_of(text: str, horizon: Horizon) -> Average:
    """A weight average from its text, its lengths in steps.

    Raises:
        UsageError: a value of the wrong kind or outside its range; one that begins after the run's end.

    >>> average_of("swa(start='75%')", Horizon(1000, 100))
    Swa(start=750, every=100)
    """
    call = parse_call(text)
    average = _made(entry := AVERAGES[call.name], call, horizon)
    if average.start >= horizon.total_steps:
        given = call.kwargs.get("start", default_of(entry.options["start"]))
        raise UsageError(
            message(
                "{name}: start={given!r} is update {start} of a run of {total_steps}, after which none follows; "
                "begin sooner, or train for longer",
                name=call.name,
                given=given,
                start=average.start,
                total_steps=horizon.total_steps,
            )
        )
    return average


def default_of(option: Length | _Value) -> _Value:
    """The value of an option that a text leaves out."""
    return option.default if isinstance(option, Length) else option


def _controller(call: Call) -> Entry[Controller]:
    if call.name not in CONTROLLERS:
        raise UnknownName("controller", call.name, CONTROLLERS.names())
    return CONTROLLERS[call.name]


def _made(entry: Entry[Part], call: Call, horizon: Horizon) -> Part:
    return entry.make(
        **{
            key: _settle(f"{call.name}: {key}", option, call.kwargs.get(key, default_of(option)), horizon)
            for key, option in entry.options.items()
        }
    )


def _settle(named: str, option: Length | _Value, given: Any, horizon: Horizon) -> _Value:
    if isinstance(option, Length):
        if option.least == 0 and not isinstance(given, bool) and _ZERO.fullmatch(str(given)):
            return 0
        if option.least == 0 and str(given).lstrip().startswith("-"):
            raise UsageError(
                message(
                    "{named} must be a length of 0 or more, such as '5%' or 100, got {given}",
                    named=named,
                    given=quote(given),
                )
            )
        return max(option.least, round(horizon.steps(Span.parse(given, name=named))))
    if isinstance(option, str):
        if not isinstance(given, str):
            raise UsageError(
                message(
                    "{named} must be a word in quotes, such as '{option}', got {given}",
                    named=named,
                    option=option,
                    given=quote(given),
                )
            )
        return given
    if isinstance(option, bool):
        if not isinstance(given, bool):
            raise UsageError(message("{named} must be true or false, got {given}", named=named, given=quote(given)))
        return given
    if isinstance(option, int):
        return checked_count(named, given, most=LONGEST_HORIZON)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise UsageError(message("{named} must be a number, got {given}", named=named, given=quote(given)))
    return given
