"""`calando show` and `calando report`: read a study, without training anything (and without torch)."""

from __future__ import annotations

import gc
import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calando.cli.options import AsJson
from calando.cli.output import answer_console
from calando.errors import NotDrawn

if TYPE_CHECKING:
    from calando.analysis import StudySummary

__all__ = ["present", "report", "show"]

Study = Annotated[Path, typer.Argument(metavar="STUDY", help="study folder, as `calando compare` names it")]
Studies = Annotated[Path, typer.Argument(metavar="STUDY", help="study folder, or one that holds several")]


def show(study: Studies, as_json: AsJson = False) -> None:
    """Show what a study has concluded so far.

    Of a folder that holds several studies, a line each.
    """
    from calando.records.store import studies_in

    with _without_sweeping():
        if inside := studies_in(study):
            _list(inside, as_json=as_json)
            return
        _tables(_read(study), as_json=as_json)


def report(study: Study) -> None:
    """Write a study's report.html and figures again.

    The figures are written as PNG and SVG too where the extra 'pictures' is installed. Nothing is trained, and torch is
    not needed.
    """
    typer.echo(_write(study))


def present(folder: Path, *, as_json: bool) -> None:
    """The end of `calando compare`: the tables, and the path of the report.

    The answer first: whatever becomes of the pictures, it stands.
    """
    _tables(_read(folder), as_json=as_json)
    if sys.stdout is not None:
        sys.stdout.flush()
    try:
        path = _write(folder)
    except (NotDrawn, MemoryError) as error:
        page = error.page if isinstance(error, NotDrawn) else None
        lacking = "no report was" if page is None else "PNG and SVG were not"
        again = f"`calando report {folder}` tries again"
        print(f"calando: {lacking} written ({str(error) or 'out of memory'}); {again}", file=sys.stderr)
        if page is None:
            return
        path = page
    if not as_json:
        typer.echo(f"report: {path}")


@contextmanager
def _without_sweeping() -> Iterator[None]:
    """Python looks for garbage the more often the more records a study has, and there is none."""
    swept = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if swept:
            gc.enable()


def _read(folder: Path) -> StudySummary:
    from calando.analysis import summarize
    from calando.records import Store

    with Store.open(folder, read_only=True) as store:
        for note in store.notes:
            print(f"calando: {note}", file=sys.stderr)
        return summarize(store.study, store.runs(traces=False), store.tests())


def _list(folders: Sequence[Path], *, as_json: bool) -> None:
    """Each study with how far it is and what it says; one that cannot be read is listed with the reason."""
    from calando.errors import CalandoError

    lines: list[dict[str, object]] = []
    for folder in folders:
        try:
            summary = _read(folder)
        except CalandoError as error:
            lines.append({"study": str(folder), "error": str(error)})
            continue
        lines.append(
            {
                "study": str(folder),
                "workload": summary.spec.workload.title,
                "complete": summary.complete,
                "runs_done": summary.runs_done,
                "runs_expected": summary.runs_expected,
                "headline": summary.headline,
            }
        )
    if as_json:
        typer.echo(json.dumps(lines, indent=2))
        return
    columns = shutil.get_terminal_size().columns
    for line in lines:
        state = "complete" if line.get("complete") else f"{line.get('runs_done')} of {line.get('runs_expected')} runs"
        said = (
            f"{line['study']}  {line['error']}" if "error" in line else f"{line['study']}  {state}: {line['headline']}"
        )
        typer.echo(said if len(said) <= columns else f"{said[: max(columns, 40) - 1]}…")
    typer.echo(f"details of one: {shlex.join(['calando', 'show', str(folders[0])])}")


def _write(folder: Path) -> Path:
    from calando.analysis import summarize
    from calando.records import Store
    from calando.report import write_report
    from calando.report.renderer import NEEDED, is_installed

    with Store.open(folder, read_only=True) as store:
        runs, tests = store.runs(), store.tests()
        summary = summarize(store.study, runs, tests)
        path = write_report(folder, summary, runs, tests, fingerprint=store.fingerprint, command=store.command)
    if not is_installed():
        print(f"calando: {NEEDED}", file=sys.stderr)
    return path


def _tables(summary: StudySummary, *, as_json: bool) -> None:
    from calando.analysis import to_json
    from calando.report import study_tables

    if as_json:
        typer.echo(json.dumps(to_json(summary), indent=2))
        return
    answer_console().print(study_tables(summary))
