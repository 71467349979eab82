"""Strategies from text: a preset's name, a TOML file, a schedule alone, or a pipe.

    [NAME =] METHOD(options) | SCHEDULE | key: SCHEDULE | CONTROLLER(options) | AVERAGE(options) | horizon(LENGTH)

    sgd(lr=0.1, momentum=0.9) | linear(0, 1, over='5%') >> cosine(1, 0) | rollback() | ema(decay=0.999)
    mine = adamw(lr=auto) | cosine(1, 0) | weight_decay: linear(1, 0) | horizon('10 epochs')

A schedule without a key is the rate's. `lr=auto`, or no lr, means that trials choose it; methods that work their rate
out by themselves get their usual one. A TOML file has `strategy = "PIPE"`, or these keys:

    name = "mine"
    method = "sgd"
    lr = 0.1
    options = { momentum = 0.9 }
    schedules = { lr = "cosine(1, 0)" }
    controllers = ["plateau(factor=0.2, patience='10%')", "rollback()"]
    average = "ema(decay=0.999)"
    horizon = "10 epochs"
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any

from pydantic import ValidationError

from calando.controllers import CONTROLLERS
from calando.errors import ScheduleTextError, UnknownName, UsageError, said_by
from calando.language import message
from calando.methods import METHODS, find_method
from calando.methods.method import OWN
from calando.records import StrategySpec
from calando.records.fields import horizon_text
from calando.records.files import read_plain
from calando.registry import reserve
from calando.schedules import SCHEDULES, Call, Horizon, Schedule, parse, parse_call, split_pipe
from calando.schedules.by_name import text_of_name
from calando.schedules.checks import LONGEST_LABEL, did_you_mean, quote
from calando.sizes import check_rate
from calando.strategy.averages import AVERAGES
from calando.strategy.bound import bind, text_of
from calando.strategy.called_parts import call_text, called
from calando.strategy.presets import PRESETS, SGD, preset_named
from calando.strategy.strategy_checks import check_parts, check_rate_curves, check_scheduled_rate

__all__ = ["at_rate", "parse_strategy", "read_strategy"]

HORIZON = "horizon"
reserve(HORIZON, message("a strategy's own length"))

# Anything wrong with a part's own numbers shows on a long horizon too, so a strategy is checked before it has one.
_LONG = Horizon(10**9, 10**3)

_NAMED = re.compile(r"\s*([A-Za-z][\w.-]*)\s*=\s*(?=[A-Za-z_][\w-]*\s*(\(|\||$)|[-+.\d(])")
_KEYED = re.compile(r"\s*([a-z_][a-z_0-9]*)\s*:\s*")

MOST_BYTES = 2**20

# The keys of a strategy file besides "lr", and what each must hold.
_TYPES: tuple[tuple[str, type | UnionType, str], ...] = (
    ("name", str, "text"),
    ("method", str, "text"),
    ("strategy", str, "text"),
    ("average", str, message('text, as in "ema(decay=0.999)"')),
    ("horizon", str | int, message('a length, as in "10 epochs"')),
    ("options", dict, message("a table, as in { momentum = 0.9 }")),
    ("schedules", dict, message('a table, as in { lr = "cosine(1, 0)" }')),
    ("controllers", list, message('a list, as in ["plateau(factor=0.2)"]')),
)


def read_strategy(text: str) -> StrategySpec:
    """Read a strategy from a TOML file, or from any text that `parse_strategy` reads.

    Raises:
        UnknownName: a name is not known.
        UsageError: the file is missing or invalid, or an option or a schedule is.
        ScheduleTextError: the text does not parse.

    >>> read_strategy("cosine").schedules
    {'lr': 'cosine(1, 0)'}
    """
    return _read_toml(Path(text)) if text.endswith(".toml") else parse_strategy(text)


def parse_strategy(text: str, *, name: str | None = None) -> StrategySpec:
    """Read a strategy from pipe text, a preset's name, or a schedule alone.

    Names are spelled with - or with _. A schedule alone, its name or its text, is trained with the SGD of the presets.

    Raises:
        UnknownName: a name is not known.
        ScheduleTextError: the text does not parse; the error points at the place.
        UsageError: a method or an option is unknown, or a value is out of range.

    >>> strategy = parse_strategy("mine = sgd(lr=0.1, momentum=0.9) | cosine(1,0)")
    >>> strategy.name, strategy.text
    ('mine', 'sgd(lr=0.1, momentum=0.9) | cosine(1, 0)')
    >>> parse_strategy("one_cycle").name, parse_strategy("flat-cosine").schedules["lr"]
    ('one-cycle', "constant(1, over='75%') >> cosine(1, 1e-05)")
    """
    said = _NAMED.match(text)
    body = text[said.end() :] if said else text
    given = name or (said[1] if said else None)
    if (preset := preset_named(body)) is not None:
        return _parse_pipe(PRESETS[preset].text, name=given or preset)
    if (schedule := _schedule_alone(body)) is not None:
        strategy = _parse_pipe(SGD)
        spelled = body.strip() if len(body.strip()) <= LONGEST_LABEL else strategy.name
        fields = {"name": given or spelled, "schedules": {"lr": text_of(schedule)}}
        return _checked({**strategy.model_dump(), **fields})
    for kind, parts in ((message("a controller"), CONTROLLERS), (message("an average"), AVERAGES)):
        if body in parts:
            example = parts[body].example
            raise UsageError(
                message(
                    '{body} is {kind}, no strategy by itself; write "sgd | {example}"',
                    body=body,
                    kind=kind,
                    example=example,
                )
            )
    if re.fullmatch(r"[\w.-]+", body) and body not in METHODS and body != OWN.name:
        known = {*PRESETS, *SCHEDULES}
        hint = message('or a .toml file, or text like "sgd(lr=0.1) | cosine(1, 0)"')
        raise UnknownName("strategy", body, known, hint=hint)
    return _parse_pipe(text, name=name)


def _schedule_alone(text: str) -> Schedule | None:
    """The schedule that a text is, or names; None: it is none, as far as its first word says."""
    head = re.match(r"[A-Za-z_]\w*", text.strip())
    called = head is not None and head[0] in SCHEDULES
    bare = text_of_name(text)
    if bare is None and not called and (re.fullmatch(r"[\s\w.-]*", text) or not re.match(r"\s*[-+.\d(]", text)):
        return None
    if bare is None and len(split_pipe(text)) > 1:
        raise UsageError(message('a strategy begins with its optimizer; write "sgd | {strip}"', strip=text.strip()))
    return parse(text)


def _parse_pipe(text: str, *, name: str | None = None) -> StrategySpec:
    start = 0
    if named := _NAMED.match(text):
        name, start = name or named[1], named.end()
    segments = split_pipe(text[start:])
    head, offset = segments[0]
    method = parse_call(head, offset=start + offset, whole=text)
    lr, options = _method_options(method, text)
    schedules: dict[str, str] = {}
    controllers: list[str] = []
    average = horizon = ""
    for segment, at in segments[1:]:
        place = start + at
        part = called(segment)
        if part in CONTROLLERS or part in AVERAGES or part == HORIZON:
            call = parse_call(segment, offset=place, whole=text)
            if part in CONTROLLERS:
                controllers.append(call_text(call))
            elif part in AVERAGES:
                if average:
                    raise ScheduleTextError(
                        message("a second average next to {average}; keep one", average=average), text, place
                    )
                average = call_text(call)
            else:
                if horizon:
                    raise ScheduleTextError(
                        message("a second horizon next to '{horizon}'; keep one", horizon=horizon), text, place
                    )
                horizon = call.apply(horizon_text)
            continue
        key, body = "lr", segment
        if keyed := _KEYED.match(segment):
            key, body = keyed[1], segment[keyed.end() :]
        if key in schedules:
            raise ScheduleTextError(
                message("a second schedule for {key}; join schedules with >> or *", key=key), text, place
            )
        schedules[key] = text_of(_schedule(body, place + len(segment) - len(body), text))
    shown = [*schedules.values(), *controllers, *([average] if average else [])]
    made_up = "|".join([method.name, *[re.sub(r"\([^()]*\)|\s", "", part) for part in shown]])[:30]
    return _checked(
        {
            "name": name or f"{made_up} {horizon}".rstrip(),
            "method": method.name,
            "lr": lr,
            "options": options,
            "schedules": schedules,
            "controllers": tuple(controllers),
            "average": average,
            "horizon": horizon,
        }
    )


def at_rate(strategy: StrategySpec, lr: float, *, what: str = "lr") -> StrategySpec:
    """The strategy at this base rate.

    Raises:
        UsageError: single precision cannot represent the rate, or its product with the schedule.

    >>> at_rate(parse_strategy("sgd | cosine(1, 0)"), 0.1).text
    'sgd(lr=0.1) | cosine(1, 0)'
    """
    rate = check_rate(what, lr)
    check_scheduled_rate(rate, bind(strategy, _LONG).curves["lr"])
    return strategy.at_rate(rate)


def _schedule(body: str, place: int, text: str) -> Schedule:
    try:
        return parse(body, offset=place, whole=text)
    except ScheduleTextError as error:
        name, others = called(body), [*CONTROLLERS, *AVERAGES, HORIZON]
        if error.position == place and name in others:
            raise ScheduleTextError(
                message("{name} is no schedule; it stands by itself, without a key", name=name), text, place
            ) from None
        # "platau(...)" was meant for a controller
        if error.position == place and (guess := did_you_mean(name, others)):
            raise ScheduleTextError(
                message("unknown schedule or controller {name!r}{guess}", name=name, guess=guess), text, place
            ) from None
        raise


def _read_toml(path: Path) -> StrategySpec:
    fields = _fields(path)
    if "strategy" in fields:
        return parse_strategy(fields["strategy"], name=fields["name"])
    try:
        method = find_method(fields["method"])
        if method.rate_free:
            fields.setdefault("lr", method.usual_rate)
        if fields.get("lr") == "auto":
            del fields["lr"]
        fields["schedules"] = {key: text_of(parse(str(text))) for key, text in fields.get("schedules", {}).items()}
        fields["controllers"] = tuple(_call_among(str(text), CONTROLLERS) for text in fields.get("controllers", []))
        if fields.get("average"):
            fields["average"] = _call_among(fields["average"], AVERAGES)
        if "horizon" in fields:
            fields["horizon"] = horizon_text(fields["horizon"])
        return _checked(fields)
    except (ValueError, TypeError) as error:
        raise UsageError(message("strategy file {path!r}: {error}", path=str(path), error=said_by(error))) from error


def _fields(path: Path) -> dict[str, Any]:
    """The keys of a strategy file: "strategy" alone, or "method" and others; always "name", at least the file's."""
    try:
        fields = tomllib.loads(read_plain(path, most=MOST_BYTES).decode("utf-8").replace("\r\n", "\n"))
    except OSError as error:
        raise UsageError(
            message("strategy file {path!r} cannot be read: {strerror}", path=str(path), strerror=error.strerror)
        ) from error
    except RecursionError as error:
        raise UsageError(message("strategy file {path!r} is nested too deeply", path=str(path))) from error
    except ValueError as error:  # TOML's, that of its encoding, or numbers of thousands of digits
        raise UsageError(
            message("strategy file {path!r} is not TOML: {error}", path=str(path), error=said_by(error))
        ) from error
    known = ["lr", *(key for key, _, _ in _TYPES)]
    for key in fields:
        if key not in known:
            raise UnknownName(message("key of strategy file {name}", name=path.name), key, known)
    for key, kind, wanted in _TYPES:
        if key in fields and not isinstance(fields[key], kind):
            raise UsageError(
                message(
                    "strategy file {path!r}: {key} must be {wanted}, got {fields!r}",
                    path=str(path),
                    key=key,
                    wanted=wanted,
                    fields=fields[key],
                )
            )
    if "strategy" in fields and (others := sorted(fields.keys() - {"strategy", "name"})):
        raise UsageError(
            message(
                "strategy file {path!r}: {others} belongs into the strategy's text; only name may stand next to it",
                path=str(path),
                others=others[0],
            )
        )
    if "strategy" not in fields and "method" not in fields:
        raise UsageError(
            message('strategy file {path!r} must have method = "…" or strategy = "pipe text"', path=str(path))
        )
    if isinstance(fields.get("lr"), bool):
        raise UsageError(
            message(
                'strategy file {path!r}: lr must be a positive finite number or "auto", got {fields}',
                path=str(path),
                fields=fields["lr"],
            )
        )
    if isinstance(rate := fields.get("lr"), int | float) and rate > 0 and rate != math.inf:
        check_rate(message("strategy file {path!r}: lr", path=str(path)), rate)
    fields.setdefault("name", path.stem)
    return fields


def _call_among(text: str, choices: Mapping[str, object]) -> str:
    call = parse_call(text)
    if call.name not in choices:
        raise UnknownName("average" if choices is AVERAGES else "controller", call.name, choices)
    return call_text(call)


def _method_options(call: Call, text: str) -> tuple[float | None, dict[str, Any]]:
    method = find_method(call.name)
    options: dict[str, Any] = dict(call.kwargs)
    if call.args:
        if len(call.args) > 1 or "lr" in options:
            raise UsageError(
                message(
                    "{name} takes one positional argument, lr; name the others, as in {name}(lr=0.1, …)", name=call.name
                )
            )
        options["lr"] = call.args[0]
    lr = options.pop("lr", method.usual_rate if method.rate_free else "auto")
    if lr == "auto":
        return None, options
    if isinstance(lr, bool) or not isinstance(lr, int | float) or not (0 < lr < math.inf):
        raise UsageError(
            message(
                "{name}: lr must be a positive finite number or auto, got {lr} in {text!r}",
                name=call.name,
                lr=quote(lr),
                text=text,
            )
        )
    return check_rate(message("{name}: lr", name=call.name), lr, where=message(" in {text!r}", text=text)), options


def _checked(fields: Mapping[str, Any]) -> StrategySpec:
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in dict(fields.get("options", {})).items()}
    method = find_method(str(fields["method"]))
    settled = method.settle(options)
    try:
        strategy = StrategySpec(**{**fields, "options": options})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            message(
                "strategy {fields!r}: {str}: {first}",
                fields=fields["name"],
                str=".".join(map(str, first["loc"])),
                first=first["msg"],
            )
        ) from error
    check_parts(strategy, method, settled)
    curves = bind(strategy, _LONG).curves
    check_rate_curves(method, curves["lr"])
    if strategy.lr is not None:
        check_rate(message("{name}: lr", name=method.name), strategy.lr)
        check_scheduled_rate(strategy.lr, curves["lr"])
    return strategy
