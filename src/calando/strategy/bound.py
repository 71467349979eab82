"""A strategy bound to a horizon: its text read once, its lengths in steps, ready to meet a network.

spec (text, from the user, a file or the store)  ->  bind(spec, horizon)  ->  BoundStrategy
    schedules      hyper-parameter -> Schedule, which the driver binds to its groups; the rate always has one
    curves         hyper-parameter -> the different curves that the method's groups follow
    controllers    with lengths in updates
    average        which updates are averaged, or None
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from calando.collector import nothing_collected
from calando.controllers import Controller
from calando.errors import UnknownName
from calando.language import message
from calando.methods import Method, find_method
from calando.records import StrategySpec
from calando.schedules import SCHEDULES, Curve, Horizon, Schedule, parse
from calando.schedules.function import functions_named
from calando.strategy.averages import Average
from calando.strategy.called_parts import average_of, controller_of

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

__all__ = ["BoundStrategy", "bind", "text_of"]


@final
@dataclass(frozen=True)
class BoundStrategy:
    """A strategy on a horizon; made by `bind`.

    Args:
        spec: the strategy's spec.
        horizon: length of the run and of an epoch, in updates.
        method: the entry of the optimizer.
        options: all of its hyper-parameters.
        schedules: hyper-parameter -> schedule of multipliers; "lr" is always present.
        controllers: the controllers, in the order of the text.
        average: the average of the weights. None: there is none.
    """

    spec: StrategySpec
    horizon: Horizon
    method: Method
    options: Mapping[str, Any]
    schedules: Mapping[str, Schedule]
    controllers: tuple[Controller, ...]
    average: Average | None

    @cached_property
    def curves(self) -> dict[str, tuple[Curve, ...]]:
        """The different curves that the parameter groups follow, by hyper-parameter.

        Raises:
            UsageError: a schedule does not fit the horizon, or names a group that will not exist.

        >>> from calando.strategy import parse_strategy
        >>> text = "sgd(lr=0.1, weight_decay=0.1) | per_group({'no_decay': 2}, others=1)"
        >>> [curve(0) for curve in bind(parse_strategy(text), Horizon(10, 1)).curves["lr"]]
        [1.0, 2.0]
        """
        names = self.method.groups.names(dict(self.options))
        for key, schedule in self.schedules.items():
            for name in schedule.group_names:
                if name not in names:
                    raise UnknownName(message("parameter group in the schedule of {key}", key=key), name, names)
        return {
            key: tuple(
                one.bind(self.horizon.total_steps, steps_per_epoch=self.horizon.steps_per_epoch)
                for one in dict.fromkeys(schedule.for_group(name) for name in names)
            )
            for key, schedule in self.schedules.items()
        }

    def optimizer(self, network: nn.Module, *, lr: float) -> Optimizer:
        """The method's optimizer for a network's trained parameters, divided into the groups that it needs.

        Args:
            network: the network, already on its device.
            lr: base rate, positive.
        """
        options = dict(self.options)
        with nothing_collected():  # torch imports its compiler for the first one
            return self.method.build(self.method.groups.split(network, options), lr, options)


def bind(strategy: StrategySpec, horizon: Horizon) -> BoundStrategy:
    """Bind a strategy's parts to a horizon.

    Raises:
        UsageError: a controller or an average does not fit the horizon.

    >>> from calando.strategy import parse_strategy
    >>> bind(parse_strategy("sgd | ema(decay=0.99)"), Horizon(100, 10)).average
    Ema(decay=0.99)
    """
    method = find_method(strategy.method)
    texts = {"lr": "constant(1)", **strategy.schedules}
    return BoundStrategy(
        spec=strategy,
        horizon=horizon,
        method=method,
        options=method.settle(strategy.options),
        schedules={key: schedule_of(text) for key, text in texts.items()},
        controllers=tuple(controller_of(text, horizon) for text in strategy.controllers),
        average=average_of(strategy.average, horizon) if strategy.average else None,
    )


_SCHEDULES: dict[str, Schedule] = {}
"""Schedules by their texts: a schedule is a value, so a process parses each text once."""

MOST_HELD = 4096


def text_of(schedule: Schedule) -> str:
    """A schedule's text, for a spec; `schedule_of` then need not parse it again.

    Unless it has a person's own function or schedule, which may be registered again under its name.
    """
    text = str(schedule)
    if len(_SCHEDULES) >= MOST_HELD:
        _SCHEDULES.clear()
    if not functions_named(text) and not SCHEDULES.own(text):
        _SCHEDULES[text] = schedule
    return text


def schedule_of(text: str) -> Schedule:
    """The schedule that a spec's text stands for."""
    if text not in _SCHEDULES:
        text_of(schedule := parse(text))
        return schedule
    return _SCHEDULES[text]
