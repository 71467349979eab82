"""Progress as a person sees it: in a terminal, in a notebook, and as lines elsewhere. On standard error.

where standard error is         what is shown
a terminal                      a picture that is drawn again and again, and goes at the end
a notebook's                    one output of the cell, brought up to date
anything else                   a line every ten seconds

Headings and notes stay in all three. `CALANDO_PROGRESS=off` shows none of it.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, final

from calando.errors import plain
from calando.language import _, joined, translated
from calando.standing import ETA, time_left
from calando.study.standing import has_begun, run_standing, study_standing, what_is_counted

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from calando.study.jobs import JobProgress
    from calando.study.listening import RunStatus
    from calando.study.standing import Status

__all__ = ["CountProgress", "Pace", "RunProgress", "Screen", "ShownProgress", "StudyProgress", "counted", "is_off"]

QUIET = "CALANDO_PROGRESS"
"""Set to "off", nothing of it is shown."""
PLAIN_SECONDS = 10.0
"""Between two lines of progress where standard error is no terminal."""
NOTEBOOK_SECONDS = 0.5
PATIENCE_SECONDS = 1.0
"""What mostly takes less shows nothing for so long, in a terminal and in a notebook."""


def is_off() -> bool:
    """Whether the environment asks for no progress."""
    return os.environ.get(QUIET, "") == "off"


class Pace:
    """Says when another line of progress is due; the first one at once, or after a while where `begun`."""

    def __init__(self, *, begun: bool = False, seconds: float | None = None) -> None:
        self.last, self.seconds = time.monotonic() if begun else -math.inf, seconds

    def is_due(self) -> bool:
        """Whether so many seconds have passed since it last was."""
        now = time.monotonic()
        due = now - self.last > (PLAIN_SECONDS if self.seconds is None else self.seconds)
        self.last = now if due else self.last
        return due


class Screen:
    """Where progress is shown: printed lines stay, a picture is replaced by the next.

    Args:
        late: nothing is shown at once, since what goes on is mostly over soon.
    """

    def __init__(self, *, late: bool = False) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._in_notebook = self._console.is_jupyter
        self._pace = Pace(begun=late, seconds=NOTEBOOK_SECONDS if self._in_notebook else None)
        self._shown_from = time.monotonic() + late * PATIENCE_SECONDS
        self._output: Any = None  # a notebook's
        self._said: list[str] = []
        self._live: Live | None = None
        if self._console.is_terminal and not self._in_notebook:
            # What is printed meanwhile goes above the picture, where both are one terminal.
            both = sys.stdout is not None and sys.stdout.isatty()
            self._live = Live(console=self._console, refresh_per_second=8, transient=True, redirect_stdout=both)

    def say(self, text: str | Text) -> None:
        """Print a line that stays."""
        if self._in_notebook:
            self._said.append(str(text))
            self._put("")
        else:
            self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def show(self, line: Callable[[], str], picture: Callable[[], RenderableType] | None = None) -> None:
        """Show how things stand: as a line, or on a terminal as a picture."""
        from rich.text import Text

        if self._live is not None and time.monotonic() < self._shown_from:
            return
        if self._live is not None:
            self._live.start()
            self._live.update(Text(line()) if picture is None else picture())
        elif self._pace.is_due():
            if self._in_notebook:
                self._put(line())
            else:
                self.say(line())

    def stop(self) -> None:
        """Leave the printed lines."""
        if self._live is not None:
            self._live.stop()
        if self._output is not None:
            self._put("")

    def _put(self, line: str) -> None:
        data = {"text/plain": "\n".join([*self._said, line]).rstrip("\n")}
        if self._output is None:
            self._output = importlib.import_module("IPython.display").display(data, raw=True, display_id=True)
        else:
            self._output.update(data, raw=True)


class HasFolder(Protocol):
    """How something stands, and where."""

    @property
    def folder(self) -> Path | None: ...


Stand = TypeVar("Stand", bound=HasFolder)


class ShownProgress(ABC, Generic[Stand]):
    """A listener that shows how things stand; given another listener, that one hears it and nothing is shown.

    What it is of shows itself by `_show`. The heading comes with the first status: by then nothing about the folder
    can be wrong any more, so that an error stands alone.
    """

    def __init__(self, listen: Callable[[Stand], None] | None = None) -> None:
        quiet = listen is not None or is_off()
        self._listen, self._screen = listen, None if quiet else Screen()
        self.folder: Path | None = None  # once it stands

    @classmethod
    def of(cls, listen: Callable[[Stand], None] | None) -> Self:
        """Itself, where it is one already."""
        return listen if isinstance(listen, cls) else cls(listen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._screen is not None:
            self._screen.stop()

    def say(self, text: str) -> None:
        """Print a line that stays, where anything is shown."""
        if self._screen is not None:
            self._screen.say(text)

    def __call__(self, status: Stand) -> None:
        """Take the status."""
        self.folder = status.folder
        if self._listen is not None:
            self._listen(status)
        elif self._screen is not None:
            self._show(self._screen, status)

    @abstractmethod
    def _show(self, screen: Screen, status: Stand) -> None:
        """Show it; called with the first status, and after every change."""


@final
class StudyProgress(ShownProgress["Status"]):
    """Of a study."""

    def __init__(self, listen: Callable[[Status], None] | None = None) -> None:
        super().__init__(listen)
        self.known: set[str] = set()  # notes that were reported before
        self._eta, self._reported = ETA(), -1

    def _show(self, screen: Screen, status: Status) -> None:
        if self._reported < 0:
            self._reported = 0
            for line in _heading(status):
                screen.say(line)
        _say_notes(screen, [note for note in status.notes[self._reported :] if note not in self.known])
        self._reported = len(status.notes)
        screen.show(lambda: translated(study_standing(status, self._eta).words), lambda: _picture(status, self._eta))


@final
class RunProgress(ShownProgress["RunStatus"]):
    """Of a run, or of the range test for it.

    Args:
        what: is made, for the heading: "range test of sgd"; "": the run's strategy.
    """

    def __init__(self, listen: Callable[[RunStatus], None] | None = None, *, what: str = "") -> None:
        super().__init__(listen)
        self._what, self._eta, self._kind, self._reported = what, ETA(), "", 0

    def _show(self, screen: Screen, status: RunStatus) -> None:
        _say_notes(screen, status.notes[self._reported :])
        self._reported = len(status.notes)
        if not has_begun(status):
            run = status.run
            screen.say(
                _(
                    "{what} on {title}: {machine}",
                    what=self._what or run.strategy.name,
                    title=run.workload.title,
                    machine=status.machine or run.lane.text,
                )
            )
            return
        kind = what_is_counted(status)
        if kind != self._kind:
            self._kind, self._eta = kind, ETA()
        screen.show(lambda: translated(run_standing(status, self._eta).words))


T = TypeVar("T")


def counted(items: Iterable[T], total: int, *, doing: str) -> Iterator[T]:
    """The items, one after the other; meanwhile is shown how many are done of `total`, where they take long.

    Args:
        doing: what is done with them, as "exporting runs".
    """
    with CountProgress(doing) as progress:
        for done, item in enumerate(items):
            progress(done, total)
            yield item


@final
class CountProgress:
    """Of what is counted: called with how much is done, and of how much.

    Args:
        doing: what is done, as "fetching cifar10".
        unit: what is counted, as " MB"; "": the very things that are counted.
        size: of a unit.
    """

    def __init__(self, doing: str, *, unit: str = "", size: int = 1) -> None:
        self._doing, self._unit, self._size = doing, unit, size
        self._screen, self._eta = None if is_off() else Screen(late=True), ETA()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._screen is not None:
            self._screen.stop()

    def __call__(self, done: int, total: int) -> None:
        """Take how it stands."""
        if self._screen is None:
            return
        left = self._eta.estimate(total - done)
        self._screen.show(
            lambda: _(
                "{doing}: {done} of {total}{unit}, ETA {left}",
                doing=self._doing,
                done=done // self._size,
                total=total // self._size,
                unit=self._unit,
                left=time_left(left),
            )
        )


def _say_notes(screen: Screen, notes: Iterable[str]) -> None:
    from rich.text import Text

    for note in notes:
        screen.say(Text(plain(translated(note)), style="yellow"))


def _heading(status: Status) -> tuple[Text, ...]:
    from rich.text import Text

    study, workload, count = status.study, status.study.workload, len(status.study.strategies)
    asked = _(
        "{network}, {facts}, {lengths} steps a run, {count} strategy, {seeds}"
        if count == 1
        else "{network}, {facts}, {lengths} steps a run, {count} strategies, {seeds}",
        network=workload.network,
        facts=joined("{one}, {other}", workload.facts),
        lengths=" / ".join(map(str, study.lengths)),
        count=count,
        seeds=study.seeds_text,
    )
    names = ", ".join(strategy.name for strategy in study.strategies)
    return (
        Text.assemble((workload.title, "bold"), asked),
        Text(_("on {machine}", machine=status.machine or study.lane.text), style="dim"),
        Text(names, style="dim"),
        Text(_("study folder: {folder}", folder=status.folder), style="dim"),
    )


def _picture(status: Status, eta: ETA) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    total = max(1, status.steps)
    workers = Table.grid(padding=(0, 2))
    for _column in range(5):
        workers.add_column(no_wrap=True)
    for slot, progress in sorted(status.running.items()):
        workers.add_row(*_row(slot, progress))
    # In a table, since a bar on its own ends no line and what follows it would be cut off.
    picture = Table.grid(expand=True)
    picture.add_row(ProgressBar(total=total, completed=max(0, total - status.steps_left)))
    picture.add_row(Text(translated(study_standing(status, eta).words)))
    picture.add_row(workers)
    return picture


def _row(slot: int, progress: JobProgress) -> tuple[str, str, str, str, str]:
    from calando.study.jobs import Find, TestLook

    spec = progress.job.spec
    worker, now = _("worker {number}", number=slot + 1), progress.now
    if isinstance(progress.job, Find):
        found = _("range test of {method}", method=spec.strategy.method)
        return worker, found, _("update {step}", step=now.step), "", ""
    what = _("test look")
    if not isinstance(progress.job, TestLook):
        what = _("{name} lr={rate:g} seed {seed}", name=spec.strategy.name, rate=spec.lr, seed=spec.seed)
    return (
        worker,
        what,
        _("step {step}/{steps}", step=now.step, steps=spec.steps),
        _("rate {rate:.3g}", rate=now.lr),
        _("loss {loss:.3f}", loss=now.loss),
    )
