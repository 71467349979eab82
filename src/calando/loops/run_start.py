"""Which run this code is: `calando.run`, and the runs of functions that a study calls.

alone                      the strategy that the code names
in a script of a study     the one that the assignment asks for; one run a process
in a function of a study   the run that the function is called with
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from calando.errors import UsageError, quote
from calando.loops.ranks import leave
from calando.loops.run_channel import Alone, Assignment, Connected, Direct, assigned
from calando.loops.run_handle import Goal, Run
from calando.loops.run_inputs import number, seed_number
from calando.loops.run_picture import Pictured
from calando.records import StrategySpec
from calando.strategy import at_rate, read_strategy

__all__ = ["active", "run"]

_active: list[Run] = []
_asked_here: dict[int, Run] = {}
"""By process: the run that a study asked this script for. A forked process has its own."""


def run(
    strategy: str | os.PathLike[str] | StrategySpec = "cosine",
    *,
    lr: float | None = None,
    seed: int = 0,
    goal: Goal | None = None,
    unit: str | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Run:
    """The handle of this run: with the strategy given here, or under `calando compare` with the one that the study asks
    for.

    It seeds the generators of Python, NumPy and torch with the run's seed.

    Args:
        strategy: name of a preset or a schedule, a strategy text or a file, as for `calando.follow`.
        lr: base rate, where the strategy leaves it open.
        seed: `Run.seed`, unless a study sets it.
        goal: "max" (the default) or "min": whether a higher or a lower score is better.
        unit: unit of the score, such as "%", "RMSE" or "BLEU"; scores are shown as reported, followed by the unit.
        folder: folder for the checkpoint and the result of a run without a study; `calando serve` follows it. None:
            nothing is written.

    Raises:
        UsageError: the strategy or the goal is invalid.

    >>> import torch, calando
    >>> handle = calando.run("cosine", lr=0.1)
    >>> model = torch.nn.Linear(2, 1)
    >>> training = handle.follow(model, total_steps=4)
    >>> for epoch in handle.epochs(4):
    ...     model(torch.ones(8, 2)).square().mean().backward()
    ...     training.optimizer.step()
    ...     training.optimizer.zero_grad()
    ...     handle.report(1 - epoch / 4)
    >>> handle.step
    4
    """
    if goal not in (None, "max", "min"):
        raise UsageError(f'goal must be "max" or "min": whether a higher or a lower score is better; got {quote(goal)}')
    if unit is not None and not isinstance(unit, str):
        raise UsageError(f'unit must be a text, such as "%" or "RMSE", got {quote(unit)}')
    if _active and not _active[-1].over:
        return _active[-1].judged_by(goal, unit)
    asked = assigned()
    if asked is None:
        if not isinstance(strategy, StrategySpec | str | os.PathLike):
            raise UsageError(f"calando.run: strategy must be a preset's name, a text or a file, got {quote(strategy)}")
        lr, seed = None if lr is None else number("calando.run: lr", lr), seed_number(seed)
        spec = strategy if isinstance(strategy, StrategySpec) else read_strategy(os.fspath(strategy))
        alone = Assignment(strategy="", seed=seed, folder="" if folder is None else str(folder))
        spec = spec if lr is None or spec.lr is not None else at_rate(spec, lr)
        channel = (
            Alone() if folder is None else Pictured(Path(folder), name=spec.name, text=spec.text, lr=spec.lr, seed=seed)
        )
        return Run(spec, alone, channel, alone=True).judged_by(goal, unit)
    spec = StrategySpec.model_validate_json(asked.strategy)
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A process that a data loader spawns imports the script once more: that is no run.
        return Run(spec, replace(asked, folder="", address="", look=0), Alone()).judged_by(goal, unit)
    earlier = _asked_here.get(os.getpid())
    if earlier is not None and earlier.over:
        raise UsageError(
            "the study asks this script for one run, and it has made it: train the second one in a script of its own"
        )
    if earlier is not None:
        return earlier.judged_by(goal, unit)
    handle = _asked_here[os.getpid()] = Run(spec, asked, Connected(asked.address) if asked.address else Alone())
    _watch_exit(handle)
    return handle.judged_by(goal, unit)


@contextmanager
def active(spec: StrategySpec, asked: Assignment, hear: Callable[[Any], bool]) -> Iterator[Run]:
    """A run of a function in this process: `calando.run` in it gives the same handle."""
    handle = Run(spec, asked, Direct(hear))
    _active.append(handle)
    try:
        yield handle
    finally:
        _active.remove(handle)


def _watch_exit(run: Run) -> None:
    """Leave the result when the script ends; a script that fails leaves none."""
    before, process = sys.excepthook, os.getpid()

    def failed(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if os.getpid() == process:
            run.fail()
        before(kind, error, trace)

    def ended() -> None:
        if os.getpid() != process:
            return  # a forked one ends, not the run
        try:
            run.close()
        except UsageError as error:
            print(f"calando: {error}", file=sys.stderr)
            run.fail()
            sys.stderr.flush()
            os._exit(2)
        leave()

    sys.excepthook = failed
    atexit.register(ended)
