"""The measurement of a learning-rate range test: the loss before each update while the rate rises geometrically.

    rate of update i = low * q^i,   q = (high / low)^(1 / (steps - 1))          i = 0, 1, …

Several repeats from the same state over different batches. A repeat goes on past `high`, at the same q, until
something happens, at most up to `top`; it ends where the loss or a gradient is not finite, or where `stops`
has seen enough. If the first one shows that what is of interest begins below `low`, it is made again from lower.
Rates are written by the driver: all groups keep their ratios, or one group's rate rises and the others stay.

Sources: Smith 2017, *Cyclical Learning Rates*, arXiv:1506.01186, section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from calando.analysis.range_curves import RangeCurves
from calando.errors import UsageError
from calando.methods.driver import Driver
from calando.range_test.fault import blame_batch
from calando.range_test.stops import begins_too_high, stop_reason
from calando.range_test.update import LentUpdate, Reading
from calando.schedules import Schedule, constant, exponential, per_group
from calando.schedules.span import Horizon
from calando.training.session import Session

__all__ = ["Sweep", "hold_rate", "measure_curves"]

LOWERED = 2.0  # decades, each time


@final
@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Which rates are tried.

    >>> sweep = Sweep(low=1e-3, high=1.0, steps=31, bottom=1e-6, top=100.0)
    >>> round(sweep.per_decade, 9), sweep.most, sweep.lowered().low, sweep.lowered().steps
    (10.0, 51, 1e-05, 51)

    Args:
        low, high: rates of the first update and of update `steps` - 1.
        steps: updates from low to high.
        bottom, top: it is extended no further than this.
    """

    low: float
    high: float
    steps: int
    bottom: float
    top: float

    @property
    def per_decade(self) -> float:
        """Updates in which the rate rises tenfold."""
        return (self.steps - 1) / math.log10(self.high / self.low)

    @property
    def most(self) -> int:
        """Updates from low to top."""
        return self.steps + max(0, math.floor(math.log10(self.top / self.high) * self.per_decade + 1e-9))

    def lowered(self) -> Sweep:
        """From lower on, as far as allowed, at the same ratio from update to update."""
        more = round(min(LOWERED, math.log10(self.low / self.bottom)) * self.per_decade)
        return replace(self, low=self.low / 10 ** (more / self.per_decade), steps=self.steps + more)

    def rates(self, count: int) -> np.ndarray:
        """float64[count]: of the first updates."""
        return self.low * 10 ** (np.arange(count) / self.per_decade)


def measure_curves(
    update: LentUpdate,
    batches: Iterator[Any],
    start_again: Callable[[], object],
    *,
    sweep: Sweep,
    repeats: int,
    group: str | None = None,
    tick: Callable[[], None] = lambda: None,
) -> RangeCurves:
    """Sweep `repeats` times; whoever calls puts everything back.

    Args:
        update: makes one update of what is lent.
        batches: what it trains on, without end; each repeat goes on where the one before ended.
        start_again: puts network, optimizer and scaler back to where the first repeat began; called after each.
        sweep: which rates; of `group`, or of the optimizer's first group.
        group: the name of the one group whose rate rises; None: all do, and keep their ratios.
        tick: called after every update.

    Raises:
        UsageError: something is not finite before the first update, or in a later batch whatever the rate; something
            else writes the rates.
    """
    rows: list[np.ndarray] = []
    stopped: list[str | None] = []
    for repeat in range(repeats):
        row, why = _one(update, batches, start_again, sweep, group, tick)
        start_again()
        while repeat == 0 and begins_too_high(row, per_decade=sweep.per_decade, stopped=why):
            lower = sweep.lowered()
            if lower.steps == sweep.steps:
                break
            sweep = lower
            row, why = _one(update, batches, start_again, sweep, group, tick)
            start_again()
        rows.append(row)
        stopped.append(why)
    count = max(sweep.steps, *(len(row) for row in rows))
    losses = np.full((repeats, count), np.nan)
    for line, row in zip(losses, rows, strict=True):
        line[: len(row)] = row
    # A repeat that ended where another went on was not stopped by anything it saw: all go to the same top.
    return RangeCurves.from_arrays(sweep.rates(count), losses, stopped=stopped, chance=update.loss.chance)


def hold_rate(
    update: LentUpdate,
    batches: Iterator[Any],
    start_again: Callable[[], object],
    *,
    rate: float,
    steps: int,
    group: str | None,
    tick: Callable[[], None],
) -> np.ndarray:
    """float64[steps or fewer]: losses of training at one rate; it ends where one is not finite, which is the last.

    A loss is that before its update: the last one is nan as well where the last update left weights not finite.

    Raises:
        UsageError: a batch that is not finite whatever the rate.
    """
    index, base = _driven(update, group)
    session = update.session(_of_group(constant(rate / base), group), horizon=Horizon(steps))
    losses: list[float] = []
    while len(losses) < steps and (not losses or math.isfinite(losses[-1])):
        reading = _update(update, batches, session, index)
        losses.append(reading.loss if reading.finite else math.nan)
        tick()
        if not reading.finite:
            blame_batch(update, start_again)
    if math.isfinite(losses[-1]) and not update.weights_finite():
        losses[-1] = math.nan
    return np.array(losses)


def _one(
    update: LentUpdate,
    batches: Iterator[Any],
    start_again: Callable[[], object],
    sweep: Sweep,
    group: str | None,
    tick: Callable[[], None],
) -> tuple[np.ndarray, str | None]:
    """One repeat: its losses, all finite, and why it ended before the top."""
    index, base = _driven(update, group)
    last = sweep.most - 1
    low, top = sweep.rates(sweep.most)[[0, last]] / base
    session = update.session(_of_group(exponential(float(low), float(top)), group), horizon=Horizon(last))
    losses: list[float] = []
    for step in range(sweep.most):
        reading = _update(update, batches, session, index)
        tick()
        if not reading.finite and step == 0:
            what = "its gradient" if math.isfinite(reading.loss) else "the loss"
            raise UsageError(
                f"not finite at the first batch, before any update: the loss is {reading.loss:g}"
                f"{', its gradient is not finite' if what == 'its gradient' else ''}; "
                "no rate is at fault: look at the batch, the network's weights and the precision"
            )
        if math.isfinite(reading.loss):
            losses.append(reading.loss)
        if not reading.finite:
            blame_batch(update, start_again)
            return np.array(losses), "not finite"
        why = stop_reason(np.array(losses), per_decade=sweep.per_decade, chance=update.loss.chance)
        if why is not None:
            return np.array(losses), why
    return np.array(losses), None


def _update(update: LentUpdate, batches: Iterator[Any], session: Session, index: int) -> Reading:
    written = session.driver.values(session.step)["lr"][index]
    reading = update.make(session, batches)
    found = float(update.optimizer.param_groups[index]["lr"])
    if not math.isclose(written, found, rel_tol=1e-3):
        raise UsageError(
            f"the rate was set to {written:g}, and something else made it {found:g}: a scheduler that drives this "
            "optimizer, or the optimizer itself; take it off for the range test"
        )
    return reading


def _driven(update: LentUpdate, group: str | None) -> tuple[int, float]:
    """Index and base rate of the group that rates are counted in."""
    driver = Driver(update.optimizer, schedules={"lr": constant(1)}, horizon=Horizon(1))
    index = 0 if group is None else driver.group_names.index(group)
    return index, driver.base_values["lr"][index]


def _of_group(schedule: Schedule, group: str | None) -> Schedule:
    return schedule if group is None else per_group({group: schedule}, others=1)
