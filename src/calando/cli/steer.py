"""`calando steer`: the new curve over the old one, what lint says, and what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli import completion
from calando.cli.options import Given, verb
from calando.language import _, translated

if TYPE_CHECKING:
    from calando.records.preview import Preview
    from calando.verbs.steer import Steering

__all__ = ["steer"]


@verb(
    calando.steer,
    folder=Given(
        Path,
        typer.Argument(metavar="FOLDER", help="of a study or a single run", autocompletion=completion.studies),
    ),
    command=Given(str, typer.Argument(metavar="COMMAND", help="what is asked, as 'rate *0.5'")),
    run=Given(
        str | None, typer.Option(help="digest, its beginning, or strategy's name; else the only run in progress")
    ),
)
def steer(call: Callable[..., Steering], yes: bool = False, as_json: bool = False) -> None:
    """Change a run while it is trained.

    What is changed goes on as a branch: a run with a spec of its own, which the printed line makes again to the bit.
    The run that it leaves rests, its state is kept, and `resume` lets it go on. On a terminal you are asked first,
    unless --yes is given.

    \b
    calando steer calando-studies/digits "rate *0.5" --run cosine
    calando steer calando-runs/cosine-1a2b3c4d "from 400: schedule linear(0.5, 0)"
    calando steer calando-runs/cosine-1a2b3c4d "horizon 30 epochs" --look
    calando steer calando-studies/digits pause --run 1a2b3c4d

    Others: rate =0.01, fork: rate *2 (both go on), resume, stop; several changes are joined by ";".
    """
    looked = call(look=True)
    if looked.preview is not None and not as_json:
        _show(looked.preview)
    if _only_looks(call) or not (yes or as_json or _agreed(looked)):
        if as_json:
            typer.echo(json.dumps(looked.to_json(), indent=2))
        return
    found = call()
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        typer.echo(found)
        if found.again:
            typer.echo(_("again: {command}", command=found.again))
        if found.rests:
            typer.echo(_("it rests; to let it go on: {command}", command=found.rests))
    if found.asked is not None and found.asked.state == "refused":
        raise typer.Exit(1)


def _only_looks(call: Callable[..., Steering]) -> bool:
    return isinstance(call, partial) and bool(call.keywords.get("look"))


def _agreed(looked: Steering) -> bool:
    """A branch is asked about where somebody sits at a terminal."""
    branches = looked.preview is not None and looked.preview.branch is not None
    return not branches or not sys.stdin.isatty() or typer.confirm(_("Do it?"), err=True)


def _show(preview: Preview) -> None:
    from calando.cli.draw import draw

    one = preview.parent
    typer.echo(
        _(
            "{name}, seed {seed} ({run}), at step {step} of {steps}",
            name=one.strategy.name,
            seed=one.seed,
            run=preview.run,
            step=preview.step,
            steps=one.steps,
        )
    )
    if preview.branch is None:
        return
    steps, before, after = preview.curves()
    curves = {_("planned"): (list(steps), before), _("branch"): (list(steps), after)}
    typer.echo(draw(curves, height=14, y_label=_("rate")))
    branch = preview.branch
    typer.echo(_("branch: {strategy}, {steps} steps", strategy=branch.strategy.text, steps=branch.steps))
    for finding in preview.findings:
        typer.echo(f"  {translated(finding.sentence)}")
