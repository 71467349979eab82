"""The verbs of `calando`, each from its own file."""

from __future__ import annotations

from typing import Annotated

import typer

from calando import __version__
from calando.cli import compare, data, find, lint, lists, plot, report, serve, train

__all__ = ["app"]

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
app.command("find")(find.find)
app.command("show")(report.show)
app.command("report")(report.report)
app.command("plot")(plot.plot)
app.command("lint")(lint.lint)
app.command("strategies")(lists.strategies)
app.command("workloads")(lists.workloads)
app.command("schedules")(lists.schedules)
app.command("serve")(serve.serve)
app.add_typer(data.app, name="data")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"calando {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="print the version", callback=_print_version)] = False,
) -> None:
    """Hold the options that come before a verb; what is said of `calando` itself stands above."""
