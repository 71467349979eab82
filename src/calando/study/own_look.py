"""A look at a person's own training code before there is a study: what it says of its length, score and optimizer.

The code is started twice at once, and ended after a few updates. That shows whether equal runs give equal weights, and
what is wrong with it is found before a folder exists.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch

from calando.errors import UsageError
from calando.language import _, message
from calando.records import Lane, StrategySpec
from calando.schedules import Span
from calando.study.executors import ExecutorEntry
from calando.study.jobs import Failed, Finished, Lease, Lost, OnProgress
from calando.study.limits import Budget, Machine, RunLength
from calando.study.own_training import OwnTraining, Seen, first_look
from calando.study.perform_job import failure
from calando.study.workers.by_value import check_sendable
from calando.study.workers.messages import Setup

__all__ = ["LookedAt", "gpus_for", "look_at", "recognised_code"]

LOOKS = 2
LONG_SECONDS = 60.0
FORGIVEN_LOOKS = 2


@final
@dataclass(frozen=True)
class LookedAt:
    """What the looks gave.

    Args:
        seen: by the first one.
        notes: what they show, in sentences.
        digest: of the weights after the first updates; "": they differ from one look to the next.
        asked: the length that was asked for.
    """

    seen: Seen
    notes: tuple[str, ...]
    digest: str
    asked: Budget

    @property
    def per_epoch(self) -> int:
        """Updates of an epoch; of code that does not say, of the whole run."""
        return self.seen.steps_per_epoch or self.seen.total_steps

    def lengths(self) -> tuple[RunLength, ...]:
        """The lengths of runs, shortest first: those asked for, or the code's own."""
        asked, seen = self.asked, self.seen
        if asked.epochs is None and asked.steps is None:
            return (RunLength(span=Span(seen.total_steps, "steps"), steps=seen.total_steps),)
        if asked.epochs is not None and seen.steps_per_epoch is None:
            raise UsageError(
                message("the code does not say how many updates make an epoch: run.follow(…, steps_per_epoch=…)")
            )
        return asked.settle_at(per_epoch=seen.steps_per_epoch or 1)

    def known(self, training: OwnTraining, machine: Machine, notes: Sequence[str]) -> OwnTraining:
        """The code as it is now known."""
        seen = self.seen
        spec = training.spec.model_copy(update={"goal": seen.goal, "unit": seen.unit, "own_optimizer": seen.own})
        return replace(
            training, spec=spec, gpus=gpus_for(machine), notes=(*notes, *self.notes), fingerprint=self.digest
        )

    def lane(self, machine: Machine) -> Lane:
        """What decides a run's bits, as far as calando does."""
        return Lane(
            device=_device(machine), precision="own", threads=machine.threads, channels_last=False, deterministic=False
        )


def look_at(
    training: OwnTraining,
    strategy: StrategySpec,
    *,
    entry: ExecutorEntry,
    address: str | None,
    budget: Budget,
    machine: Machine,
    goal: str | None,
    unit: str | None,
    check_repeats: bool,
    on_progress: OnProgress,
) -> LookedAt:
    """Look at the code's first updates with a strategy.

    Args:
        check_repeats: make a second look, and say where the two differ.

    Raises:
        UsageError: the code fails in them; a function that workers cannot be sent.
    """
    if entry.pickles and training.function is not None:
        check_sendable(training, {}, {})
    epochs, steps = _longest(budget)
    seen = _look(
        training,
        first_look(training.spec, strategy, epochs=epochs, steps=steps, goal=goal or "", unit=unit or ""),
        entry=entry,
        address=address,
        threads=machine.threads,
        looks=LOOKS if check_repeats else 1,
        on_progress=on_progress,
    )
    first, notes = seen[0], list[str]()
    if not first.goal_given:
        notes.append(message('a higher score is taken as better; else say goal="min" in calando.run, or --goal min'))
    if len(seen) > 1:
        notes += _repeats(seen)
    same = len(seen) > 1 and len({one.digest for one in seen}) == 1
    return LookedAt(first, tuple(notes), first.digest if same else "", budget)


def _longest(budget: Budget) -> tuple[float | None, int | None]:
    """The longest length that was asked for, as the look needs it."""
    if budget.epochs is not None and budget.steps is not None:
        raise UsageError(message("give --epochs or --steps, not both"))

    for name, given in (("epochs", budget.epochs), ("steps", budget.steps)):
        if isinstance(given, str):
            raise UsageError(
                message("{name} must be a number, or several as in (4, 8, 20), got {given!r}", name=name, given=given)
            )

    def longest(given: Any) -> Any:
        return max(given) if isinstance(given, Sequence) and given else given

    return longest(budget.epochs), longest(budget.steps)


def _repeats(seen: Sequence[Seen]) -> list[str]:
    """What to say of two looks."""
    first, second = seen[:2]
    if not first.digest or not second.digest:
        return [
            message("whether equal runs give equal results was not seen: the code made no update through its optimizer")
        ]
    if first.digest == second.digest:
        return []
    note = message(
        "this code is not repeatable: two runs of one seed differ after {step} updates, so a killed "
        "run need not come to the same numbers; seeds are paired all the same. Does something draw "
        "from a generator that run.seed does not reach?",
        step=first.step,
    )
    return [note]


def _look(
    training: OwnTraining,
    look: Any,
    *,
    entry: ExecutorEntry,
    address: str | None,
    threads: int,
    looks: int,
    on_progress: OnProgress,
) -> list[Seen]:
    """Make the looks, at once where there are workers for it.

    Raises:
        UsageError: the code fails.
    """
    with tempfile.TemporaryDirectory(prefix="calando-look-") as folder:
        setup = Setup(task=training.spec, given=training, data_dir=None, folder=Path(folder), threads=threads)
        executor = entry.make(setup, workers=looks, on_progress=on_progress, address=address)
        found: list[Seen] = []
        waiting = [Lease(number, look) for number in range(1, looks + 1)]
        out = losses = 0
        late = time.monotonic() + LONG_SECONDS
        try:
            while waiting or out:
                while waiting and out < executor.slots:
                    executor.submit(waiting.pop(0))
                    out += 1
                if time.monotonic() > late:
                    late = math.inf
                    print(
                        _(
                            "{title} has not come to its first updates in {seconds:g} s; still waiting (Ctrl-C "
                            "ends it)",
                            title=training.spec.title,
                            seconds=LONG_SECONDS,
                        ),
                        file=sys.stderr,
                    )
                for outcome in executor.poll(seconds=0.2):
                    out -= 1
                    match outcome:
                        case Finished(result=Seen() as seen):
                            found.append(seen)
                        case Failed():
                            raise failure(outcome)
                        case Lost(reason=reason) if losses >= FORGIVEN_LOOKS:
                            raise UsageError(
                                message(
                                    "{title} does not survive its first updates ({reason})",
                                    title=training.spec.title,
                                    reason=reason,
                                )
                            )
                        case Lost(lease=lease):
                            losses += 1
                            waiting.append(lease)
        finally:
            executor.stop()
    return found


def _device(machine: Machine) -> str:
    if machine.device != "auto":
        return machine.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def gpus_for(machine: Machine) -> tuple[str, ...]:
    """What each worker may see of the GPUs; one worker sees them all."""
    if machine.device == "cpu":
        return ("",)
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    names = visible or [str(number) for number in range(torch.cuda.device_count())]
    workers = machine.workers or len(names) or 1
    return tuple(names) if len(names) > 1 and workers > 1 else ()


def recognised_code(stored: str, training: OwnTraining, *, what: str, remedy: str) -> tuple[str, ...]:
    """What to say of code that is run again: whether its first updates are those that there were.

    Args:
        stored: the digest of the first updates at the start; "": they did not repeat.
        what, remedy: the study, and what to do, for an error.

    Raises:
        UsageError: they are others.
    """
    if not stored or not training.fingerprint:
        return (
            message(
                "whether the code is still the one that {what} was started with is unknown: it does not repeat",
                what=what,
            ),
        )
    if stored != training.fingerprint:
        raise UsageError(
            message(
                "the first updates of {title} differ from those that {what} was started with: its code, data "
                "or packages have changed; change them back, or {remedy}",
                title=training.spec.title,
                what=what,
                remedy=remedy,
            )
        )
    return ()
