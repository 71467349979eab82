"""`calando demo`: a lesson's claims, a table of its runs, and where its page is."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli import completion
from calando.cli.options import OPTIONS, Given, verb
from calando.cli.output import answer_console, others_on_stderr
from calando.errors import plain
from calando.language import _, message, translated
from calando.verbs.demo import LessonProgress

if TYPE_CHECKING:
    from calando.rows import Rows
    from calando.verbs.demo import LessonEntry, Taught

__all__ = ["demo"]


@verb(
    calando.demo,
    filled=("command", "listen"),
    lesson=Given(
        str | None,
        typer.Argument(
            metavar="LESSON",
            help="diverge-and-crawl; none: list them",
            autocompletion=completion.words("diverge-and-crawl"),
        ),
    ),
    folder=Given(
        Path | None,
        typer.Option("--study", help="folder; else calando-demos/LESSON", autocompletion=completion.studies),
    ),
    seeds=Given(int, typer.Option(help="runs of each strategy; of several, each claim says in how many it is shown")),
    executor=Given(str, OPTIONS["executor"].declared),
)
def demo(call: Callable[..., Taught | Rows[LessonEntry]], as_json: bool = False) -> None:
    """Learn by runs what a learning rate does.

    Trains small networks on digits, on the CPU, in under a minute; says what each run did and why, and writes a page.
    Nothing is known beforehand of how the runs end: where they do not show what is usual, that is what is written.
    The same command again reads what is stored; stopped by Ctrl-C or anything else, it goes on where it stood.

    \b
    calando demo
    calando demo diverge-and-crawl
    calando demo diverge-and-crawl --seeds 3 --json
    """
    with others_on_stderr(), LessonProgress((lambda status: None) if as_json else None) as progress:
        try:
            answer = call(command=plain(shlex.join(["calando", *sys.argv[1:]])), listen=progress)
        except KeyboardInterrupt:
            if progress.folder is None:
                raise
            stopped = True
        else:
            stopped = False
    if stopped:
        print(
            _("stopped; nothing is lost: the same command goes on ({folder})", folder=progress.folder), file=sys.stderr
        )
        raise typer.Exit(130)
    if isinstance(answer, tuple):
        _print_list(answer, as_json=as_json)
    else:
        _print_taught(answer, as_json=as_json)


def _print_list(lessons: Rows[LessonEntry], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(lessons.table(), indent=2))
        return
    for one in lessons:
        typer.echo(f"{one.name}  {_(one.summary)}")
    typer.echo(_("see one: {command}", command="calando demo NAME"))


def _print_taught(taught: Taught, *, as_json: bool) -> None:
    if taught.lacking:
        print(f"calando: {translated(taught.lacking)}", file=sys.stderr)
    if as_json:
        typer.echo(json.dumps(taught.to_json(), indent=2))
        return
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from calando.analysis.lesson_runs import percent, read_runs

    console = answer_console()
    for network, reads in read_runs(taught.stored).items():
        console.print(
            Text.assemble((network, "bold"), _(": {words}", words=message(taught.stored.lesson.networks[network])))
        )
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        for heading, right in (
            (_("run"), False),
            (_("loss"), True),
            (_("score"), True),
            (_("what happened"), False),
            (_("why"), False),
        ):
            table.add_column(heading, justify="right" if right else "left", overflow="fold")
        for read in reads.values():
            said = map(translated, (read.happened, read.why))
            table.add_row(read.name, read.loss, percent(read.score), *said)
        console.print(table)
        console.print()
    for claim in taught.claims:
        mark = "" if claim.shown else message(" (not shown here)")
        console.print(Text(_("{title}{mark}", title=claim.title, mark=mark), style="bold"))
        console.print(Padding(Text(translated(claim.text)), (0, 0, 0, 2)))
    if taught.page is not None:
        console.print()
        console.print(_("page: {path}", path=taught.page), markup=False, highlight=False, soft_wrap=True)
    command = shlex.join(["calando", "show", str(taught.folder)])
    console.print(_("studies: {command}", command=command), markup=False, highlight=False, soft_wrap=True)
