"""`calando import`: runs that others logged, each with the schedule that its rates came from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli.options import Given, verb

if TYPE_CHECKING:
    from calando.verbs.importing import Imported

__all__ = ["import_runs"]


@verb(
    calando.import_runs,
    paths=Given(list[str], typer.Argument(metavar="PATH", help="logs, or folders that are searched for them")),
    steps=Given(int | None, typer.Option(help="updates that the runs were planned for; else read from the log")),
)
def import_runs(call: Callable[..., tuple[Imported, ...]], as_json: bool = False) -> None:
    """Recover the schedules of logged runs.

    Reads trainer_state.json of Transformers, metrics.csv of Lightning, event files of TensorBoard, MLflow's runs,
    Optuna's trials and any .csv with columns step and lr. Each schedule meets every logged rate within the log's
    rounding; where none does, the closest is named with its misfit.

    \b
    calando import runs/
    calando import outputs/checkpoint-500/trainer_state.json
    calando import log.csv --steps 10000
    """
    runs = call()
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in runs], indent=2))
        return
    for one in runs:
        found = one.recovered
        typer.echo(one.logged.name)
        typer.echo(f"  {found.text}" if found.exact else f"  no schedule found; the closest: {found.text}")
        typer.echo(f"  base {found.base:g}, {found.total_steps} steps, misfit {found.misfit:.2g} of the greatest rate")
        for finding in one.findings:
            typer.echo(f"  {finding}")
        for note in found.notes:
            typer.echo(f"  note: {note}")
        typer.echo(f"  again: {one.again}")
