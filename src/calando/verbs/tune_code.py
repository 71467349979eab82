"""`calando.tune` of a person's own training code: whole runs of it, at a few rates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from calando.language import message
from calando.verbs.tuned import Tuned, tuned_in

if TYPE_CHECKING:
    from calando.loops.tracking import LogTo
    from calando.records import StrategySpec
    from calando.verbs.tuning_progress import TuningProgress

__all__ = ["tune_code"]


def tune_code(
    code: str | Callable[[Any], object],
    strategy: str | StrategySpec | None,
    *,
    arguments: Sequence[str],
    budget: float,
    epochs: float | None,
    steps: int | None,
    seed: int,
    goal: Literal["max", "min"] | None,
    unit: str | None,
    check_repeats: bool,
    folder: Path | str | None,
    executor: str,
    address: str | None,
    workers: int,
    threads: int | None,
    device: str,
    trackers: Sequence[LogTo],
    command: str,
    progress: TuningProgress,
) -> Tuned:
    """Arguments as `calando.tune`; `code` as `own_code` gives it."""
    from calando.analysis.whole_arms import check_runs
    from calando.loops.tracking import followers_to, made_before
    from calando.records.files import file_name
    from calando.study.executors import find_executor
    from calando.verbs.torch_first import import_torch

    check_runs(budget, seed=seed)
    entry = find_executor(executor)
    if entry.prepare is not None:
        entry.prepare()
    import_torch()
    from calando.study.build_own_tuning import build_own_tuning
    from calando.study.limits import Budget, Machine
    from calando.study.own_study import training_of
    from calando.study.tune import conduct_tuning

    training = training_of(code, arguments, goal=goal or "max", unit=unit or "")
    machine = replace(Machine.whole(device=device, precision="fp32", threads=threads), workers=workers)
    progress.say(message("starting {title} for a first look at its length and score", title=training.spec.title))
    spec, training = build_own_tuning(
        training,
        strategy,
        entry=entry,
        address=address,
        length=Budget(epochs=epochs, steps=steps),
        budget=budget,
        machine=machine,
        goal=goal,
        unit=unit,
        seed=seed,
        check_repeats=check_repeats,
    )
    crew = machine.count_workers(spec.lane.device)
    if folder is None:
        name = Path(code.split()[0]).stem if isinstance(code, str) else training.spec.title
        # Code that was edited is another question.
        key = f"{spec.model_copy(update={'budget': 1.0}).digest()} {training.fingerprint}"
        folder = Path("calando-studies") / f"tune-{file_name(name)}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    folder = Path(folder)
    if note := made_before(trackers, folder):
        progress.say(f"calando: {note}")
    conduct_tuning(
        folder,
        spec,
        training,
        given=True,
        executor=executor,
        workers=crew,
        address=address,
        command=command,
        machine=machine.said(spec.lane, workers=crew if crew > 1 else None),
        listen=progress,
        followers=followers_to(trackers, folder, spec.workload.title, command=command),
    )
    return tuned_in(folder)
