"""Controllers and weight averages from text, bound to a horizon.

    plateau(factor=0.1, patience='10%', threshold=0.0001, threshold_mode='rel', cooldown=0, floor=0,
            metric='validation_loss')
    rollback(factor=0.5, warmup='2%', every='2%', tries=5, patience='10%', wait='50%')
    edge(until='10%', sigma=0.5, smoothing=0, every=2)
    ema(decay=0.999)
    swa(start='75%', every='1 epoch')

A controller's options are the fields of its class (`calando.controllers`), an average's stand here. Lengths are in any
unit. Those of a rollback are at least as long as its statistics need: `every` and `patience` 32 updates, `wait` 64.

Sources of averages: Polyak & Juditsky 1992; Izmailov et al. 2018, "Averaging weights leads to wider optima" (SWA).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from calando.controllers import CONTROLLERS, Controller, Length
from calando.errors import UnknownName, UsageError
from calando.registry import own_mistake, reserve
from calando.schedules import Call, Span, parse_call
from calando.schedules.checks import checked_count, quote
from calando.schedules.span import LONGEST_HORIZON, Horizon

__all__ = ["AVERAGES", "CONTROLLERS", "Average", "average_of", "call_text", "called", "controller_of", "default_of"]

_Value = float | int | str
_Options = Mapping[str, Length | _Value]

AVERAGES: Mapping[str, _Options] = {
    "ema": {"decay": 0.999},
    "swa": {"start": Length("75%", 0), "every": Length("1 epoch", 1)},
}
"""Name -> its options."""

for _name in AVERAGES:
    reserve(_name, "a weight average")

_EXAMPLES = {"ema": "ema(decay=0.999)", "swa": "swa(start='75%', every='1 epoch')"}

_ZERO = re.compile(r"\s*[+-]?0+(\.0*)?\s*(%|steps?|epochs?)?\s*")
_HEAD = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(|$)")


@dataclass(frozen=True, kw_only=True)
class Average:
    """Which weights a run averages: numbers only.

        ema    every update,                              a <- decay * a + (1 - decay) * w
        swa    update `start` and each `every`-th after,  a <- mean of those w

    Args:
        kind: "ema" or "swa".
        decay: of an ema, in (0, 1); an swa has none, 0.
        start: index of the first update averaged, 0 or more.
        every: updates between two that are averaged, at least 1.

    Raises:
        UsageError: a value outside its range.

    >>> Average(kind="ema", decay=0.999)
    Average(kind='ema', decay=0.999, start=0, every=1)
    """

    kind: Literal["ema", "swa"]
    decay: float = 0.0
    start: int = 0
    every: int = 1

    def __post_init__(self) -> None:
        if self.kind == "ema" and not 0 < self.decay < 1:
            raise UsageError(f"ema: decay must be in (0, 1), such as 0.999, got {self.decay}")
        if self.start < 0:
            raise UsageError(f"{self.kind}: start must be 0 or more, got {self.start}")
        if self.every < 1:
            raise UsageError(f"{self.kind}: every must be at least 1 update, got {self.every}")


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
    options = _options_of(call.name)
    if call.args:
        raise UsageError(
            f"{call.name} takes named options only, as in {_EXAMPLES.get(call.name) or CONTROLLERS[call.name].example}"
        )
    for key in call.kwargs:
        if key not in options:
            raise UnknownName(f"option of {call.name}", key, options)
    return f"{call.name}({', '.join(f'{key}={value!r}' for key, value in call.kwargs.items())})"


def controller_of(text: str, horizon: Horizon) -> Controller:
    """A controller from its text, its lengths in steps.

    Raises:
        UsageError: a value of the wrong kind or outside its range.

    >>> controller_of("plateau(patience='5%')", Horizon(1000))
    Plateau(factor=0.1, patience=50, ...)
    """
    call = parse_call(text)
    if call.name not in CONTROLLERS:
        raise UnknownName("controller", call.name, CONTROLLERS.names())
    try:
        return CONTROLLERS[call.name].make(**_bound(call, horizon))
    except UsageError:
        raise
    except Exception as error:
        if CONTROLLERS.is_ours(call.name):
            raise
        raise UsageError(own_mistake(call.name, error)) from error


def average_of(text: str, horizon: Horizon) -> Average:
    """A weight average from its text, its lengths in steps.

    Raises:
        UsageError: a value of the wrong kind or outside its range; an swa that begins after the run's end.

    >>> average_of("swa(start='75%')", Horizon(1000, 100))
    Average(kind='swa', decay=0.0, start=750, every=100)
    """
    call = parse_call(text)
    average = Average(kind="ema" if call.name == "ema" else "swa", **_bound(call, horizon))
    if average.start >= horizon.total_steps:
        given = call.kwargs.get("start", default_of(AVERAGES["swa"]["start"]))
        raise UsageError(
            f"swa: start={given!r} is update {average.start} of a run of {horizon.total_steps}, after which none "
            "follows; begin sooner, or train for longer"
        )
    return average


def _options_of(name: str) -> _Options:
    if name in AVERAGES:
        return AVERAGES[name]
    if name not in CONTROLLERS:
        raise UnknownName("controller", name, CONTROLLERS.names())
    return CONTROLLERS[name].options


def _bound(call: Call, horizon: Horizon) -> dict[str, Any]:
    return {
        key: _settle(f"{call.name}: {key}", option, call.kwargs.get(key, default_of(option)), horizon)
        for key, option in _options_of(call.name).items()
    }


def default_of(option: Length | _Value) -> _Value:
    """The value of an option that a text leaves out."""
    return option.default if isinstance(option, Length) else option


def _settle(named: str, option: Length | _Value, given: Any, horizon: Horizon) -> _Value:
    if isinstance(option, Length):
        if option.least == 0 and not isinstance(given, bool) and _ZERO.fullmatch(str(given)):
            return 0
        if option.least == 0 and str(given).lstrip().startswith("-"):
            raise UsageError(f"{named} must be a length of 0 or more, such as '5%' or 100, got {quote(given)}")
        return max(option.least, round(horizon.steps(Span.parse(given, name=named))))
    if isinstance(option, str):
        if not isinstance(given, str):
            raise UsageError(f"{named} must be a word in quotes, such as '{option}', got {quote(given)}")
        return given
    if isinstance(option, bool):
        if not isinstance(given, bool):
            raise UsageError(f"{named} must be true or false, got {quote(given)}")
        return given
    if isinstance(option, int):
        return checked_count(named, given, most=LONGEST_HORIZON)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise UsageError(f"{named} must be a number, got {quote(given)}")
    return given
