"""A run driven by feedback, as a run driven by a plain schedule: the same updates to the bit.

    base rate 1, schedule  piecewise(values=[rates as they were], at=[where they changed])
    no controllers; the batches that were left out are left out again

So what a controller did can be plotted, and used without it.
"""

from __future__ import annotations

import numpy as np

from calando.errors import UsageError
from calando.language import message
from calando.records import RunRecord, RunSpec
from calando.schedules import constant, piecewise
from calando.strategy import bind

__all__ = ["replay_of"]


def replay_of(record: RunRecord) -> RunSpec:
    """The spec of a run without controllers that gives the same weights, losses and scores as `record`.

    Raises:
        UsageError: the run ended early, or its parameter groups had schedules of their own.

    Example: `execute(replay_of(record), workload)`.
    """
    spec, strategy = record.spec, record.spec.strategy
    if record.steps_done < spec.steps:
        raise UsageError(
            message(
                "the run ended at update {steps_done} of {steps}; there is no whole run to replay",
                steps_done=record.steps_done,
                steps=spec.steps,
            )
        )
    if len(bind(strategy, spec.horizon).curves["lr"]) > 1:
        raise UsageError(
            message("its parameter groups had schedules of their own; one curve of rates cannot replay them")
        )
    changes = np.flatnonzero(np.diff(record.rates)) + 1
    values = record.rates[[0, *changes]].tolist()
    schedule = piecewise(values=values, at=changes.tolist()) if len(changes) else constant(values[0])
    plain = strategy.model_copy(
        update={
            "name": f"{strategy.name} replayed",
            "lr": 1.0,
            "schedules": {**strategy.schedules, "lr": str(schedule)},
            "controllers": (),
        }
    )
    return spec.model_copy(update={"strategy": plain, "skips": record.skips})
