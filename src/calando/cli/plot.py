"""`calando plot`: draw schedules, in the terminal or to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calando.cli.options import AsJson
from calando.errors import UsageError

if TYPE_CHECKING:
    from calando.schedules import Schedule

__all__ = ["plot"]

SUFFIXES = (".png", ".svg", ".html", ".json")


def plot(
    schedules: Annotated[
        list[str], typer.Argument(metavar="SCHEDULE...", help="schedule or strategy texts, or strategies' names")
    ],
    steps: Annotated[int, typer.Option(help="horizon in updates")] = 1000,
    steps_per_epoch: Annotated[int | None, typer.Option(help="for spans in epochs")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="write .png, .svg, .html or .json")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw learning-rate schedules (multipliers of the base rate) against the step.

    \b
    calando plot cosine one-cycle wsd
    calando plot "linear(0, 1, over='5%') >> cosine(1, 0)" -o warmup.png
    """
    from calando.schedules import lint

    curves = {text: _schedule(text).bind(steps, steps_per_epoch=steps_per_epoch) for text in schedules}
    values = {text: curve.sample() for text, curve in curves.items()}
    if output is not None:
        if output.suffix not in SUFFIXES:
            raise UsageError(f"cannot write {str(output)!r}: the suffix must be one of {', '.join(SUFFIXES)}")
        from calando.report import save, schedule_figure

        save(schedule_figure(values), output)
        typer.echo(output)
    elif as_json:
        import json

        typer.echo(json.dumps({text: [float(value) for value in array] for text, array in values.items()}))
    else:
        from calando.cli.draw import draw

        typer.echo(draw({text: (range(steps), array) for text, array in values.items()}, y_label="rate / base rate"))
    for text, curve in curves.items():
        for finding in lint(curve):
            typer.echo(f"{text}: {finding.name} at step {finding.step}: {finding.message}; {finding.remedy}", err=True)


def _schedule(text: str) -> Schedule:
    from calando.optim import PRESETS, parse_strategy
    from calando.schedules import parse

    if text in PRESETS or "|" in text:
        strategy = parse_strategy(PRESETS[text].text if text in PRESETS else text)
        return parse(strategy.schedules.get("lr", "constant(1)"))
    return parse(text)
