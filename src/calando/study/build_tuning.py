"""From what a user says to a complete question for a tuning: names looked up, defaults filled in, all checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calando.analysis.arms import Question
from calando.errors import UsageError
from calando.language import message
from calando.methods import find_method
from calando.records import StrategySpec, WorkloadSpec
from calando.records.fields import check
from calando.records.tuning import TuneSpec
from calando.schedules.span import Horizon
from calando.strategy import bind
from calando.strategy.bound import BoundStrategy
from calando.strategy.presets import SGD
from calando.study.build_spec import build_run, read_strategies
from calando.study.limits import MOST_EVALUATIONS, Budget, Machine
from calando.study.proposals import own_values, read_also
from calando.tasks.workload import Workload

__all__ = ["HALF", "build_tuning", "check_begins", "look_cost", "measured_until", "with_schedule"]

HALF = "constant(1, over='50%') >> linear(1, 0)"
"""The schedule where none is given: the rate is held for half of the run, then falls to zero."""
WARMUP = "linear(0.01, 1, over='5%')"
"""For methods whose average of weights replaces a decay."""
LOOKED_AT = 0.03
"""Share of a run that its evaluations may cost."""
FORWARD = 1 / 3
"""Of an update: a forward pass, where the backward pass takes twice as long."""
LEAST_STEPS = 100
"""Updates of a run below which there is nothing to race: an arm is judged after 8 % of them."""


def look_cost(task: Workload) -> float:
    """An evaluation of the validation part, in updates."""
    return FORWARD * len(task.validation) / task.batch_size


def with_schedule(strategy: str | StrategySpec | None) -> tuple[StrategySpec, bool]:
    """What is tuned, with a schedule of its rate; True where that schedule is ours, and may be shortened.

    Raises:
        UsageError: it is none, or has no rate.
    """
    (read,) = read_strategies([SGD if strategy is None else strategy], lr=None)
    method = find_method(read.method)
    if method.rate_free:
        raise UsageError(
            message("there is no rate to tune: {own_rate}; train with `calando train`", own_rate=method.own_rate)
        )
    is_open = "lr" not in read.schedules and method.schedules == "any" and not read.average
    if "lr" not in read.schedules:
        text = HALF if is_open else {"warmup": WARMUP}.get(method.schedules, "constant(1)")
        read = read.model_copy(update={"schedules": {"lr": text, **read.schedules}})
    return read, is_open


def measured_until(bound: BoundStrategy, steps: int) -> int:
    """The update from on which controllers measure no curvature, which takes a second pass over the batch."""
    measuring = (
        step + 1 for step in reversed(range(steps)) if any(one.wants(step).curvature for one in bound.controllers)
    )
    return next(measuring, 0)


def check_begins(rate: float) -> None:
    """Nothing, where a tuning may begin at the rate.

    Raises:
        UsageError: it may not.
    """
    if not Question.least <= rate <= Question.most:
        raise UsageError(
            message(
                "a race begins at a rate from {least:g} to {most:g}, got {rate:g}; give another lr= in the "
                "strategy, or leave it out",
                least=Question.least,
                most=Question.most,
                rate=rate,
            )
        )


def build_tuning(
    task: WorkloadSpec | Workload,
    strategy: str | StrategySpec | None,
    *,
    length: Budget,
    budget: float,
    machine: Machine,
    seed: int = 0,
    also: str | Sequence[str] = (),
    data_dir: Path | None = None,
) -> tuple[TuneSpec, Workload]:
    """The question, and the task, loaded.

    Args:
        strategy: a method, whose schedule is ours, or a strategy with a schedule of the rate; None: SGD with momentum.
        length: of one run.
        budget: in runs.
        also: other hyper-parameters for which values are proposed, as `read_also` takes them.

    Raises:
        UsageError: anything that cannot be.
    """
    check(TuneSpec, budget=budget, seed=seed)
    read, is_open = with_schedule(strategy)
    method = find_method(read.method)
    names = read_also(also, read, budget=budget)
    run, loaded = build_run(task, read, budget=length, machine=machine, seed=seed, data_dir=data_dir)
    bound = bind(run.strategy, Horizon(run.steps, run.steps_per_epoch))
    if back := [text for text, one in zip(read.controllers, bound.controllers, strict=True) if one.wants(0).states]:
        raise UsageError(message("a tuning goes back by itself where a run dies; leave {back} out", back=back[0]))
    measured = measured_until(bound, run.steps)
    check_begins(run.lr)
    if run.steps < LEAST_STEPS:
        raise UsageError(
            message(
                "a run must have at least {LEAST_STEPS} updates for its rate to be raced, got {steps}; give "
                "more epochs= or steps=, or compare whole runs with `calando compare`",
                LEAST_STEPS=LEAST_STEPS,
                steps=run.steps,
            )
        )
    # A look at a large validation part costs as much as many updates.
    looks = min(MOST_EVALUATIONS, int(LOOKED_AT * run.steps / look_cost(loaded)) or 1)
    chance = loaded.chance_loss
    spec = TuneSpec(
        workload=run.workload,
        strategy=run.strategy,
        open=is_open,
        steps=run.steps,
        steps_per_epoch=run.steps_per_epoch,
        evaluate_every=max(run.evaluate_every, -(-run.steps // looks)),
        seed=seed,
        budget=float(budget),
        # To the digits that another processor computes, too.
        chance=None if chance is None else float(f"{chance:.9g}"),
        look_cost=look_cost(loaded),
        per_update=method.passes + (measured > 0),
        measured=measured,
        passes=method.passes,
        lane=run.lane,
        also=names,
        own=own_values(run.strategy, names),
        sums=method.sums and "momentum" in names,
    )
    return spec, loaded
