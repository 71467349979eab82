"""The live display of a study: runs done, running and queued; each worker's step, rate and loss; time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from calando.errors import plain
from calando.records import StudySpec
from calando.study.conductor import Status
from calando.study.jobs import Find, Look
from calando.study.lengths import expected_updates

if TYPE_CHECKING:
    from calando.study.executors.base import Progress

__all__ = ["following"]

PLAIN_SECONDS = 10.0
Listen = Callable[[Status], None]


@contextmanager
def following(study: StudySpec, folder: Path, *, quiet: bool) -> Iterator[Listen]:
    """Yield a listener that draws on standard error: live on a terminal, a line now and then elsewhere.

    The heading comes with the first status: by then nothing about the folder can be wrong any more, so that an
    error stands alone.
    """
    console = Console(stderr=True)
    if quiet:
        yield lambda status: None
    elif not console.is_terminal:
        yield _plain(console, study, folder)
    else:
        with Live(console=console, refresh_per_second=8, transient=True) as live:
            yield _live(live, study, folder)


def _live(live: Live, study: StudySpec, folder: Path) -> Listen:
    clock, tell = _Clock(), _teller(live.console, study, folder)

    def listen(status: Status) -> None:
        tell(status)
        live.update(_picture(status, study, clock))

    return listen


def _plain(console: Console, study: StudySpec, folder: Path) -> Listen:
    clock, tell = _Clock(), _teller(console, study, folder)
    last: float | None = None

    def listen(status: Status) -> None:
        nonlocal last
        tell(status)
        if last is None or time.monotonic() - last > PLAIN_SECONDS:
            last = time.monotonic()
            print(_counts(status, clock), file=sys.stderr, flush=True)

    return listen


def _teller(console: Console, study: StudySpec, folder: Path) -> Listen:
    """What is said once: the heading, and each note as it comes."""
    told: list[str] = []
    headed = False

    def tell(status: Status) -> None:
        nonlocal headed
        if not headed:
            headed = True
            for line in _heading(study, folder):
                console.print(line)
        for note in status.notes[len(told) :]:
            told.append(note)
            console.print(Text(plain(note), style="yellow"))

    return tell


def _heading(study: StudySpec, folder: Path) -> tuple[Text, ...]:
    workload, count = study.workload, len(study.strategies)
    asked = (
        f" with {workload.model}, batch {workload.batch_size}, {' / '.join(map(str, study.lengths))} steps a run, "
        f"{count} {'strategy' if count == 1 else 'strategies'}, {study.seeds} paired seed{'s' * (study.seeds > 1)}"
    )
    names = ", ".join(strategy.name for strategy in study.strategies)
    return (
        Text.assemble((workload.title, "bold"), asked),
        Text(f"on {study.lane.text}", style="dim"),
        Text(names, style="dim"),
        Text(f"study folder: {folder}", style="dim"),
    )


class _Clock:
    """Time left, from the updates made since the first one was reported: workers take a while to start."""

    def __init__(self) -> None:
        self.began: float | None = None
        self.left = 0

    def remaining(self, status: Status) -> str:
        now = time.monotonic()
        if self.began is None:
            if not status.running:
                return "unknown yet"
            self.began, self.left = now, status.steps_left
        made = self.left - status.steps_left
        if made <= 0 or now - self.began < 1:
            return "unknown yet"
        seconds = round(status.steps_left * (now - self.began) / made)
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def _counts(status: Status, clock: _Clock) -> str:
    if status.finds:
        return f"range tests: {status.finds} to go; then {status.expected} run{'s' * (status.expected > 1)}"
    if status.looks:
        return f"reading the test part with the final weights: {status.looks} to go"
    running = len(status.running)
    if not running and not status.done:
        return f"starting the workers; {status.expected} run{'s' * (status.expected > 1)} to make"
    later = status.expected - status.done - running - status.queued
    rest = f", {later} to follow" if later > 0 else ""
    return (
        f"{status.done} of {status.expected} runs done, {running} running, {status.queued} queued{rest}, "
        f"ETA {clock.remaining(status)}"
    )


def _picture(status: Status, study: StudySpec, clock: _Clock) -> RenderableType:
    total = max(1, expected_updates(study))
    workers = Table.grid(padding=(0, 2))
    for _ in range(5):
        workers.add_column(no_wrap=True)
    for slot, progress in sorted(status.running.items()):
        workers.add_row(*_row(slot, progress))
    # In a table, since a bar on its own ends no line and what follows it would be cut off.
    picture = Table.grid(expand=True)
    picture.add_row(ProgressBar(total=total, completed=max(0, total - status.steps_left)))
    picture.add_row(Text(_counts(status, clock)))
    picture.add_row(workers)
    return picture


def _row(slot: int, progress: Progress) -> tuple[str, str, str, str, str]:
    spec = progress.job.spec
    if isinstance(progress.job, Find):
        return f"worker {slot + 1}", f"range test of {spec.strategy.method}", f"update {progress.step}", "", ""
    what = "test look" if isinstance(progress.job, Look) else f"{spec.strategy.name} lr={spec.lr:g} seed {spec.seed}"
    return (
        f"worker {slot + 1}",
        what,
        f"step {progress.step}/{spec.steps}",
        f"rate {progress.lr:.3g}",
        f"loss {progress.loss:.3f}",
    )
