"""A study of a person's own training code: what is asked, checked by a look at the code's first updates."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from calando.analysis import log_grid
from calando.errors import UsageError, quote
from calando.language import message
from calando.methods import find_method
from calando.records import Lane, OwnTrainingSpec, StrategySpec, StudySpec
from calando.records.fields import check
from calando.records.spec import BEYOND
from calando.strategy.own_form import in_own_form
from calando.study.build_spec import check_curves, check_grid, read_strategies
from calando.study.executors import ExecutorEntry
from calando.study.jobs import OnProgress
from calando.study.limits import Budget, Machine, at_lengths, settle_seeds
from calando.study.own_look import look_at
from calando.study.own_training import OwnTraining, Seen

__all__ = ["build_own_study", "command_of", "training_of"]


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
        raise UsageError(
            message(
                'goal must be "max" or "min": whether a higher or a lower score is better; got {goal}', goal=quote(goal)
            )
        )
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
            message(
                "a range test is made in our own loop; in your own code call calando.find_lr(…), and give "
                "what it finds as --lr"
            )
        )
    read = read_strategies(strategies, lr=lr)
    count, until = settle_seeds(seeds, until=until, most_seeds=most_seeds)
    check(StudySpec, beyond=beyond)
    check_grid(rates, span)
    check(Lane, threads=machine.threads)
    looked = look_at(
        training,
        read[0],
        entry=entry,
        address=address,
        budget=budget,
        machine=machine,
        goal=goal,
        unit=unit,
        check_repeats=check_repeats,
        on_progress=on_progress,
    )
    first = looked.seen
    # Where two strategies part, calando cannot know what their code has done: no run starts from another's checkpoint.
    notes = [
        message(
            "every run of this code is trained from its own start: pasts that strategies have in common are not shared"
        )
    ]
    if first.own:
        read = tuple(in_own_form(one) for one in read)
        notes.append(
            message(
                "{title} keeps its own optimizer: of each strategy its rate and schedule alone are compared",
                title=training.spec.title,
            )
        )
    elif any(one.method == "own" for one in read):
        raise UsageError(
            message("own(…) is for code that calls run.scheduler(optimizer, …), and this code calls run.follow(…)")
        )
    per_epoch = looked.per_epoch
    lengths = looked.lengths()
    specs = at_lengths(read, lengths)
    steps = lengths[-1].steps
    for one in specs:
        check_curves(one, steps=one.steps_within(steps, steps_per_epoch=per_epoch), steps_per_epoch=per_epoch)
    known = looked.known(training, machine, notes)
    study = StudySpec(
        workload=known.spec,
        strategies=specs,
        rate_grids={one.name: _grid(one, first, rates=rates, span=span) for one in specs if one.lr is None},
        beyond=beyond,
        seeds=count,
        until=until,
        steps=steps,
        steps_per_epoch=per_epoch,
        evaluate_every=min(per_epoch, steps),
        target=target,
        lane=looked.lane(machine),
    )
    return study, known


def _grid(strategy: StrategySpec, seen: Seen, *, rates: int, span: float | None) -> tuple[float, ...]:
    method = find_method(strategy.method)
    centre = seen.usual_rate if seen.own and seen.usual_rate else method.usual_rate
    return log_grid(centre, span or method.rate_span, rates)
