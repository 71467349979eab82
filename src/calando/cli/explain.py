"""`calando explain`: whether a rate is too high or too low, and what shows it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli.options import Given, verb
from calando.cli.output import others_on_stderr
from calando.errors import CalandoError, said_by
from calando.language import _, translated

if TYPE_CHECKING:
    from calando.verbs.explain import Explained

__all__ = ["explain"]


@verb(
    calando.explain,
    workload=Given(
        str,
        typer.Argument(metavar="WORKLOAD", help="a task as for `calando train`, a study's folder, or a file of looks"),
    ),
    strategy=Given(
        str | None, typer.Argument(metavar="[STRATEGY]", help="of a task: a preset's name, a .toml file or pipe text")
    ),
    run=Given(str | None, typer.Option(help="of a study: the strategy whose run is looked at", metavar="NAME")),
    until=Given(str, typer.Option(help='how far the run is made: "20%", "2 epochs" or updates')),
    folder=Given(Path | None, typer.Option("--out", help="folder for looks and page; else calando-explained/…")),
    lr=Given(float | None, typer.Option(help="base rate, where the strategy leaves it open")),
)
def explain(call: Callable[..., Explained], as_json: bool = False) -> None:
    """Say why a rate is too high, too low or right.

    The first part of the run is made, the same to the bit as without looks, and looked at: loss, gradients by layer,
    update ratios, sharpness, noise. The reading is given where such signals were shown to predict how runs end, and is
    silent elsewhere.

    \b
    calando explain cifar10 "sgd(lr=0.5, momentum=0.9) | cosine(1, 0)" --model resnet20
    calando explain calando-studies/mine --run cosine --seed 0
    calando explain probes.json
    """
    with others_on_stderr():
        found = call()
    page = None
    try:
        page = found.write_page()
    except CalandoError as error:  # the answer stands without its page
        print(f"calando: {translated(said_by(error))}", file=sys.stderr)
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "page": None if page is None else str(page)}, indent=2))
        return
    first, *rest = str(found).splitlines()
    typer.echo("\n".join([typer.style(first, bold=True), *rest]))
    if page is not None:
        typer.echo(_("page: {path}", path=page))
