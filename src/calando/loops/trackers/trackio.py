"""trackio: a project a task, in trackio's own folder on this machine ($TRACKIO_DIR); nothing is sent."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

from calando.errors import UsageError
from calando.language import message
from calando.loops.trackers import Tracked, TrackedRun, register
from calando.loops.wandb_runs import WandbRuns
from calando.records.files import file_name

__all__ = ["open_trackio"]


@register("trackio", package="trackio", extra="trackio", see="trackio show")
def open_trackio(place: str, tracked: Tracked) -> WandbRuns:
    """See the top of this page."""
    importlib.import_module("trackio")
    if place:
        raise UsageError(
            message("trackio writes to $TRACKIO_DIR; set that to {place}, and name trackio alone", place=repr(place))
        )
    project = file_name(tracked.title)

    def start(tracked: Tracked, run: TrackedRun) -> _Run:
        return _Run(project, tracked, run)

    def drop(run: TrackedRun) -> None:
        import trackio

        try:
            there = list(trackio.Api().runs(project))
        except ValueError:  # there is no such project so far
            return
        for one in there:
            if one.name == _name(tracked, run):
                one.delete()

    return WandbRuns(tracked, start=start, drop=drop)


def _name(tracked: Tracked, run: TrackedRun) -> str:
    # A run is known by its name alone, and another study of the task may have the same run.
    return f"{tracked.name} {run.name}"


@final
class _Run:
    def __init__(self, project: str, tracked: Tracked, run: TrackedRun) -> None:
        import trackio

        with _silent():
            self.run = trackio.init(
                project=project,
                name=_name(tracked, run),
                group=tracked.name,
                config={**run.parameters, **tracked.facts},
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, step: int, numbers: dict[str, Any]) -> None:
        self.run.log(numbers, step=step)

    def finish(self, outcome: str) -> None:
        with _silent():
            self.run.finish()


@contextmanager
def _silent() -> Iterator[None]:
    """Without the nine lines that trackio prints a run; nobody else's output is lost, as with a redirected one."""
    import trackio.run
    import trackio.utils

    modules: list[Any] = [trackio, trackio.run, trackio.utils]
    before = [vars(module).get("print") for module in modules]
    for module in modules:
        module.print = lambda *_, **__: None
    try:
        yield
    finally:
        for module, theirs in zip(modules, before, strict=True):
            if theirs is None:
                del module.print
            else:
                module.print = theirs
