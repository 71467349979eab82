"""A study of a person's own training code: what is asked, checked by a look at the code's first updates.

The code is started twice at once, with the first strategy, and ended after a few updates. That says how long its runs
are, what its score is, whose the optimizer is, and whether equal runs give equal weights; and what is wrong with it is
found before a study folder exists.
"""

from __future__ import annotations

import math
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from calando.analysis import log_grid
from calando.errors import UsageError, quote
from calando.methods import find_method
from calando.records import Lane, OwnTrainingSpec, StrategySpec, StudySpec
from calando.records.fields import check
from calando.records.spec import BEYOND
from calando.schedules import Span
from calando.strategy.own_form import in_own_form
from calando.study.build_spec import check_curves, check_grid, read_strategies
from calando.study.executors import ExecutorEntry
from calando.study.jobs import Failed, Finished, Lease, Lost, OnProgress
from calando.study.limits import Budget, Machine, RunLength, at_lengths, settle_seeds
from calando.study.own_training import OwnTraining, Seen, first_look
from calando.study.perform_job import failure
from calando.study.workers.by_value import check_sendable
from calando.study.workers.messages import Setup

__all__ = ["build_own_study", "command_of", "gpus_for", "training_of"]

LOOKS = 2
LONG_SECONDS = 60.0
FORGIVEN_LOOKS = 2
LONG_SECONDS = 60.0


def command_of(text: str, arguments: Sequence[str]) -> tuple[str, ...]:
    """The command that starts a script: with this Python where it begins with one.

    >>> command_of("train.py", ["--data", "photos"])[1:]
    ('train.py', '--data', 'photos')
    >>> Path(command_of("torchrun --nproc-per-node 2 train.py", [])[0]).name
    'torchrun'
    """
    words = [text] if Path(text).is_file() else shlex.split(text)
    if words and words[0].endswith(".py"):
        words.insert(0, sys.executable)
    elif words and shutil.which(words[0]) is None:
        # A launcher such as torchrun lies next to this Python, which need not be on the PATH.
        words[0] = shutil.which(words[0], path=str(Path(sys.executable).parent)) or words[0]
    return (*words, *arguments)


def training_of(
    code: str | Callable[[Any], object], arguments: Sequence[str], *, goal: str, unit: str, name: str = ""
) -> OwnTraining:
    """The code as it was given: a command, or a function of the run.

    Raises:
        UsageError: a goal that is neither "max" nor "min".
    """
    if goal not in ("max", "min"):
        raise UsageError(f'goal must be "max" or "min": whether a higher or a lower score is better; got {quote(goal)}')
    if isinstance(code, str):
        shown = (
            shlex.join([code, *arguments]) if Path(code).is_file() else " ".join([code, *map(shlex.quote, arguments)])
        )
        spec = OwnTrainingSpec(code=shown, goal="min" if goal == "min" else "max", unit=unit, name=name)
        return OwnTraining(spec, command=command_of(code, arguments))
    known = f"{getattr(code, '__module__', '')}:{getattr(code, '__qualname__', type(code).__name__)}"
    module = getattr(code, "__module__", "__main__")
    called = name or (known if module != "__main__" else getattr(code, "__name__", ""))
    spec = OwnTrainingSpec(code=f"function:{known}", goal="min" if goal == "min" else "max", unit=unit, name=called)
    return OwnTraining(spec, function=code)


def build_own_study(
    training: OwnTraining,
    strategies: Sequence[str | StrategySpec],
    *,
    entry: ExecutorEntry,
    address: str | None,
    budget: Budget,
    machine: Machine,
    goal: str | None,
    unit: str | None,
    seeds: int | Literal["auto"] = 5,
    until: Literal["decided"] | None = None,
    most_seeds: int | None = None,
    rates: int = 5,
    span: float | None = None,
    beyond: int = BEYOND,
    lr: float | Literal["find"] | None = None,
    target: float | None = None,
    check_repeats: bool = True,
    on_progress: OnProgress = lambda progress: None,
) -> tuple[StudySpec, OwnTraining]:
    """A whole study, and the code as it is now known; arguments as `build_study`.

    Args:
        entry, address: of the executor, which makes the looks too.
        goal, unit: of the score, where the code need not say them.
        check_repeats: make a second look, and report where the two differ.

    Raises:
        UsageError: anything that cannot be; the code fails in its first updates.
    """
    if lr == "find":
        raise UsageError(
            "a range test is made in our own loop; in your own code call calando.find_lr(…), and give what it finds as "
            "--lr"
        )
    read = read_strategies(strategies, lr=lr)
    count, until = settle_seeds(seeds, until=until, most_seeds=most_seeds)
    check(StudySpec, beyond=beyond)
    check_grid(rates, span)
    check(Lane, threads=machine.threads)
    if entry.pickles and training.function is not None:
        check_sendable(training, {}, {})
    most_epochs, most_steps = _longest(budget)
    seen = _look(
        training,
        first_look(training.spec, read[0], epochs=most_epochs, steps=most_steps, goal=goal or "", unit=unit or ""),
        entry=entry,
        address=address,
        threads=machine.threads,
        looks=LOOKS if check_repeats else 1,
        on_progress=on_progress,
    )
    first = seen[0]
    # Where two strategies part, calando cannot know what their code has done: no run starts from another's checkpoint.
    notes = [
        "every run of this code is trained from its own start: pasts that strategies have in common are not shared"
    ]
    if first.own:
        read = tuple(in_own_form(one) for one in read)
        notes.append(
            f"{training.spec.title} keeps its own optimizer: of each strategy its rate and schedule alone are compared"
        )
    elif any(one.method == "own" for one in read):
        raise UsageError("own(…) is for code that calls run.scheduler(optimizer, …), and this code calls run.follow(…)")
    if not first.goal_given:
        notes.append('a higher score is taken as better; else say goal="min" in calando.run, or --goal min')
    if len(seen) > 1:
        notes += _repeats(seen)
    per_epoch = first.steps_per_epoch or first.total_steps
    lengths = _lengths(budget, first)
    specs = at_lengths(read, lengths)
    steps = lengths[-1].steps
    for one in specs:
        check_curves(one, steps=one.steps_within(steps, steps_per_epoch=per_epoch), steps_per_epoch=per_epoch)
    task = training.spec.model_copy(update={"goal": first.goal, "unit": first.unit, "own_optimizer": first.own})
    study = StudySpec(
        workload=task,
        strategies=specs,
        rate_grids={one.name: _grid(one, first, rates=rates, span=span) for one in specs if one.lr is None},
        beyond=beyond,
        seeds=count,
        until=until,
        steps=steps,
        steps_per_epoch=per_epoch,
        evaluate_every=min(per_epoch, steps),
        target=target,
        lane=Lane(
            device=_device(machine), precision="own", threads=machine.threads, channels_last=False, deterministic=False
        ),
    )
    same = len(seen) > 1 and len({one.digest for one in seen}) == 1
    known = replace(
        training,
        spec=task,
        gpus=gpus_for(machine),
        notes=tuple(notes),
        fingerprint=first.digest if same else "",
    )
    return study, known


def _longest(budget: Budget) -> tuple[float | None, int | None]:
    """The longest length that was asked for, as the look needs it."""
    if budget.epochs is not None and budget.steps is not None:
        raise UsageError("give --epochs or --steps, not both")

    for name, given in (("epochs", budget.epochs), ("steps", budget.steps)):
        if isinstance(given, str):
            raise UsageError(f"{name} must be a number, or several as in (4, 8, 20), got {given!r}")

    def longest(given: Any) -> Any:
        return max(given) if isinstance(given, Sequence) and given else given

    return longest(budget.epochs), longest(budget.steps)


def _lengths(budget: Budget, seen: Seen) -> tuple[RunLength, ...]:
    """The lengths of runs, shortest first: those asked for, or the code's own."""
    if budget.epochs is None and budget.steps is None:
        return (RunLength(span=Span(seen.total_steps, "steps"), steps=seen.total_steps),)
    if budget.epochs is not None and seen.steps_per_epoch is None:
        raise UsageError("the code does not say how many updates make an epoch: run.follow(…, steps_per_epoch=…)")
    return budget.settle_at(per_epoch=seen.steps_per_epoch or 1)


def _grid(strategy: StrategySpec, seen: Seen, *, rates: int, span: float | None) -> tuple[float, ...]:
    method = find_method(strategy.method)
    centre = seen.usual_rate if seen.own and seen.usual_rate else method.usual_rate
    return log_grid(centre, span or method.rate_span, rates)


def _repeats(seen: Sequence[Seen]) -> list[str]:
    """What to say of two looks."""
    first, second = seen[:2]
    if not first.digest or not second.digest:
        return ["whether equal runs give equal results was not seen: the code made no update through its optimizer"]
    if first.digest == second.digest:
        return []
    note = (
        f"this code is not repeatable: two runs of one seed differ after {first.step} updates, so a killed run need "
        "not come to the same numbers; seeds are paired all the same. Does something draw from a generator that "
        "run.seed does not reach?"
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
                        f"{training.spec.title} has not come to its first updates in {LONG_SECONDS:g} s; still waiting "
                        "(Ctrl-C ends it)",
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
                            raise UsageError(f"{training.spec.title} does not survive its first updates ({reason})")
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
