"""From what a user says to a complete question for a tuning of a person's own training code: arms are whole runs."""

from __future__ import annotations

from calando.analysis.whole_arms import check_runs
from calando.errors import UsageError
from calando.language import message
from calando.methods import find_method
from calando.methods.method import OWN
from calando.records import Lane, StrategySpec
from calando.records.fields import check
from calando.records.tuning import TuneSpec
from calando.schedules.span import Horizon
from calando.strategy import bind
from calando.strategy.own_form import in_own_form
from calando.study.build_spec import check_curves, said_by
from calando.study.build_tuning import HALF, check_begins, measured_until, with_schedule
from calando.study.executors import ExecutorEntry
from calando.study.jobs import OnProgress
from calando.study.limits import Budget, Machine
from calando.study.own_look import look_at
from calando.study.own_training import OwnTraining

__all__ = ["build_own_tuning"]


def build_own_tuning(
    training: OwnTraining,
    strategy: str | StrategySpec | None,
    *,
    entry: ExecutorEntry,
    address: str | None,
    length: Budget,
    budget: float,
    machine: Machine,
    goal: str | None,
    unit: str | None,
    seed: int = 0,
    check_repeats: bool = True,
    on_progress: OnProgress = lambda progress: None,
) -> tuple[TuneSpec, OwnTraining]:
    """The question, and the code as it is now known.

    Args:
        strategy: as `build_tuning`; None: SGD with momentum, or the code's own optimizer where it keeps one.
        entry, address: of the executor, which makes the looks too.
        length: of one run.
        budget: in runs.
        goal, unit: of the score, where the code need not say them.
        check_repeats: look twice, and report where the two differ.

    Raises:
        UsageError: anything that cannot be; the code fails in its first updates.
    """
    check_runs(budget, seed=seed)
    check(Lane, threads=machine.threads)
    read, _ = with_schedule(strategy)
    looked = look_at(
        training,
        read,
        entry=entry,
        address=address,
        budget=said_by(read, length),
        machine=machine,
        goal=goal,
        unit=unit,
        check_repeats=check_repeats,
        on_progress=on_progress,
    )
    seen, notes = (
        looked.seen,
        [message("each rate takes a whole run of this code, which cannot be forked at any update")],
    )
    if seen.own:
        read = OWN_HALF if strategy is None else in_own_form(read)
        notes.append(
            message("{title} keeps its own optimizer: its rate and schedule alone are tuned", title=training.spec.title)
        )
    elif read.method == OWN.name:
        raise UsageError(
            message("own(…) is for code that calls run.scheduler(optimizer, …), and this code calls run.follow(…)")
        )
    lengths = looked.lengths()
    if len(lengths) > 1:
        raise UsageError(
            message("a tuning has runs of one length, got {count}; `calando compare` takes several", count=len(lengths))
        )
    per_epoch = looked.per_epoch
    steps = read.steps_within(lengths[0].steps, steps_per_epoch=per_epoch)
    method = find_method(read.method)
    if read.lr is None:
        read = read.at_rate(seen.usual_rate if seen.own and seen.usual_rate else method.usual_rate)
    assert read.lr is not None
    check_begins(read.lr)
    check_curves(read, steps=steps, steps_per_epoch=per_epoch)
    read = read.without_horizon()
    measured = measured_until(bind(read, Horizon(steps, per_epoch)), steps)
    known = looked.known(training, machine, notes)
    spec = TuneSpec(
        workload=known.spec,
        strategy=read,
        steps=steps,
        steps_per_epoch=per_epoch,
        evaluate_every=min(per_epoch, steps),
        seed=seed,
        budget=float(budget),
        per_update=method.passes + (measured > 0),
        measured=measured,
        passes=method.passes,
        lane=looked.lane(machine),
    )
    return spec, known


OWN_HALF = StrategySpec(name="own", method=OWN.name, schedules={"lr": HALF})
"""What code that keeps its own optimizer is tuned with where nothing is asked for."""
