"""What a strategy says of a training whose optimizer is the person's own: a rate, and schedules.

own(lr=auto) | cosine(1, 0)                    has that form
fixed, step, cosine, wsd, one-cycle, …         presets of plain SGD: the schedule alone is taken
flat-cosine, linear(1, 0.1)                    schedules alone
adamw, sgd(lr=auto, momentum=0.9), plateau     bring an optimizer, or more than a rate: refused, by name and reason
"""

from __future__ import annotations

import re

from calando.errors import UsageError
from calando.language import message
from calando.methods.method import OWN
from calando.records import StrategySpec
from calando.strategy.strategies import parse_strategy

__all__ = ["in_own_form"]

_NAME = re.compile(r"[A-Za-z][\w.-]*")


def in_own_form(strategy: StrategySpec) -> StrategySpec:
    """The strategy as one for an optimizer of the code's own.

    Raises:
        UsageError: it says more than a rate and schedules.

    >>> from calando.strategy import read_strategy
    >>> in_own_form(read_strategy("cosine")).text
    'own(lr=auto) | cosine(1, 0)'
    """
    if strategy.controllers or strategy.average:
        more = ", ".join((*strategy.controllers, *filter(None, [strategy.average])))
        raise UsageError(
            message(
                "{name} needs more than a rate ({more}), and this code keeps its own optimizer; leave the "
                "strategy out, or train with run.follow(network, …)",
                name=strategy.name,
                more=more,
            )
        )
    if strategy.method == OWN.name:
        return strategy
    if strategy.method == "sgd" and _is_named(strategy):
        return strategy.model_copy(update={"method": OWN.name, "options": {}})
    schedule = strategy.schedules.get("lr", "constant(1)")
    called = f"{strategy.name} = " if _NAME.fullmatch(strategy.name) else ""
    raise UsageError(
        message(
            "{name} brings an optimizer of its own ({method}), and this code keeps its own; write "
            '"{called}own(lr=auto) | {schedule}" to take the schedule alone, or train with '
            "run.follow(network, …)",
            name=strategy.name,
            method=strategy.method,
            called=called,
            schedule=schedule,
        )
    )


def _is_named(strategy: StrategySpec) -> bool:
    """Whether it says what its name says, a preset's or a schedule's, whatever its rate and length."""
    same = {"lr": strategy.lr, "horizon": strategy.horizon}
    try:
        return parse_strategy(strategy.name).model_copy(update=same) == strategy
    except UsageError:
        return False
