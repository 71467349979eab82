"""Whether the parts of a strategy go together: checked before training; an error says in one line what to do.

schedules     of a hyper-parameter that the method has; of the rate only where the method accepts one
controllers   one of a kind, and none that cuts the rate of a method that works it out by itself
average       not of a method that evaluates an average of its own
clipping      of gradients not where the step is read off loss and gradient together
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from calando.controllers import CONTROLLERS
from calando.errors import UnknownName, UsageError
from calando.language import message
from calando.methods import Closure, Method
from calando.methods.known_groups import BETAS
from calando.records import StrategySpec
from calando.schedules import Curve
from calando.sizes import LARGEST, check_products
from calando.strategy.called_parts import called

__all__ = ["check_clipping", "check_parts", "check_rate_curves", "check_scheduled_rate"]


def check_parts(strategy: StrategySpec, method: Method, settled: Mapping[str, Any]) -> None:
    """Refuse parts that do not go together, by their names alone.

    Args:
        settled: the method's options with their defaults.

    Raises:
        UnknownName: a schedule of what the method does not have.
        UsageError: parts that contradict each other.
    """
    betas = list(BETAS)[: len(settled.get("betas", ()))]
    numbers = ["lr", *[name for name, value in settled.items() if isinstance(value, float)], *betas]
    for key in strategy.schedules:
        if key not in numbers:
            raise UnknownName(message("scheduled hyper-parameter of {method}", method=strategy.method), key, numbers)
    if "lr" in strategy.schedules and method.schedules == "none":
        raise UsageError(
            message(
                "{name} works its rate out by itself and takes no schedule of it; leave out {schedules!r}",
                name=method.name,
                schedules=strategy.schedules["lr"],
            )
        )
    for key in ("momentum", "beta1"):
        if method.eval_mode and key in strategy.schedules:
            raise UsageError(
                message(
                    "{name} works the weights to evaluate out with its {key}, which must stay; leave out {schedules!r}",
                    name=method.name,
                    key=key,
                    schedules=strategy.schedules[key],
                )
            )
    kinds: dict[str, str] = {}
    for text in strategy.controllers:
        kind = called(text)
        if kind in kinds:
            raise UsageError(
                message(
                    "two controllers would fight over the rate: {kinds!r} and {text!r}; leave out one",
                    kinds=kinds[kind],
                    text=text,
                )
            )
        if CONTROLLERS[kind].decays and method.schedules != "any":
            raise UsageError(
                message(
                    "{name} needs no decay of its rate, and a {kind} is one; leave out {text!r}",
                    name=method.name,
                    kind=kind,
                    text=text,
                )
            )
        kinds[kind] = text
    if strategy.average and method.eval_mode:
        raise UsageError(
            message(
                "{name} evaluates an average of its weights as it is; leave out {average!r}",
                name=method.name,
                average=strategy.average,
            )
        )


def check_rate_curves(method: Method, curves: Sequence[Curve]) -> None:
    """Refuse a rate that falls below its highest value, where the method accepts a warmup alone.

    Raises:
        UsageError: it falls.
    """
    if method.schedules != "warmup":
        return
    for curve in curves:
        values = curve(_places(curve))
        if not values.max() <= values[-1] * (1 + 1e-9):
            raise UsageError(
                message(
                    "{name} needs no decay, and this schedule of its rate ends at {values:g} of {max:g}; keep the "
                    "warmup alone, as in linear(0, 1, over='5%'), got {schedule!r}",
                    name=method.name,
                    values=values[-1],
                    max=values.max(),
                    schedule=str(curve.schedule),
                )
            )


def check_scheduled_rate(lr: float, curves: Sequence[Curve]) -> None:
    """Refuse rates that single precision does not hold, however long the runs will be.

    A schedule in steps that grows may never get that far in a run; the driver checks every update.

    Raises:
        UsageError: the first rate is too large, or all are too small.
    """
    for curve in curves:
        values = np.asarray(curve(_places(curve)))
        check_products("lr", lr, values[:1], first=0)
        check_products("lr", lr, values[np.abs(values) <= LARGEST / max(lr, 1.0)])


def _places(curve: Curve) -> np.ndarray:
    """Updates at all scales: a schedule's lengths may be in steps, epochs or shares."""
    last = curve.total_steps - 1
    return np.unique([*np.linspace(0, last, 1025).round(), *np.geomspace(1, last, 257).round()])


def check_clipping(name: str, closure: Closure | None) -> None:
    """Refuse to clip gradients whose size a method takes its step from: the shorter the gradient, the longer the step.

    Args:
        name: of the method or the optimizer.
        closure: as `Method.closure`; None where that is not known.

    Raises:
        UsageError: it does.
    """
    if closure == "loss":
        raise UsageError(
            message(
                "{name} works its step out from the loss and the gradient's size: clipped gradients would "
                "lengthen it; leave clip_norm out, its rate is a cap on the step",
                name=name,
            )
        )
