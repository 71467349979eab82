"""How things stand: a study while it is made; and in the words of terminal and page a study, a tuning, a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from calando.language import joined, message
from calando.standing import UNKNOWN, Standing

if TYPE_CHECKING:
    from calando.records import StudySpec
    from calando.standing import ETA
    from calando.study.jobs import JobProgress
    from calando.study.listening import RunStatus
    from calando.study.tune import TuneStatus

__all__ = ["Status", "has_begun", "run_standing", "study_standing", "tuning_standing", "what_is_counted"]


@dataclass
class Status:
    """How a study stands: what the live display shows.

    Args:
        study, folder: which study, and where it is.
        done, expected: finished runs, and how many there will be (a grid may still be extended by one; where seeds are
            added until verdicts are settled, those asked for so far).
        queued: runs that could start but wait for a worker.
        running: by worker slot, the last report of each.
        finds: range tests still to make, before training.
        looks: test looks still to make, once training is over.
        steps_left: updates still to make, running ones' shares included.
        steps: updates of all runs asked for so far, each as if trained alone.
        may_come: final runs that later looks may still ask for, where seeds are added until verdicts are settled.
        notes: sentences for the user: how the data were read, a worker lost, a grid extended.
        machine: device, precision, threads and workers, with what decided those that nobody asked for; "": unknown.
    """

    study: StudySpec
    folder: Path
    expected: int
    done: int = 0
    queued: int = 0
    running: dict[int, JobProgress] = field(default_factory=dict)
    finds: int = 0
    looks: int = 0
    steps_left: int = 0
    steps: int = 0
    may_come: int = 0
    notes: list[str] = field(default_factory=list)
    machine: str = ""


def study_standing(status: Status, eta: ETA) -> Standing:
    """Of a study; `eta` is its own."""
    running, known = len(status.running), None
    if status.finds:
        words = message(
            "range tests: {finds} to go; then {expected} runs"
            if status.expected > 1
            else "range tests: {finds} to go; then {expected} run",
            finds=status.finds,
            expected=status.expected,
        )
    elif status.looks:
        words = message("reading the test part with the final weights: {looks} to go", looks=status.looks)
    elif not running and not status.done:
        words = message(
            "starting the workers; {expected} runs to make"
            if status.expected > 1
            else "starting the workers; {expected} run to make",
            expected=status.expected,
        )
    else:
        later = status.expected - status.done - running - status.queued
        left = eta.remaining(status.steps_left, begun=bool(status.running))
        known = eta.seconds
        if status.may_come and left != UNKNOWN:
            left = message("{left} to the next look", left=left)
        words = message(
            "{done} of {expected} runs done, {running} running, {queued} queued, {later} to follow, ETA {left}"
            if later > 0
            else "{done} of {expected} runs done, {running} running, {queued} queued, ETA {left}",
            done=status.done,
            expected=status.expected,
            running=running,
            queued=status.queued,
            later=later,
            left=left,
        )
    return Standing(words, status.done, status.expected, status.queued, known)


def tuning_standing(status: TuneStatus, eta: ETA) -> Standing:
    """Of a tuning; `done` and `expected` are updates charged, and the most that may be."""
    spec = status.spec
    made = (
        status.charged
        + sum(one.now.step - getattr(one.job, "start", one.now.step) for one in status.running.values()) * spec.passes
    )
    most = spec.budget * spec.run_cost
    if status.looking or (not status.running and not status.arms):
        words = message("reading the test part with the final weights" if status.looking else "starting")
        return Standing(words, round(made), round(most))
    running = [
        message("{rate:.3g}: step {step}, loss {loss:.3f}", rate=one.job.spec.lr, step=one.now.step, loss=one.now.loss)
        for one in status.running.values()
    ]
    raced = [message("{count} rates raced", count=len(status.arms))] if status.arms else []
    charged = message("{made:.0f} of at most {most:.0f} updates", made=made, most=most)
    left = eta.remaining(max(0, round(most - made)), begun=bool(status.running))
    left = left if left == UNKNOWN else message("at most {left}", left=left)
    words = message("{stand}  ETA {left}", stand=joined("{one}; {other}", [*raced, charged, *running]), left=left)
    return Standing(words, round(made), round(most), eta_s=eta.seconds)


def has_begun(status: RunStatus) -> bool:
    """Whether an update was reported."""
    return status.step > 0 or (status.lr is not None and status.loss is not None)


def what_is_counted(status: RunStatus) -> str:
    """Updates of the run, or of the range test before it."""
    return message("range test: update" if status.lr is None or status.loss is None else "step")


def run_standing(status: RunStatus, eta: ETA) -> Standing:
    """Of a single run, or of the range test for it; `done` and `expected` are updates."""
    trained = ""
    if status.lr is not None and status.loss is not None:
        trained = message("rate {rate:.3g}  loss {loss:.3f}  ", rate=status.lr, loss=status.loss)
    words = message(
        "{what} {step}/{steps}  {trained}ETA {left}",
        what=what_is_counted(status),
        step=status.step,
        steps=status.steps,
        trained=trained,
        left=eta.remaining(status.steps - status.step),
    )
    return Standing(words, status.step, status.steps, eta_s=eta.seconds)
