"""A schedule where Keras takes a function: of the update, or of the epoch. Keras itself is not imported.

each update    rates = as_keras("cosine(1, 0)", 0.1, total_steps=1000)
               LambdaCallback(on_train_batch_begin=lambda batch, logs: setattr(
                   model.optimizer, "learning_rate", rates(int(model.optimizer.iterations))))
each epoch     LearningRateScheduler(as_keras("cosine(1, 0)", 0.1, total_steps=epochs))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from calando.schedules import Curve, Schedule, parse

__all__ = ["KerasRates", "as_keras"]


def as_keras(
    schedule: Schedule | str, base_rate: float, *, total_steps: int, steps_per_epoch: int | None = None
) -> KerasRates:
    """A function of the step that Keras' callbacks can call; see the top of this file.

    Args:
        schedule: a schedule or its text; one without per_group parts.
        base_rate: what it multiplies.
        total_steps: how many steps there are; epochs, where it is called once an epoch. Beyond, the last rate holds.
        steps_per_epoch: needed where the schedule has spans in epochs.

    Raises:
        UsageError: a schedule that does not parse or does not fit the horizon.

    >>> rates = as_keras("linear(1, 0)", 0.5, total_steps=4)
    >>> rates(1), rates(9, 0.1)
    (0.375, 0.0)
    """
    parsed = parse(schedule) if isinstance(schedule, str) else schedule
    return KerasRates(parsed.bind(total_steps, steps_per_epoch=steps_per_epoch), base_rate)


@final
@dataclass(frozen=True)
class KerasRates:
    """Rates by step: `base_rate * curve(step)`."""

    curve: Curve
    base_rate: float

    def __call__(self, step: int, rate: float | None = None) -> float:
        """The rate of `step`; LearningRateScheduler passes the present `rate` too, on which nothing depends."""
        return self.base_rate * self.curve(step)
