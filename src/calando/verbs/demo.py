"""`calando.demo`: a lesson trained on this machine, in under a minute, and what its runs show.

Called again it is read from what is stored, without torch; stopped, it goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from calando.language import _, joined, message, translated
from calando.rows import Rows
from calando.shown import Drawn
from calando.standing import ETA
from calando.verbs.progress import Screen, ShownProgress

if TYPE_CHECKING:
    from calando.analysis.lesson import Claim
    from calando.records.lesson import StoredLesson
    from calando.study.lesson import LessonStatus

__all__ = ["DEMOS", "LessonEntry", "LessonProgress", "Taught", "demo"]

DEMOS = Path("calando-demos")
"""Where lessons are put."""

LAST_DRAWN = "gradients.png"


@final
@dataclass(frozen=True)
class LessonEntry:
    """A lesson that there is.

    Args:
        name: for `calando.demo`.
        summary: a sentence.
    """

    name: str
    summary: str


@final
@dataclass(frozen=True, kw_only=True)
class Taught(Drawn):
    """A lesson whose runs are made.

    Args:
        folder: the lesson's; `calando.show` reads its studies, a folder each in it.
        page: report.html; None: it could not be written.
        stored: its runs.
        lacking: what was not written, for a sentence; "": nothing.
    """

    folder: Path
    page: Path | None
    stored: StoredLesson
    lacking: str = ""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What was looked for, with the numbers, and whether the runs show it."""
        from calando.analysis.lesson import claims_of

        return claims_of(self.stored)

    def __str__(self) -> str:
        """Each claim in a line."""
        return "\n".join(
            f"{claim.title}{'' if claim.shown else ' (not shown here)'}: {claim.text}" for claim in self.claims
        )

    __repr__ = __str__

    def plot(self) -> Any:
        """The losses by rate."""
        from calando import report

        return report.lesson_figure(self.stored)

    def table(self) -> list[dict[str, Any]]:
        """A row for each run at seed 0."""
        from calando.analysis.lesson_runs import read_runs

        return [
            {
                "network": network,
                "run": read.name,
                "strategy": read.text,
                "rate": read.rate,
                "updates": read.record.steps_done,
                "loss": read.course.last if read.ending != "diverged" else None,
                "score": read.score,
                "ending": read.ending,
                "happened": read.happened,
                "why": read.why,
            }
            for network, those in read_runs(self.stored).items()
            for read in those.values()
        ]

    def to_json(self) -> dict[str, Any]:
        """All of it but the traces, as what `json.dumps` takes."""
        return {
            "lesson": self.stored.lesson.name,
            "seeds": self.stored.seeds,
            "claims": [
                {"name": one.name, "title": one.title, "shown": one.shown, "seeds": one.seeds, "text": one.text}
                for one in self.claims
            ],
            "runs": self.table(),
            "page": None if self.page is None else str(self.page),
            "folder": str(self.folder),
        }


def demo(
    lesson: str | None = None,
    *,
    folder: Path | str | None = None,
    seeds: int = 1,
    executor: str = "process",
    workers: int | None = None,
    command: str = "",
    listen: Callable[[LessonStatus], None] | None = None,
) -> Taught | Rows[LessonEntry]:
    """Teach one thing about learning rates by runs made on this machine. Without `lesson`, list the lessons.

    Args:
        lesson: the lesson's name. None: list the lessons.
        folder: the lesson's folder. None: calando-demos/NAME in the current folder.
        seeds: number of seeds of each run; each claim says in how many of them it holds.
        executor: "process", "inline", or the name of one of your own.
        workers: number of worker processes. None: one per core.
        command: the command line that makes it, shown on its page.
        listen: called with the status as it changes. None: progress is shown, as for `calando.compare`.

    Returns:
        The lesson; `print` it for its claims. `.table()` has a row for each run, `.page` is the path of its page.
        Without `lesson`, a list.

    Raises:
        UnknownName: no lesson has this name.
        UsageError: the folder holds something else.
        StudyStopped: a worker died too often, or the disk is full.
        KeyboardInterrupt: Ctrl-C was pressed; what was trained is kept.

    Example:
        >>> import calando
        >>> [entry.name for entry in calando.demo()]
        ['diverge-and-crawl']
    """
    from calando.records import StudySpec
    from calando.records.fields import check
    from calando.records.lesson import LESSONS, check_free, find_lesson, stored_whole
    from calando.report.drawing_process import can_draw

    if lesson is None:
        return Rows([LessonEntry(one.name, one.summary) for one in LESSONS.values()], "lessons")
    found = find_lesson(lesson)
    check(StudySpec, seeds=seeds)
    where = DEMOS / found.name if folder is None else Path(folder)
    stored, page = stored_whole(where, found, seeds=seeds), where / "report.html"
    if stored is not None and page.exists() and ((where / "figures" / LAST_DRAWN).exists() or not can_draw()):
        return Taught(folder=where, page=page, stored=stored)
    if stored is None:
        check_free(where, found)
        # One of fewer seeds would stay, where this is killed after the last run.
        page.unlink(missing_ok=True)
        from calando.verbs.torch_first import import_torch

        with LessonProgress.of(listen) as progress:
            import_torch()
            from calando.study.lesson import conduct_lesson

            stored = conduct_lesson(
                where, found, seeds=seeds, executor=executor, workers=workers, command=command, listen=progress
            )
    written, lacking = _written(where, stored, command)
    return Taught(folder=where, page=written, stored=stored, lacking=lacking)


def _written(folder: Path, stored: StoredLesson, command: str) -> tuple[Path | None, str]:
    """The page's path, and what was not written: whatever becomes of the pictures, the answer stands."""
    from calando import report
    from calando.errors import CalandoError, NotDrawn, said_by
    from calando.report.drawing_process import NEEDED, can_draw

    try:
        return report.write_lesson_page(folder, stored, command=command), "" if can_draw() else NEEDED
    except (CalandoError, OSError, MemoryError) as error:
        page = error.page if isinstance(error, NotDrawn) else None
        return page, message(
            "no page was written ({why}); the same command tries again"
            if page is None
            else "PNG and SVG were not written ({why}); the same command tries again",
            why=said_by(error) or message("out of memory"),
        )


@final
class LessonProgress(ShownProgress["LessonStatus"]):
    """Of a lesson."""

    def __init__(self, listen: Callable[[LessonStatus], None] | None = None) -> None:
        super().__init__(listen)
        self._eta, self._headed = ETA(), False

    def _show(self, screen: Screen, status: LessonStatus) -> None:
        if not self._headed:
            self._headed = True
            lesson = status.lesson
            screen.say(_("{name}: {summary}", name=lesson.name, summary=message(lesson.summary)))
            screen.say(
                _(
                    "{runs} runs on {data}, {networks} networks; {machine}",
                    runs=status.runs,
                    data=lesson.data,
                    networks=len(lesson.networks),
                    machine=status.machine,
                )
            )
            screen.say(_("folder: {folder}", folder=status.folder))
        screen.show(lambda: _line(status, self._eta))


def _line(status: LessonStatus, eta: ETA) -> str:
    stand = message("{done} of {runs} runs done", done=status.done, runs=status.runs)
    if status.status is None:
        return _("{stand}; {network}: looking at its gradients", stand=stand, network=status.network)
    running = [
        message(
            "{name}: update {step}, loss {loss:.3g}",
            name=one.job.spec.strategy.name,
            step=one.now.step,
            loss=one.now.loss,
        )
        for one in status.status.running.values()
    ]
    left = eta.remaining(status.left, begun=bool(running) or status.done > 0)
    last = message("ETA {left}", left=left)
    return translated(joined("{one}; {other}", [stand, status.network, *running, last]))
