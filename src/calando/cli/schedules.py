"""`calando plot` and `calando lint`: schedules drawn in the terminal, and what is suspicious about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli.options import Given, verb
from calando.cli.wide_lines import filled
from calando.errors import UsageError
from calando.language import _, message, translated

if TYPE_CHECKING:
    from calando.verbs.schedules import Linted, Plotted

__all__ = ["lint", "plot"]

STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


@verb(
    calando.plot,
    steps=Given(int, typer.Option(help="horizon in updates")),
    steps_per_epoch=Given(int | None, typer.Option(help="for spans in epochs")),
)
def plot(call: Callable[..., Plotted], output: Path | None = None, as_json: bool = False) -> None:
    """Draw learning-rate schedules.

    Against the step, as multipliers of the base rate: in the terminal, or to a file. A schedule that differs between
    parameter groups has a line for each; other hyper-parameters that a strategy schedules have a plot of their own.

    \b
    calando plot cosine one-cycle wsd
    calando plot "linear(0, 1, over='5%') >> cosine(1, 0)" -o warmup.png
    calando plot "cosine(1, 0) * per_group({'body': 0.1}, others=1)"
    calando plot "sgd | one_cycle | momentum: linear(1, 0.9, over='30%') >> linear(0.9, 1)"
    """
    if output is not None and as_json:
        raise UsageError(message("give --output or --json, not both; -o FILE.json writes the figure's specification"))
    plotted = call()
    if output is not None:
        typer.echo(calando.draw(plotted, output))
    elif as_json:
        from calando.verbs.schedules import named

        panels = plotted.curves.items()
        values = {named(label, key): array.tolist() for key, curves in panels for label, array in curves.items()}
        typer.echo(json.dumps(values))
    else:
        from calando.cli.draw import draw_panels

        plots = {
            _("rate / base rate" if key == "lr" else "{key} / own value", key=key): {
                label: (range(len(array)), array) for label, array in curves.items()
            }
            for key, curves in plotted.curves.items()
        }
        typer.echo(draw_panels(plots, height=20 if len(plots) == 1 else 14))
    for note in plotted.notes:
        typer.echo(translated(note), err=True)


@verb(
    calando.lint,
    steps=Given(int | None, typer.Option(help="horizon in updates")),
    epochs=Given(float | None, typer.Option(help="horizon in passes over the data, instead of --steps")),
)
def lint(call: Callable[..., tuple[Linted, ...]], strict: bool = False, as_json: bool = False) -> None:
    """Report what is suspicious about schedules.

    Every finding has a name, the update it is about and a remedy. State the horizon: --steps, or --epochs with
    --steps-per-epoch. With the latter, epochs used as steps are found too.

    Ends with status 1 if there is an error (with --strict: or a warning), with 0 otherwise.

    \b
    calando lint "linear(0, 1, over=5) >> step(every=30, factor=0.1)" --epochs 90 --steps-per-epoch 391
    calando lint mine.toml cosine --steps 10000
    calando lint "linear(1, 0.9)" --of momentum --steps 10000
    """
    linted = call()
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in linted]))
    else:
        _print(linted)
    fatal = ("error", "warning") if strict else ("error",)
    if any(finding.level in fatal for one in linted for finding in one.findings):
        raise typer.Exit(1)


def _print(linted: Sequence[Linted]) -> None:
    """A heading for each schedule, then each finding: what and where, the matter, the remedy."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for one in linted:
        console.print(Text(one.text if one.of == "lr" else f"{one.text} | {one.of}", style="bold"))
        if not one.findings:
            console.print(Text(f"  {_('nothing suspicious')}", style="green"))
        for finding in one.findings:
            place = _(
                " at step {step}" if finding.group is None else " at step {step}, group {group}",
                step=finding.step,
                group=finding.group,
            )
            console.print(
                Text.assemble("  ", (_(finding.level), STYLES[finding.level]), f"  {finding.name}", (place, "dim"))
            )
            for line, style in ((translated(finding.message), ""), (f"→ {translated(finding.remedy)}", "dim")):
                lines = filled(line, max(20, console.width), first=" " * 4, later=" " * 4)
                console.print(Text(lines, style=style))
