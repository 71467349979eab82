"""`calando data get NAME`: fetch a data set into the user's cache, checksum-checked."""

from __future__ import annotations

from typing import Annotated

import typer

from calando.cli.options import DataDir

__all__ = ["app"]

app = typer.Typer(help="Data sets on this machine.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _verbs() -> None:
    """Data sets on this machine."""


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="fashion-mnist or cifar10")],
    data: DataDir = None,
) -> None:
    """Download a data set, checksum-checked.

    What is there already is not fetched again.
    """
    from calando.tasks.fetch import get

    typer.echo(get(name, data_dir=data))
