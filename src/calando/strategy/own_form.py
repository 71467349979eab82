"""What a strategy says of a training whose optimizer is the person's own: a rate, and schedules.

own(lr=auto) | cosine(1, 0)                    has that form
fixed, step, cosine, wsd, one-cycle, …         presets of plain SGD: the schedule alone is taken
adamw, sgd(lr=auto, momentum=0.9), plateau     bring an optimizer, or more than a rate: refused, by name and reason
"""

from __future__ import annotations

from calando.errors import UsageError
from calando.methods.own_optimizer import OWN
from calando.records import StrategySpec
from calando.strategy.presets import PRESETS
from calando.strategy.strategies import read_strategy

__all__ = ["in_own_form"]


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
            f"{strategy.name} needs more than a rate ({more}), and this code keeps its own optimizer; leave the "
            "strategy out, or train with run.follow(network, …)"
        )
    if strategy.method == OWN.name:
        return strategy
    if strategy.method == "sgd" and strategy.name in PRESETS and _is_preset(strategy):
        return strategy.model_copy(update={"method": OWN.name, "options": {}})
    schedule = strategy.schedules.get("lr", "constant(1)")
    raise UsageError(
        f"{strategy.name} brings an optimizer of its own ({strategy.method}), and this code keeps its own; write "
        f'"{strategy.name} = own(lr=auto) | {schedule}" to take the schedule alone, or train with '
        "run.follow(network, …)"
    )


def _is_preset(strategy: StrategySpec) -> bool:
    """Whether it says what the preset of its name says, whatever its rate and length."""
    same = {"lr": strategy.lr, "horizon": strategy.horizon}
    return read_strategy(strategy.name).model_copy(update=same) == strategy
