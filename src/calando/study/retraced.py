"""Whether today's code makes what a stored run made: its first updates, made again.

`training.identity` measures a network and a loss on a few samples, at initial weights. What it cannot see is here:
whole batches, weights that have moved (a branch that starts at zero hides all that is in it), and what a schedule's own
function says of each step.

    losses    of the first RETRACED updates of one run: within 1e-6 where the first is equal to the bit, so that this
              machine rounds as it did; else within 1e-4
    rates     of all updates of one run of each strategy with a function or schedule of the user's own, within 1e-9
"""

from __future__ import annotations

import numpy as np

from calando.errors import UsageError
from calando.records import RunRecord, Store
from calando.schedules import SCHEDULES
from calando.schedules.function import functions_named
from calando.strategy import bind
from calando.tasks.workload import Workload
from calando.training.lane import describe_host, holding_lane
from calando.training.loop import advance
from calando.training.state import start

__all__ = ["check_retraced"]

RETRACED = 6
ROUNDED_ALIKE, ROUNDED_OTHERWISE, RATES = 1e-6, 1e-4, 1e-9


def check_retraced(store: Store, workload: Workload) -> tuple[str, ...]:
    """See that the stored runs are those that would be made now: what to report.

    Args:
        workload: whose identity is the study's, as far as that was looked at.

    Raises:
        UsageError: they are others; says what has changed.
    """
    name = f"study {str(store.folder)!r}"
    records = store.runs(traces=False)
    seen: set[str] = set()
    for digest, record in records.items():
        text = record.spec.strategy.text
        if text in seen or not (functions_named(text) or SCHEDULES.own(text)) or record.spec.strategy.controllers:
            continue
        seen.add(text)
        if (step := _first_other_rate(store.run(digest))) is not None:
            raise UsageError(
                f"the schedule of {record.spec.strategy.name!r} has changed since {name} was started: its function "
                f"gives another rate at step {step}; bring back what was there, or give the function another name"
            )
    for digest, record in records.items():
        if not _can_be_compared(record):
            continue
        before = store.run(digest).losses[: min(RETRACED, record.steps_done)].astype(np.float64)
        now = _first_losses(record, workload, len(before))
        if now is None:
            return ()
        tolerance = ROUNDED_ALIKE if now[0] == before[0] else ROUNDED_OTHERWISE
        near = np.isclose(before, now, rtol=tolerance, atol=0, equal_nan=True)
        if near.all():
            return ()
        again = _first_losses(record, workload, len(before))
        if again is None or not np.array_equal(now, again, equal_nan=True):
            return (
                f"training varies from look to look, so whether it has changed since {name} was started is unknown",
            )
        step = int(np.argmin(near))
        raise UsageError(
            f"the network, the loss or what they use has changed since {name} was started: the loss of update {step} "
            f"was {before[step]:.9g} and is {now[step]:.9g}; bring back what was there, or name another --study to "
            "begin another"
        )
    return ()


def _can_be_compared(record: RunRecord) -> bool:
    """Whether it was made on such a machine as this is, and never went back."""
    here = describe_host(record.spec.lane)
    same = all(record.host.get(key) == value for key, value in here.items())
    return same and record.steps_done > 0 and not record.undone and not record.skips


def _first_losses(record: RunRecord, workload: Workload, count: int) -> np.ndarray | None:
    """float64[count]; None where training fails, which the study meets again and says as it does."""
    with holding_lane(record.spec.lane):
        try:
            own = workload.fresh()
            state = start(record.spec, own)
            advance(state, own, until=count)
        except KeyboardInterrupt:
            raise
        except BaseException:  # it is the user's own code, which may raise anything
            return None
    return state.losses[:count].astype(np.float64)


def _first_other_rate(record: RunRecord) -> int | None:
    """The first step at which the schedule of today says another rate than was used."""
    spec = record.spec
    if record.undone or record.skips or spec.strategy.lr is None:
        return None
    curve = bind(spec.strategy, spec.horizon).curves["lr"][0]
    now = spec.strategy.lr * np.asarray(curve.sample(), dtype=np.float64)[: len(record.rates)]
    other = ~np.isclose(now, record.rates, rtol=RATES, atol=0)
    return int(np.argmax(other)) if other.any() else None
