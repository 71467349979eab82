"""`calando import`: runs that others logged, each with the schedule that its rates came from."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli.options import Given, verb
from calando.errors import UsageError
from calando.language import _, message, translated

if TYPE_CHECKING:
    from calando.verbs.importing import ImportedRuns

__all__ = ["import_runs"]


@verb(
    calando.import_runs,
    paths=Given(list[str], typer.Argument(metavar="PATH", help="logs, or folders that are searched for them")),
    study=Given(Path | None, typer.Option(help="a study's folder, next to whose runs they are drawn; needs -o")),
    steps=Given(int | None, typer.Option(help="updates that the runs were planned for; else read from the log")),
)
def import_runs(call: Callable[..., ImportedRuns], output: Path | None = None, as_json: bool = False) -> None:
    """Recover the schedules of logged runs.

    Reads trainer_state.json of Transformers, metrics.csv of Lightning, event files of TensorBoard, MLflow's runs,
    Optuna's trials and any .csv with columns step and lr. Each schedule meets every logged rate within the log's
    rounding; where none does, the closest is named with its misfit.

    With --study, -o FILE draws them next to a study's runs: unpaired, and without a verdict.

    \b
    calando import runs/
    calando import outputs/checkpoint-500/trainer_state.json
    calando import log.csv --steps 10000
    calando import runs/ --study study -o next-to.html
    """
    if output is None and isinstance(call, partial) and call.keywords.get("study") is not None:
        raise UsageError(
            message("--study draws them next to its runs, and needs a file to draw to: give -o FILE as well")
        )
    if output is not None:
        from calando.report.pictures import check_suffix

        check_suffix(output)
    runs = call()
    if output is not None:
        print(_("figure: {path}", path=calando.draw(runs, output)), file=sys.stderr)
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in runs], indent=2))
        return
    for one in runs:
        found = one.recovered
        typer.echo(one.logged.name)
        typer.echo(f"  {found.text}" if found.exact else _("  no schedule found; the closest: {text}", text=found.text))
        typer.echo(
            _(
                "  base {base:g}, {steps} steps, misfit {misfit:.2g} of the greatest rate",
                base=found.base,
                steps=found.total_steps,
                misfit=found.misfit,
            )
        )
        for finding in one.findings:
            typer.echo(f"  {translated(finding.sentence)}")
        for note in found.notes:
            typer.echo(_("  note: {text}", text=note))
        typer.echo(_("  again: {command}", command=one.again))
