"""Metrics of one's own: a function of (outputs, targets) of a whole part, or a torchmetrics metric, batch by batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, final

from calando.errors import DataError, UsageError, quote, reason_of, said_by
from calando.language import message
from calando.tasks import tree
from calando.tasks.objective import Samples, logits_of
from calando.tasks.tally import Tally, kept, wanted_of

__all__ = ["OfFunction", "OfTorchmetrics"]


@final
class OfFunction(Tally):
    """A function of the whole part's outputs and targets."""

    def __init__(self, function: Callable[[Any, Any], Any], name: str) -> None:
        self._function, self._name = function, name
        self._outputs: list[Any] = []
        self._targets: list[Any] = []

    def add(self, outputs: Any, samples: Samples, loss: float) -> None:
        self._outputs.append(kept(outputs))
        self._targets.append(kept(samples.targets if samples.targets is not None else samples.inputs))

    def score(self) -> float:
        try:
            outputs, targets = tree.put_together(self._outputs), tree.put_together(self._targets)
        except DataError as error:
            raise UsageError(
                message(
                    "metric {name!r} gets all outputs as one, but {error}; give a torchmetrics metric, which "
                    "takes batches one by one",
                    name=self._name,
                    error=said_by(error),
                )
            ) from error
        return _number(self._function(outputs, targets), name=self._name)


@final
class OfTorchmetrics(Tally):
    """A copy of the user's, which takes batches one by one."""

    def __init__(self, metric: Any) -> None:
        self._metric = copy.deepcopy(metric)
        self._metric.reset()

    def add(self, outputs: Any, samples: Samples, loss: float) -> None:
        wanted = samples.targets if isinstance(samples.inputs, Mapping) else wanted_of(samples, metric="torchmetrics")
        if wanted is None:
            raise UsageError(
                message(
                    "a torchmetrics metric compares with targets, and these data have none; give metric= as "
                    "a function of (outputs, batch)"
                )
            )
        self._metric.update(kept(logits_of(outputs)), kept(wanted))

    def score(self) -> float:
        return _number(self._metric.compute(), name=type(self._metric).__name__)


def _number(found: Any, *, name: str) -> float:
    try:
        number = float(found)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise UsageError(
            message(
                "metric {name!r} must give a number, got {found} ({reason})",
                name=name,
                found=quote(found),
                reason=reason_of(error),
            )
        ) from error
    return number
