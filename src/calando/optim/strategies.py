"""Strategies from text: a preset's name, a TOML file, or a pipe.

    [NAME =] METHOD(options) | SCHEDULE | key: SCHEDULE | CONTROLLER(options)

    sgd(lr=0.1, momentum=0.9) | linear(0, 1, over='5%') >> cosine(1, 0)
    mine = adamw(lr=auto) | cosine(1, 0) | weight_decay: linear(1, 0)

A schedule without a key is the rate's. `lr=auto`, or no lr, means: chosen by trials. The same in TOML:

    name = "mine"
    method = "sgd"
    lr = 0.1
    options = { momentum = 0.9 }
    schedules = { lr = "cosine(1, 0)" }
    controllers = ["plateau(factor=0.2, patience='10%')"]
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from calando.controllers import Controller, Plateau
from calando.errors import ScheduleTextError, UnknownName, UsageError
from calando.optim.driver import BETAS
from calando.optim.methods import METHODS, find_method
from calando.optim.presets import PRESETS
from calando.records import StrategySpec
from calando.schedules import Call, Curve, Schedule, Span, parse, parse_call, split_pipe

__all__ = ["bind_strategy", "parse_strategy", "read_strategy", "strategy_curves"]

_TOML_TYPES: tuple[tuple[str, type, str], ...] = (
    ("name", str, "text"),
    ("method", str, "text"),
    ("strategy", str, "text"),
    ("options", dict, "a table, as in { momentum = 0.9 }"),
    ("schedules", dict, 'a table, as in { lr = "cosine(1, 0)" }'),
    ("controllers", list, """a list, as in ["plateau(factor=0.2)"]"""),
)

_NAMED = re.compile(r"\s*([A-Za-z][\w.-]*)\s*=\s*(?=[A-Za-z_]\w*\s*(\(|\||$))")
_KEYED = re.compile(r"\s*([a-z_][a-z_0-9]*)\s*:\s*")


def read_strategy(text: str) -> StrategySpec:
    """A strategy from whatever the user typed: a preset's name, a path to a TOML file, or pipe text.

    Raises:
        UnknownName: a bare word that names nothing.
        UsageError: a file that is missing or wrong; an option or schedule that is.
        ScheduleTextError: text that does not parse.

    >>> read_strategy("cosine").schedules
    {'lr': 'cosine(1, 0)'}
    """
    if text in PRESETS:
        return parse_strategy(PRESETS[text].text, name=text)
    if text.endswith(".toml"):
        return _read_toml(Path(text))
    if re.fullmatch(r"[\w.-]+", text) and text not in METHODS:
        raise UnknownName("strategy", text, PRESETS, hint='or a .toml file, or text like "sgd(lr=0.1) | cosine(1, 0)"')
    return parse_strategy(text)


def parse_strategy(text: str, *, name: str | None = None) -> StrategySpec:
    """A strategy from pipe text.

    Raises:
        ScheduleTextError: the text does not parse; it points at the place.
        UsageError: an unknown method or option, a value outside its range.

    >>> strategy = parse_strategy("mine = sgd(lr=0.1, momentum=0.9) | cosine(1,0)")
    >>> strategy.name, strategy.text
    ('mine', 'sgd(lr=0.1, momentum=0.9) | cosine(1, 0)')
    """
    start = 0
    if named := _NAMED.match(text):
        name, start = name or named[1], named.end()
    segments = split_pipe(text[start:])
    head, offset = segments[0]
    call = parse_call(head, offset=start + offset, whole=text)
    lr, options = _method_options(call, text)
    schedules: dict[str, str] = {}
    controllers: list[str] = []
    for segment, at in segments[1:]:
        place = start + at
        if segment.strip().startswith("plateau"):
            controllers.append(_plateau_text(parse_call(segment, offset=place, whole=text)))
            continue
        key, body = "lr", segment
        if keyed := _KEYED.match(segment):
            key, body = keyed[1], segment[keyed.end() :]
        if key in schedules:
            raise ScheduleTextError(f"a second schedule for {key}; join schedules with >> or *", text, place)
        schedules[key] = str(parse(body, offset=place + len(segment) - len(body), whole=text))
    made_up = "|".join([call.name, *[re.sub(r"\([^()]*\)|\s", "", body) for body in schedules.values()]])
    return _checked(
        {
            "name": name or (made_up[:30] if schedules or controllers else call.name),
            "method": call.name,
            "lr": lr,
            "options": options,
            "schedules": schedules,
            "controllers": tuple(controllers),
        }
    )


def bind_strategy(
    strategy: StrategySpec, *, steps: int, steps_per_epoch: int
) -> tuple[dict[str, Schedule], tuple[Controller, ...]]:
    """A strategy's schedules, for the driver to bind to its groups, and its controllers, bound to a horizon.

    The rate always has a schedule.

    Raises:
        UsageError: a controller that does not fit the horizon.
    """
    texts = {"lr": "constant(1)", **strategy.schedules}
    schedules = {key: parse(text) for key, text in texts.items()}
    return schedules, tuple(_bind_plateau(text, steps, steps_per_epoch) for text in strategy.controllers)


def strategy_curves(strategy: StrategySpec, *, steps: int, steps_per_epoch: int) -> dict[str, tuple[Curve, ...]]:
    """The different curves that a strategy's parameter groups follow, by hyper-parameter.

    Raises:
        UsageError: a schedule that does not fit the horizon, or names a group that there will not be.

    >>> text = "sgd(lr=0.1, weight_decay=0.1) | per_group({'no_decay': 2}, others=1)"
    >>> [curve(0) for curve in strategy_curves(parse_strategy(text), steps=10, steps_per_epoch=1)["lr"]]
    [1.0, 2.0]
    """
    schedules, _ = bind_strategy(strategy, steps=steps, steps_per_epoch=steps_per_epoch)
    method = find_method(strategy.method)
    names = method.groups.names(method.settle(strategy.options))
    for key, schedule in schedules.items():
        for name in schedule.group_names:
            if name not in names:
                raise UnknownName(f"parameter group in the schedule of {key}", name, names)
    return {
        key: tuple(
            one.bind(steps, steps_per_epoch=steps_per_epoch)
            for one in dict.fromkeys(schedule.for_group(name) for name in names)
        )
        for key, schedule in schedules.items()
    }


def _read_toml(path: Path) -> StrategySpec:
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"strategy file {str(path)!r} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"strategy file {str(path)!r} is not TOML: {error}") from error
    known = ("name", "method", "lr", "options", "schedules", "controllers", "strategy")
    for key in fields:
        if key not in known:
            raise UnknownName(f"key of strategy file {path.name}", key, known)
    for key, kind, said in _TOML_TYPES:
        if key in fields and not isinstance(fields[key], kind):
            raise UsageError(f"strategy file {str(path)!r}: {key} must be {said}, got {fields[key]!r}")
    if "strategy" in fields:
        if beside := sorted(fields.keys() - {"strategy", "name"}):
            raise UsageError(
                f"strategy file {str(path)!r}: {beside[0]} belongs into the strategy's text; only name stands beside it"
            )
        return parse_strategy(fields["strategy"], name=fields.get("name", path.stem))
    if "method" not in fields:
        raise UsageError(f'strategy file {str(path)!r} must say method = "…" or strategy = "pipe text"')
    fields.setdefault("name", path.stem)
    if fields.get("lr") == "auto":
        del fields["lr"]
    if isinstance(fields.get("lr"), bool):
        raise UsageError(
            f'strategy file {str(path)!r}: lr must be a positive finite number or "auto", got {fields["lr"]}'
        )
    try:
        fields["schedules"] = {key: str(parse(str(text))) for key, text in dict(fields.get("schedules", {})).items()}
        fields["controllers"] = tuple(_plateau_text(parse_call(str(c))) for c in list(fields.get("controllers", [])))
        return _checked(fields)
    except (ValueError, TypeError) as error:
        raise UsageError(f"strategy file {str(path)!r}: {error}") from error


def _method_options(call: Call, text: str) -> tuple[float | None, dict[str, Any]]:
    find_method(call.name)
    options: dict[str, Any] = dict(call.kwargs)
    if call.args:
        if len(call.args) > 1 or "lr" in options:
            raise UsageError(
                f"{call.name} takes one positional argument, lr; name the others, as in {call.name}(lr=0.1, …)"
            )
        options["lr"] = call.args[0]
    lr = options.pop("lr", "auto")
    if lr == "auto":
        return None, options
    if isinstance(lr, bool) or not isinstance(lr, int | float) or not (0 < lr < math.inf):
        raise UsageError(f"{call.name}: lr must be a positive finite number or auto, got {lr!r} in {text!r}")
    return float(lr), options


def _checked(fields: Mapping[str, Any]) -> StrategySpec:
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in dict(fields.get("options", {})).items()}
    settled = find_method(str(fields["method"])).settle(options)
    try:
        strategy = StrategySpec(**{**fields, "options": options})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"strategy {fields['name']!r}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    betas = list(BETAS)[: len(settled.get("betas", ()))]
    numbers = ["lr", *[name for name, value in settled.items() if isinstance(value, float)], *betas]
    for key in strategy.schedules:
        if key not in numbers:
            raise UnknownName(f"scheduled hyper-parameter of {strategy.method}", key, numbers)
    # Anything wrong with a schedule's own numbers shows on a long horizon too.
    strategy_curves(strategy, steps=10**9, steps_per_epoch=10**3)
    bind_strategy(strategy, steps=10**9, steps_per_epoch=10**3)
    return strategy


def _plateau_text(call: Call) -> str:
    if call.name != "plateau":
        raise UnknownName("controller", call.name, ["plateau"])
    if call.args:
        raise UsageError("plateau takes named options only, as in plateau(factor=0.2, patience='10%')")
    for key in call.kwargs:
        if key not in ("factor", "floor", "patience", "threshold"):
            raise UnknownName("option of plateau", key, ["factor", "floor", "patience", "threshold"])
    return f"plateau({', '.join(f'{key}={value!r}' for key, value in call.kwargs.items())})"


def _bind_plateau(text: str, steps: int, steps_per_epoch: int) -> Plateau:
    options: dict[str, Any] = dict(parse_call(text).kwargs)
    patience = Span.parse(options.pop("patience", "10%")).resolve(steps, steps_per_epoch)
    for key, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"plateau: {key} must be a number, got {value!r}")
    return Plateau(patience=max(1, round(patience)), **options)
