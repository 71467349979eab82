"""A rate by racing short arms: for where a sweep abstains, as on networks without normalisation.

The race of a tuning (`calando.analysis.race`) without the run that follows it: a few rates start from the same weights
on the same batches, nothing is judged before one has begun to learn, and ties go to the higher rate. What it finds is
the peak rate of a schedule that holds it for a while and then decays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from calando.analysis.arms import Leg, Question, Traced
from calando.analysis.ride import Settled, race
from calando.records import RunSpec
from calando.shown import Shown
from calando.tasks.workload import Workload
from calando.training.lane import holding_lane
from calando.training.loop import advance
from calando.training.state import TrainState, start

__all__ = ["MOST_RUNS", "Raced", "most_updates", "race_for_run"]

MOST_RUNS = 0.6
"""What a race may cost, in runs."""

RaceProgress = Callable[[int, int], object]


@final
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Raced(Shown):
    """What a race found.

    Args:
        run: what was raced; its rate is not the one found.
        settled: the race.
        traces: rate -> losses of each arm.
    """

    run: RunSpec
    settled: Settled
    traces: Mapping[float, np.ndarray]

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
            return ("no arm began to learn within the race; give more epochs=, or look at the data and the network",)
        edge = ("the rate is at the edge of what was tried: the best may lie beyond",) if self.settled.edge else ()
        return (*edge, *self.settled.notes)

    def __str__(self) -> str:
        rate, settled = self.rate, self.settled
        share = self.updates / self.run.steps
        first = "no rate" if rate is None else f"peak rate {rate:.3g}  [{settled.low:.3g}, {settled.high:.3g}]"
        arms = [f"  {arm.rate:<9.3g} {arm.step:>6} updates  {arm.ending}: {arm.why}" for arm in _sorted(settled)]
        cost = f"{self.updates} updates in all, {share:.2f} of a run of {self.run.steps}"
        return "\n".join([f"{first}, by a race of {len(settled.arms)} rates", *arms, *self.doubts, cost])

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
            "workload": self.run.workload.title,
            "method": self.run.strategy.method,
            "rate": self.rate,
            "rate_interval": [self.settled.low, self.settled.high],
            "reliable": self.reliable,
            "doubts": list(self.doubts),
            "updates": self.updates,
            "updates_of_one_run": self.run.steps,
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
    progress: RaceProgress | None = None,
) -> Raced:
    """Race rates for a run of ours, on network, optimizer and batches exactly as the loop has them.

    Args:
        spec: whose schedule the arms follow; its own rate does not matter.
        rate: where the race begins.
        progress: called with (updates made, the most there may be).
    """
    states: dict[float, TrainState] = {}
    task, made = workload.fresh(), 0
    most = most_updates(spec.steps)
    question = Question(steps=spec.steps, rate=rate, chance=workload.chance_loss, budget=MOST_RUNS, ride=False)

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
        game = race(question)
        try:
            legs = next(game)
            while True:
                legs = game.send({leg: trained(leg) for leg in legs})
        except StopIteration as end:
            settled: Settled = end.value
    return Raced(run=spec, settled=settled, traces={arm.rate: arm.trace.losses for arm in settled.arms})
