"""The commands of `calando`, by the names of their verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from calando import __version__
from calando.cli import (
    compare,
    demo,
    describe,
    explain,
    exporting,
    find,
    importing,
    schedules,
    steer,
    study,
    train,
    tune,
)
from calando.cli.dashes import WithArguments
from calando.cli.output import write_in_any_encoding
from calando.language import language

__all__ = ["app", "run"]

app = typer.Typer(
    name="calando",
    help="Settle the learning rate of a neural network: compare strategies fairly, see why, train with the answer.\n\n"
    "Start with: calando compare digits",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for name, command in {
    "compare": compare.compare,
    "train": train.train,
    "tune": tune.tune,
    "explain": explain.explain,
    "find": find.find,
    "demo": demo.demo,
    "steer": steer.steer,
    "show": study.show,
    "report": study.report,
    "plot": schedules.plot,
    "lint": schedules.lint,
    "import": importing.import_runs,
    "export": exporting.export,
    "strategies": describe.strategies,
    "workloads": describe.workloads,
    "schedules": describe.schedules,
    "serve": study.serve,
}.items():
    app.command(name, cls=WithArguments if name in ("compare", "tune") else None)(command)
app.add_typer(describe.data, name="data")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"calando {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="print the version", callback=_print_version)] = False,
) -> None:
    """Hold the options that come before a verb; the help of `calando` itself stands above."""


def run() -> None:
    """Do what the command line asks for; its help is in the person's language."""
    write_in_any_encoding()
    if language() == "en":
        app(prog_name="calando")
        return
    from typer.main import get_command

    from calando.cli.help_words import in_their_language
    from calando.cli.wide_lines import break_between_characters

    break_between_characters()
    in_their_language(get_command(app))(prog_name="calando")
