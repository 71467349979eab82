"""`calando show`, `calando report` and `calando serve`: a study's answer in the terminal, as files, as a live page."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

import calando
from calando.cli import completion
from calando.cli.options import Given, verb
from calando.cli.output import answer_console
from calando.cli.tune import print_tuned
from calando.collector import nothing_collected
from calando.language import _, translated

if TYPE_CHECKING:
    from calando.analysis import StudySummary
    from calando.rows import Rows
    from calando.verbs.study import Listed
    from calando.verbs.tuned import Tuned

__all__ = ["print_study", "report", "serve", "show"]


@verb(
    calando.show,
    study=Given(
        Path | None,
        typer.Argument(
            metavar="STUDY",
            help="study folder, or one that holds several; else calando-studies",
            autocompletion=completion.studies,
        ),
    ),
)
def show(call: Callable[..., StudySummary | Tuned | Rows[Listed]], as_json: bool = False) -> None:
    """Show what a study has concluded so far.

    Of a folder that holds several studies, a line each, the newest first: age, size, state and verdict.
    """
    with nothing_collected():
        shown = call()
        from calando.verbs.tuned import Tuned

        if isinstance(shown, tuple):
            _print_listed(shown, as_json=as_json)
        elif isinstance(shown, Tuned):
            print_tuned(shown, as_json=as_json)
        else:
            print_study(shown, as_json=as_json)


@verb(calando.write_report)
def report(call: Callable[..., Path]) -> None:
    """Write a study's report.html and figures again.

    Of a tuning, which has come to its end, as well.
    The figures are written as PNG and SVG too where the extra 'pictures' is installed. Nothing is trained, and torch is
    not needed.
    """
    typer.echo(call())


@verb(
    calando.serve,
    folder=Given(
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="a study, a tuning or a run, or a folder that holds some; else the current one",
            autocompletion=completion.studies,
        ),
    ),
)
def serve(call: Callable[..., None]) -> None:
    """Serve studies and runs as a page that follows them.

    On this machine alone unless asked, and to whoever has one of the two addresses that are printed, with their tokens:
    one looks, the other steers too.
    """
    call(listen=_addresses)


def _addresses(looks: str, steers: str) -> None:
    if looks != steers:
        typer.echo(_("{address}  looks", address=looks))
        typer.echo(_("{address}  looks and steers", address=steers))
    else:
        typer.echo(_("{address}  looks and steers, whoever opens it", address=looks))
    typer.echo(_("Ctrl-C ends it; what it shows is not touched"))


def print_study(summary: StudySummary, *, as_json: bool) -> None:
    """The tables of a study, or all of it as JSON."""
    if as_json:
        typer.echo(json.dumps(summary.to_json(), indent=2))
        return
    from calando.report import study_tables

    answer_console().print(study_tables(summary))


def _print_listed(studies: Sequence[Listed], *, as_json: bool) -> None:
    """Each study with its age, its size, how far it is and what it says, or why it cannot be read."""
    if as_json:
        typer.echo(json.dumps([_facts(one) for one in studies], indent=2))
        return
    from calando.report.formatting import age, file_size

    columns = shutil.get_terminal_size().columns
    for one in studies:
        written = translated(age(time.time() - one.written))
        typer.echo(_cut(f"{one.folder}  {written}, {file_size(one.size)}  {translated(one.state)}", columns))
    command = shlex.join(["calando", "show", str(studies[0].folder)])
    typer.echo(_("details of one: {command}", command=command))


def _cut(line: str, columns: int) -> str:
    """A line within the terminal's columns; a Chinese character takes two."""
    from rich.cells import cell_len, set_cell_size

    most = max(columns, 40) - 1
    return line if cell_len(line) <= columns else f"{set_cell_size(line, most).rstrip()}…"


def _facts(one: Listed) -> dict[str, Any]:
    facts = {"study": str(one.folder), "bytes": one.size, "written": one.written}
    if one.tuned is not None:
        return {**facts, "workload": one.tuned.run.workload.title, "complete": True, "headline": one.tuned.verdict}
    if one.summary is None:
        return {**facts, "error": one.error}
    return {
        **facts,
        "workload": one.summary.spec.workload.title,
        "complete": one.summary.complete,
        "runs_done": one.summary.runs_done,
        "runs_expected": one.summary.runs_expected,
        "headline": one.summary.headline,
    }
