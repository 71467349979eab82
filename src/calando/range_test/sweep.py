"""The measurement of a learning-rate range test: the loss before each update while the rate rises geometrically.

    rate of update i = low * q^i,   q = (high / low)^(1 / (steps - 1))          i = 0, 1, …

Several repeats start from the same state and train on different batches. A repeat goes on past `high`, at the same q,
up to `top` at most; it ends where the loss or a gradient is not finite, or where `stops` has seen enough. If the first
one shows that what is of interest begins below `low`, it is made again from lower. The driver writes the rates: all
groups keep their ratios, or one group's rate rises and the others stay.

Sources: Smith 2017, *Cyclical Learning Rates*, arXiv:1506.01186, section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, final

import numpy as np

from calando.analysis.range_curves import RangeCurves
from calando.errors import UsageError
from calando.language import message
from calando.methods.driver import Driver
from calando.range_test.borrowed_update import BorrowedUpdate, Reading, blame_batch
from calando.range_test.stops import begins_too_high, stop_reason
from calando.schedules import Horizon, Schedule, constant, exponential, per_group
from calando.schedules.checks import quote
from calando.sizes import check_rate
from calando.training.restore import Undo
from calando.training.session import Session

__all__ = ["Measurement", "Sweep", "SweepOptions"]

LOWERED = 2.0  # decades, each time
LOW, HIGH = 1e-6, 10.0
BOTTOM, TOP = 1e-12, 1e4
FEWEST_STEPS, MOST_STEPS, MOST_REPEATS = 20, 100_000, 1000


@final
@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Which rates are tried: `low` to `high` in so many steps, extended to `bottom` and `top` at most.

    >>> sweep = Sweep(low=1e-3, high=1.0, steps=31, bottom=1e-6, top=100.0)
    >>> round(sweep.per_decade, 9), sweep.most, sweep.lowered().low, sweep.lowered().steps
    (10.0, 51, 1e-05, 51)
    """

    low: float
    high: float
    steps: int
    bottom: float
    top: float

    @property
    def per_decade(self) -> float:
        return (self.steps - 1) / math.log10(self.high / self.low)

    @property
    def most(self) -> int:
        return self.steps + max(0, math.floor(math.log10(self.top / self.high) * self.per_decade + 1e-9))

    def lowered(self) -> Sweep:
        """From lower on, as far as allowed, at the same ratio from update to update."""
        more = round(min(LOWERED, math.log10(self.low / self.bottom)) * self.per_decade)
        return replace(self, low=self.low / 10 ** (more / self.per_decade), steps=self.steps + more)

    def rates(self, count: int) -> np.ndarray:
        """float64[count]: of the first updates."""
        return self.low * 10 ** (np.arange(count) / self.per_decade)


@final
@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """What to measure, as `find_lr` takes it; UsageError where a number is out of its range."""

    repeats: int = 3
    steps: int = 100
    low: float | None = None
    high: float | None = None
    groups: str = "all"
    hold: int | None = None

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("repeats", self.repeats, 1, MOST_REPEATS),
            ("steps", self.steps, FEWEST_STEPS, MOST_STEPS),
            ("hold", 0 if self.hold is None else self.hold, 0, MOST_STEPS),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise UsageError(
                    message(
                        "{name} must be a whole number from {least} to {most}, got {value}",
                        name=name,
                        least=least,
                        most=most,
                        value=repr(value),
                    )
                )
        for name, rate in (("low", self.low), ("high", self.high)):
            if rate is not None and not (isinstance(rate, Real) and 0 < rate < math.inf):
                raise UsageError(
                    message("{name} must be a positive finite rate, got {rate}", name=name, rate=quote(rate))
                )
            if rate is not None:
                check_rate(name, rate)
        if not isinstance(self.groups, str):
            raise UsageError(
                message("groups must be 'all', 'each' or a group's name, got {groups}", groups=repr(self.groups))
            )
        if not self.sweep.low * 10 <= self.sweep.high:
            raise UsageError(
                message(
                    "high must be at least ten times low, got low={low:g} and high={high:g}",
                    low=self.sweep.low,
                    high=self.sweep.high,
                )
            )

    @property
    def sweep(self) -> Sweep:
        """The first sweep; it does not go beyond an end that was given."""
        return Sweep(
            low=LOW if self.low is None else self.low,
            high=HIGH if self.high is None else self.high,
            steps=self.steps,
            bottom=BOTTOM if self.low is None else self.low,
            top=TOP if self.high is None else self.high,
        )


@final
@dataclass(kw_only=True)
class Measurement:
    """Sweeps and trainings at one rate, of all groups or of one; its maker restores everything."""

    update: BorrowedUpdate
    batches: Iterator[Any]  # without end; each repeat goes on where the one before ended
    start_again: Undo  # restores network, optimizer and scaler; called after each repeat
    group: str | None = None  # the one group whose rate changes; None: all do, and keep their ratios
    tick: Callable[[], None] = lambda: None  # called after every update
    _index: int = field(init=False, default=0)  # of the group in which rates are counted, and its base rate
    _base: float = field(init=False, default=1.0)

    def __post_init__(self) -> None:
        driver = Driver(self.update.optimizer, schedules={"lr": constant(1)}, horizon=Horizon(1))
        self._index = 0 if self.group is None else driver.group_names.index(self.group)
        self._base = driver.base_values["lr"][self._index]

    def curves(self, sweep: Sweep, *, repeats: int) -> RangeCurves:
        """Sweep `repeats` times.

        Raises UsageError where something is not finite whatever the rate, or something else writes the rates.
        """
        rows: list[np.ndarray] = []
        stopped: list[str | None] = []
        for repeat in range(repeats):
            row, why = self._repeat(sweep)
            while repeat == 0 and begins_too_high(row, per_decade=sweep.per_decade, stopped=why):
                lower = sweep.lowered()
                if lower.steps == sweep.steps:
                    break
                sweep = lower
                row, why = self._repeat(sweep)
            rows.append(row)
            stopped.append(why)
        count = max(sweep.steps, *(len(row) for row in rows))
        losses = np.full((repeats, count), np.nan)
        for line, row in zip(losses, rows, strict=True):
            line[: len(row)] = row
        # A repeat that ended where another went on was not stopped by anything it saw: all go to the same top.
        return RangeCurves.from_arrays(sweep.rates(count), losses, stopped=stopped, chance=self.update.loss.chance)

    def hold(self, rate: float, *, steps: int) -> np.ndarray:
        """float64[steps or fewer]: losses before the updates of a training at one rate.

        It ends where a loss is not finite, which is the last one, nan. So is the last one where the last update left
        weights that are not finite. Raises UsageError where a batch is not finite whatever the rate.
        """
        session = self._session(constant(rate / self._base), horizon=Horizon(steps))
        losses: list[float] = []
        while len(losses) < steps and (not losses or math.isfinite(losses[-1])):
            reading = self._make(session)
            losses.append(reading.loss if reading.finite else math.nan)
            if not reading.finite:
                blame_batch(self.update, self.start_again)
        if math.isfinite(losses[-1]) and not self.update.weights_finite():
            losses[-1] = math.nan
        return np.array(losses)

    def _repeat(self, sweep: Sweep) -> tuple[np.ndarray, str | None]:
        """Its losses, all finite, and why it ended before the top."""
        low, top = sweep.rates(sweep.most)[[0, -1]] / self._base
        session = self._session(exponential(float(low), float(top)), horizon=Horizon(sweep.most - 1))
        losses: list[float] = []
        why = None
        while len(losses) < sweep.most and why is None:
            reading = self._make(session)
            if not reading.finite and not losses:
                gradient = message(", its gradient is not finite") if math.isfinite(reading.loss) else ""
                raise UsageError(
                    message(
                        "not finite at the first batch, before any update: the loss is {loss:g}{gradient}; no rate "
                        "is at fault: look at the batch, the network's weights and the precision",
                        loss=reading.loss,
                        gradient=gradient,
                    )
                )
            if math.isfinite(reading.loss):
                losses.append(reading.loss)
            if reading.finite:
                why = stop_reason(np.array(losses), per_decade=sweep.per_decade, chance=self.update.loss.chance)
            else:
                blame_batch(self.update, self.start_again)
                why = "not finite"
        self.start_again()
        return np.array(losses), why

    def _session(self, schedule: Schedule, *, horizon: Horizon) -> Session:
        mine = schedule if self.group is None else per_group({self.group: schedule}, others=1)
        return self.update.session(mine, horizon=horizon)

    def _make(self, session: Session) -> Reading:
        written = session.driver.values(session.step)["lr"][self._index]
        reading = self.update.make(session, self.batches)
        found = float(self.update.optimizer.param_groups[self._index]["lr"])
        if not math.isclose(written, found, rel_tol=1e-3):
            raise UsageError(
                message(
                    "the rate was set to {written:g}, and something else made it {found:g}: a scheduler that "
                    "drives this optimizer, or the optimizer itself; take it off for the range test",
                    written=written,
                    found=found,
                )
            )
        self.tick()
        return reading
