"""`calando plot`: draw schedules, in the terminal or to a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calando.cli.options import AsJson
from calando.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from calando.schedules import Schedule

__all__ = ["plot"]

MOST_STEPS = 10_000_000


def plot(
    schedules: Annotated[
        list[str],
        typer.Argument(metavar="SCHEDULE", help="schedule or strategy texts, strategies' names or .toml files"),
    ],
    steps: Annotated[int, typer.Option(help="horizon in updates")] = 1000,
    steps_per_epoch: Annotated[int | None, typer.Option(help="for spans in epochs")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="write .png, .svg, .html or .json")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw learning-rate schedules.

    Against the step, as multipliers of the base rate: in the terminal, or to a file.

    \b
    calando plot cosine one-cycle wsd
    calando plot "linear(0, 1, over='5%') >> cosine(1, 0)" -o warmup.png
    """
    from calando.schedules import lint

    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"--steps must be from 1 to {MOST_STEPS}, got {steps}")
    if output is not None and as_json:
        raise UsageError("give --output or --json, not both; -o FILE.json writes the figure's specification")
    curves = {text: _schedule(text).bind(steps, steps_per_epoch=steps_per_epoch) for text in schedules}
    findings = [(text, finding) for text, curve in curves.items() for finding in lint(curve)]
    for text, finding in findings:
        if finding.name == "not-finite":
            raise UsageError(f"{text} cannot be drawn: at step {finding.step} {finding.message}; {finding.remedy}")
    values = {text: curve.sample() for text, curve in curves.items()}
    if output is not None:
        from calando.report import save, schedule_figure

        save(schedule_figure(values), output)
        typer.echo(output)
    elif as_json:
        typer.echo(json.dumps({text: array.tolist() for text, array in values.items()}))
    else:
        from calando.cli.draw import draw

        typer.echo(draw({text: (range(steps), array) for text, array in values.items()}, y_label="rate / base rate"))
    for text, finding in findings:
        typer.echo(f"{text}: {finding.name} at step {finding.step}: {finding.message}; {finding.remedy}", err=True)


def _schedule(text: str) -> Schedule:
    """The rate's schedule of a strategy, or a schedule itself; a name that is both is the strategy's."""
    from calando.optim import METHODS, PRESETS, read_strategy
    from calando.schedules import SCHEDULES, parse

    head = re.match(r"[\w.-]*", text.strip())
    assert head is not None, "the pattern matches the empty text"
    if text in PRESETS or head[0] in METHODS or "|" in text or text.endswith(".toml"):
        return parse(read_strategy(text).schedules.get("lr", "constant(1)"))
    if text and head[0] == text and text not in SCHEDULES:
        raise UnknownName("schedule or strategy", text, {*SCHEDULES, *PRESETS})
    return parse(text)
