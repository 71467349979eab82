"""A lesson trained: a study for each network, and gradients by depth at a few updates of one run of each.

All of it is stored as it is made, so a lesson that was stopped goes on, and one that is there is only read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import final

from calando.records.lesson import (
    Lesson,
    StoredLesson,
    check_free,
    read_gradients,
    read_lesson,
    write_gradients,
    write_whole,
)
from calando.records.store import sole_coordinator
from calando.strategy import read_strategy
from calando.study.build_spec import BuiltStudy, build_study
from calando.study.conduct import conduct
from calando.study.executors import find_executor
from calando.study.limits import Budget, Machine, expected_updates
from calando.study.standing import Status
from calando.tasks.catalog import resolve
from calando.training.probes.probe_run import probe_run

__all__ = ["LessonStatus", "conduct_lesson"]


@final
@dataclass(frozen=True, kw_only=True)
class LessonStatus:
    """How a lesson stands.

    Args:
        network: which is trained now.
        done, runs: of all its networks.
        left: updates still to make.
        status: of the network's study; None while gradients are looked at.
        machine: device, precision, threads and workers.
    """

    lesson: Lesson
    folder: Path
    network: str
    done: int
    runs: int
    left: int
    status: Status | None
    machine: str


def conduct_lesson(
    folder: Path,
    lesson: Lesson,
    *,
    seeds: int = 1,
    executor: str = "process",
    workers: int | None = None,
    command: str = "",
    listen: Callable[[LessonStatus], None] | None = None,
) -> StoredLesson:
    """Train whatever of a lesson is missing in `folder`, on the CPU, and return all of it.

    Args:
        seeds: of every run.
        executor, workers: as for `calando.study.conduct`.
        command: kept with the studies.
        listen: called after every change.

    Raises:
        UsageError: the folder holds something else, or another process is at work in it.
        StudyStopped: a worker died too often, or the disk is full.
        KeyboardInterrupt: what was trained is kept.
    """
    check_free(folder, lesson)
    find_executor(executor)
    machine = Machine(device="cpu", precision="fp32", threads=1, workers=workers)
    built = {network: _study(lesson, network, machine, seeds=seeds) for network in lesson.networks}
    crew = machine.count_workers("cpu")
    runs = {network: len(one.study.strategies) * seeds for network, one in built.items()}
    updates = {network: expected_updates(one.study) for network, one in built.items()}
    done, left = 0, sum(updates.values())
    said = machine.said(next(iter(built.values())).study.lane, workers=crew)
    with sole_coordinator(folder):
        for network, one in built.items():
            left -= updates[network]

            def tell(status: Status | None, network: str = network, done: int = done, left: int = left) -> None:
                if listen is not None:
                    made, steps = (0, 0) if status is None else (status.done, status.steps_left)
                    now = LessonStatus(
                        lesson=lesson,
                        folder=folder,
                        network=network,
                        done=done + made,
                        runs=sum(runs.values()),
                        left=left + steps,
                        status=status,
                        machine=said,
                    )
                    listen(now)

            conduct(
                folder / network,
                one.study,
                one.task,
                executor=executor,
                workers=crew,
                sharing="none",  # of two hundred updates: to see whether they can be shared takes as long
                command=command,
                machine=said,
                listen=tell,
            )
            done += runs[network]
            _look_at_gradients(folder, lesson, network, one, partial(tell, None, done=done))
        write_whole(folder, lesson, seeds=seeds)
    return read_lesson(folder, lesson)


def _study(lesson: Lesson, network: str, machine: Machine, *, seeds: int) -> BuiltStudy:
    strategies = [
        read_strategy(text).model_copy(update={"name": name}) for name, text in lesson.strategies(network).items()
    ]
    return build_study(
        resolve(lesson.data, model=network, batch_size=lesson.batch_size),
        strategies,
        budget=Budget(steps=lesson.steps),
        machine=machine,
        seeds=seeds,
    )


def _look_at_gradients(folder: Path, lesson: Lesson, network: str, built: BuiltStudy, tell: Callable[[], None]) -> None:
    """A probe in the first updates of the run at the probed rate, made once more: it is the same to the bit."""
    study = built.study
    run = study.run(study.strategy(lesson.fixed(lesson.probed)), seed=0)
    if read_gradients(folder, network, run.digest()) is not None:
        return
    tell()
    at = [step for step in lesson.at if step < run.steps]
    rows = probe_run(run, built.task, at=at, until=max(at, default=0) + 1, noise=False).rows
    write_gradients(folder, network, run.digest(), tuple(replace(row, after=None) for row in rows))
