"""`calando export`: the runs of a study, a tuning or a training as files for other programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli import completion
from calando.cli.options import Given, verb
from calando.cli.output import others_on_stderr, print_notes

if TYPE_CHECKING:
    from calando.verbs.exporting import Exported

__all__ = ["export"]


@verb(
    calando.export,
    folder=Given(
        Path,
        typer.Argument(
            metavar="FOLDER", help="of a study, a tuning or `calando train`", autocompletion=completion.studies
        ),
    ),
    run=Given(str | None, typer.Option(help="first digits of a run's digest, or a strategy's name; else all")),
    seed=Given(
        int | None,
        typer.Option(help="with a strategy's name, one of its seeds; else all, of an appendix the first"),
    ),
)
def export(call: Callable[..., Exported], as_json: bool = False) -> None:
    """Write runs for other programs.

    As tables: runs, evaluations, trace (step, rate, loss), events and specs, joined by the run's digest. As appendix:
    one run with figures, environment and the command that makes it again. To a tracker: every number of every run.

    \b
    calando export calando-studies/digits-1a2b3c4d
    calando export study --to parquet --out tables
    calando export study --run cosine --to appendix --out appendix
    calando export study --to tensorboard
    """
    with others_on_stderr():
        done = call()
    print_notes(done.notes)
    if as_json:
        typer.echo(json.dumps({"path": str(done.path), "runs": done.runs, "to": done.form, "notes": list(done.notes)}))
    else:
        typer.echo(str(done))
