"""`calando show` and `calando report`: read a study, without training anything (and without torch)."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calando.cli.options import AsJson
from calando.errors import NotDrawn

if TYPE_CHECKING:
    from calando.analysis import StudySummary

__all__ = ["present", "report", "show"]

Study = Annotated[Path, typer.Argument(metavar="STUDY", help="study folder, as `calando compare` names it")]


def show(study: Study, as_json: AsJson = False) -> None:
    """Show what a study has concluded so far."""
    with _without_sweeping():
        _tables(_read(study), as_json=as_json)


def report(study: Study) -> None:
    """Write a study's report.html and figures anew.

    The figures are written as PNG and SVG too. Nothing is trained, and torch is not needed.
    """
    typer.echo(_write(study))


def present(folder: Path, *, as_json: bool) -> None:
    """The end of `calando compare`: the tables, and the path of the report.

    The answer first: whatever becomes of the pictures, it stands.
    """
    _tables(_read(folder), as_json=as_json)
    sys.stdout.flush()
    try:
        path = _write(folder)
    except (NotDrawn, MemoryError) as error:
        again = f"`calando report {folder}` tries again"
        print(f"calando: no report was written ({error or 'out of memory'}); {again}", file=sys.stderr)
        return
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


def _write(folder: Path) -> Path:
    from calando.analysis import summarize
    from calando.records import Store
    from calando.report import write_report

    with Store.open(folder, read_only=True) as store:
        runs, tests = store.runs(), store.tests()
        summary = summarize(store.study, runs, tests)
        return write_report(folder, summary, runs, tests, fingerprint=store.fingerprint, command=store.command)


def _tables(summary: StudySummary, *, as_json: bool) -> None:
    from rich.console import Console

    from calando.analysis import to_json
    from calando.report import study_tables

    if as_json:
        typer.echo(json.dumps(to_json(summary), indent=2))
        return
    Console().print(study_tables(summary))
