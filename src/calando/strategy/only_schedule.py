"""Where only a schedule fits, a whole strategy's text is refused with its schedule, ready to paste.

parse("adamw(lr=0.1) | cosine(1, 0)")     refused: its schedule is "cosine(1, 0)"
LRScheduler(optimizer, "ema-cosine", …)   refused: its schedule is "cosine(1, 0)"
LRScheduler(optimizer, "cosine", …)       the preset is SGD with a schedule and nothing more: the schedule is taken
"""

from __future__ import annotations

import re

from calando.errors import UsageError, quote
from calando.language import message
from calando.methods import METHODS
from calando.methods.method import OWN
from calando.records import StrategySpec
from calando.registry import explain_with
from calando.strategy.presets import preset_named
from calando.strategy.strategies import parse_strategy

__all__ = ["only_schedule", "why_no_schedule"]


def only_schedule(strategy: StrategySpec, text: str) -> str:
    """The refusal of a strategy where only a schedule fits.

    Args:
        text: as it came.

    >>> only_schedule(parse_strategy("sgd | linear(1, 0) | momentum: linear(1, 0.9)"), "mine").partition(": ")[2]
    'write "linear(1, 0)", with hyper_parameters={"momentum": "linear(1, 0.9)"}; calando.follow(network, …) trains ...'
    """
    others = ", ".join(f'"{key}": "{schedule}"' for key, schedule in strategy.schedules.items() if key != "lr")
    rest = message(", with hyper_parameters={{{others}}}", others=others) if others else ""
    whole = "" if strategy.method == OWN.name else message("; calando.follow(network, …) trains with all of it")
    return message(
        '{text} is a whole strategy, and only a schedule fits here: write "{schedules}"{rest}{whole}',
        text=quote(text),
        schedules=strategy.schedules.get("lr", "constant(1)"),
        rest=rest,
        whole=whole,
    )


@explain_with
def why_no_schedule(text: str) -> str | None:
    """Why a text is no schedule: it is a whole strategy, of which only the schedule fits; None: it is no strategy."""
    head = re.match(r"[\w.-]*", text.strip())
    if text.strip().endswith(".toml"):
        return message(
            "{text} is a strategy's file, and only a schedule fits here; paste its schedule", text=quote(text)
        )
    if "|" not in text and preset_named(text) is None and (head is None or head[0] not in {*METHODS, OWN.name}):
        return None
    try:
        strategy = parse_strategy(text)
    except UsageError:
        return None
    return only_schedule(strategy, text)
