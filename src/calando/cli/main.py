"""`calando`: the verbs, and how errors reach the user: one line, exit status 2 (theirs) or 1 (the world's)."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from calando.cli import compare, data, lists, plot, report, serve, train
from calando.errors import CalandoError, UsageError

__all__ = ["app", "main"]

app = typer.Typer(
    name="calando",
    help="Settle the learning rate of a neural network: compare strategies fairly, see why, train with the answer.\n\n"
    "Start with: calando compare digits",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("compare")(compare.compare)
app.command("train")(train.train)
app.command("show")(report.show)
app.command("report")(report.report)
app.command("plot")(plot.plot)
app.command("strategies")(lists.strategies)
app.command("workloads")(lists.workloads)
app.command("schedules")(lists.schedules)
app.command("serve")(serve.serve)
app.add_typer(data.app, name="data")


def main() -> None:
    """Entry point of the `calando` command."""
    # A console script does not look for modules here by itself, and `my_project.tasks:workload` lives here.
    sys.path.insert(0, str(Path.cwd()))
    try:
        app()
    except CalandoError as error:
        print(f"calando: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except BrokenPipeError:
        # `calando … | head`: the reader has seen enough.
        sys.stderr.close()
        sys.exit(0)
