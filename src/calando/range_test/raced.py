"""A rate by racing short arms: for where a sweep abstains, as on networks without normalisation.

The race of a tuning (`calando.analysis.race`) without the run that follows it: a few rates start from the same weights
on the same batches, nothing is judged before one has begun to learn, and ties go to the higher rate. What it finds is
the peak rate of a schedule that holds it for a while and then decays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from calando.analysis.arms import Leg, Question, Traced
from calando.analysis.range_curves import Rule
from calando.analysis.ride import Settled, race
from calando.errors import UsageError
from calando.language import _, message, translated
from calando.methods.driver import Driver
from calando.range_test.borrowed_update import BorrowedUpdate, blame_batch
from calando.records import RunSpec
from calando.schedules import Horizon, constant
from calando.shown import Shown
from calando.tasks.tree import leaves
from calando.tasks.workload import Workload
from calando.training.lane import holding_lane
from calando.training.loop import advance
from calando.training.restore import Snapshot
from calando.training.state import TrainState, start

__all__ = ["MOST_RUNS", "Raced", "RacedRates", "most_updates", "race_for_run", "race_lent"]

MOST_RUNS = 0.6
"""What a race may cost, in runs."""
MOST_KEPT = 4 * 2**30
"""Bytes of batches that a race on a person's objects keeps."""

RaceProgress = Callable[[int, int], object]


@final
@dataclass(frozen=True)
class RacedRates:
    """What a race says: a peak rate for a schedule that decays, and none for a constant rate."""

    decayed: Rule
    constant: Rule
    reliable: bool
    reasons: tuple[str, ...]


@final
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Raced(Shown):
    """What a race found.

    Args:
        name: what was raced.
        steps: updates of a run that the rate is for.
        settled: the race.
        traces: rate -> losses of each arm.
        run: the run of ours that was raced, whose rate is not the one found; None: it was objects of yours.
        passes: what an update of a run is charged.
    """

    name: str
    steps: int
    settled: Settled
    traces: Mapping[float, np.ndarray]
    run: RunSpec | None = None
    passes: float = 1.0

    @property
    def rate(self) -> float | None:
        """The rate found; None where nothing was learned."""
        return None if self.settled.begun is None else self.settled.leg.rate

    @property
    def reliable(self) -> bool:
        """Whether one was found that is not at the edge of what could be tried."""
        return self.rate is not None and not self.settled.edge

    @property
    def updates(self) -> int:
        """The cost."""
        return round(self.settled.charged)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why not to rely on it."""
        if self.rate is None:
            return (
                message(
                    "no arm began to learn within the race; give more epochs=, or look at the data and the network"
                ),
            )
        edge = [message("the rate is at the edge of what was tried: the best may lie beyond")] * self.settled.edge
        return (*edge, *self.settled.notes)

    @property
    def suggestion(self) -> RacedRates:
        """The rates in the form of a range test's, so that code that reads those reads these."""
        rate, settled = self.rate, self.settled
        peak = Rule(rate, settled.low, settled.high) if rate is not None else Rule(None, math.nan, math.nan)
        return RacedRates(peak, Rule(None, math.nan, math.nan), self.reliable, self.doubts)

    def __str__(self) -> str:
        rate, settled = self.rate, self.settled
        share = self.updates / (self.steps * self.passes)
        first = _(
            "no rate, by a race of {count} rates"
            if rate is None
            else "peak rate {rate:.3g}  [{low:.3g}, {high:.3g}], by a race of {count} rates",
            rate=rate,
            low=settled.low,
            high=settled.high,
            count=len(settled.arms),
        )
        arms = [
            _(
                "  {rate:<9.3g} {step:>6} updates  {ending}: {why}",
                rate=arm.rate,
                step=arm.step,
                ending=message(arm.ending),
                why=arm.why,
            )
            for arm in _sorted(settled)
        ]
        cost = _(
            "{updates} updates in all, {share:.2f} of a run of {steps}",
            updates=self.updates,
            share=share,
            steps=self.steps,
        )
        return "\n".join([first, *arms, *map(translated, self.doubts), cost])

    __repr__ = __str__

    def table(self) -> list[dict[str, Any]]:
        """A row for each arm, the highest rate first."""
        return [
            {"rate": arm.rate, "updates": arm.step, "ended": arm.ending, "why": arm.why}
            for arm in _sorted(self.settled)
        ]

    def to_json(self) -> dict[str, Any]:
        """All of it but the losses, as what `json.dumps` takes."""
        return {
            "raced": self.name,
            "rate": self.rate,
            "rate_interval": [self.settled.low, self.settled.high],
            "reliable": self.reliable,
            "doubts": list(self.doubts),
            "updates": self.updates,
            "updates_of_one_run": self.steps,
            "arms": self.table(),
        }


def _sorted(settled: Settled) -> list[Any]:
    return sorted(settled.arms, key=lambda arm: -arm.rate)


def most_updates(steps: int) -> int:
    """What a race for runs of so many updates may cost."""
    return int(MOST_RUNS * steps)


def race_for_run(
    spec: RunSpec,
    workload: Workload,
    *,
    rate: float,
    passes: float = 1.0,
    per_update: float = 1.0,
    measured: int = 0,
    progress: RaceProgress | None = None,
) -> Raced:
    """Race rates for a run of ours, on network, optimizer and batches exactly as the loop has them.

    Args:
        spec: whose schedule the arms follow; its own rate does not matter.
        rate: where the race begins.
        passes, per_update, measured: what updates are charged (`calando.records.tuning.TuneSpec`).
        progress: called with (updates made, the most there may be).
    """
    states: dict[float, TrainState] = {}
    task, made = workload.fresh(), 0
    most = most_updates(spec.steps)
    question = Question(
        steps=spec.steps,
        rate=rate,
        chance=workload.chance_loss,
        budget=MOST_RUNS * passes,
        per_update=per_update,
        per_until=measured,
        per_later=passes,
        ride=False,
    )

    def trained(leg: Leg) -> Traced:
        nonlocal made
        if leg.rate not in states:
            states[leg.rate] = start(spec.model_copy(update={"strategy": spec.strategy.at_rate(leg.rate)}), task)
        state = states[leg.rate]

        def watch(_: TrainState) -> bool:
            nonlocal made
            made += 1
            if progress is not None:
                progress(made, max(made, most))
            return False

        advance(state, task, until=leg.until, watch=watch)
        diverged = state.stopped is not None
        return Traced(state.losses[: state.seen].copy(), diverged=diverged, charged=state.charged)

    with holding_lane(spec.lane):
        settled = _played(question, trained)
    name = f"{spec.strategy.method} on {spec.workload.title}"
    return _raced(name, spec.steps, settled, run=spec, passes=passes)


def race_lent(
    update: BorrowedUpdate,
    batches: Iterator[Any],
    begin: Callable[[], None],
    *,
    steps: int,
    usual: float,
    progress: RaceProgress | None = None,
) -> Raced:
    """Race rates on what a person lends; its maker restores everything.

    The batches that arms need are kept in memory, since all see the same ones, and each update's generators are seeded
    by its number, so that all draw the same dropout.

    Args:
        begin: brings network, optimizer and scaler to where they were lent.
        steps: updates of the training that the rate is for.
        usual: where the race begins.

    Raises:
        UsageError: a batch that is not finite whatever the rate; more batches than MOST_KEPT bytes.
    """
    driver = Driver(update.optimizer, schedules={"lr": constant(1)}, horizon=Horizon(1))
    base, model = driver.base_values["lr"][0], update.loss.model
    kept: list[list[Any]] = []
    held, made = 0, 0
    states: dict[float, tuple[Snapshot, list[float]]] = {}
    question = Question(steps=steps, rate=usual, chance=update.loss.chance, budget=MOST_RUNS, ride=False)
    most = most_updates(steps)

    def batch(step: int) -> list[Any]:
        nonlocal held
        while len(kept) <= step:
            drawn = [next(batches) for _ in range(update.accumulate)]
            kept.append(drawn)
            held += sum(part.numel() * part.element_size() for one in drawn for _, part in leaves(one, "batch"))
            if held > MOST_KEPT:
                raise UsageError(
                    message(
                        "a race keeps its batches in memory, {held:.1f} GiB after {count} updates; race for a "
                        "shorter training, or on smaller batches",
                        held=held / 2**30,
                        count=len(kept),
                    )
                )
        return kept[step]

    def trained(leg: Leg) -> Traced:
        nonlocal made
        begin()
        losses: list[float] = []
        if leg.rate in states:
            snapshot, losses = states[leg.rate]
            snapshot.put_back()
        session = update.session(constant(leg.rate / base), horizon=Horizon(steps))
        while len(losses) < leg.until and (not losses or math.isfinite(losses[-1])):
            drawn = batch(len(losses))
            # The loader goes on with the generator that it had.
            generator = torch.get_rng_state()
            torch.manual_seed(len(losses))
            reading = update.make(session, iter(drawn))
            torch.set_rng_state(generator)
            if not reading.finite:
                blame_batch(update, begin)
            losses.append(reading.loss if reading.finite else math.nan)
            made += 1
            if progress is not None:
                progress(made, max(made, most))
        snapshot = Snapshot()
        for one in (model, update.optimizer, update.scaler):
            snapshot.note(one)
        states[leg.rate] = snapshot, losses
        return Traced(np.array(losses, np.float32), diverged=not math.isfinite(losses[-1]))

    settled = _played(question, trained)
    return _raced(type(update.optimizer).__name__, steps, settled)


def _played(question: Question, trained: Callable[[Leg], Traced]) -> Settled:
    game = race(question)
    try:
        legs = next(game)
        while True:
            legs = game.send({leg: trained(leg) for leg in legs})
    except StopIteration as end:
        settled: Settled = end.value
        return settled


def _raced(name: str, steps: int, settled: Settled, *, run: RunSpec | None = None, passes: float = 1.0) -> Raced:
    traces = {arm.rate: arm.trace.losses for arm in settled.arms}
    return Raced(name=name, steps=steps, settled=settled, traces=traces, run=run, passes=passes)
