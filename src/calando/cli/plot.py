"""`calando plot`: draw schedules, in the terminal or to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calando.cli.options import AsJson
from calando.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from calando.schedules import Schedule

__all__ = ["plot"]

MOST_STEPS = 10_000_000
LEGEND_WIDTH = 52  # letters that a figure's legend has room for

Panels = dict[str, dict[str, "np.ndarray"]]
"""Hyper-parameter -> label -> the values of updates 0, 1, …"""


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

    Against the step, as multipliers of the base rate: in the terminal, or to a file. A schedule that differs between
    parameter groups has a line for each; other hyper-parameters that a strategy schedules have a plot of their own.

    \b
    calando plot cosine one-cycle wsd
    calando plot "linear(0, 1, over='5%') >> cosine(1, 0)" -o warmup.png
    calando plot "cosine(1, 0) * per_group({'body': 0.1}, others=1)"
    calando plot "sgd | one_cycle | momentum: linear(1, 0.9, over='30%') >> linear(0.9, 1)"
    """
    from calando.cli.texts import distinct, horizon_of, read_schedules

    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"--steps must be from 1 to {MOST_STEPS}, got {steps}")
    if output is not None and as_json:
        raise UsageError("give --output or --json, not both; -o FILE.json writes the figure's specification")
    panels: Panels = {}
    notes = []
    for text in dict.fromkeys(schedules):
        own = horizon_of(text, steps, steps_per_epoch=steps_per_epoch)
        for key, schedule in read_schedules(text).items():
            drawn, said = _sampled(text, schedule, own, steps_per_epoch, of=key)
            panels.setdefault(key, {}).update(drawn)
            notes += said
    if output is not None:
        from calando.report import save, schedule_figure

        shown = distinct([label for lines in panels.values() for label in lines], LEGEND_WIDTH)
        named = {key: {shown[label]: array for label, array in lines.items()} for key, lines in panels.items()}
        save(schedule_figure(named.pop("lr"), others=named), output)
        typer.echo(output)
    elif as_json:
        values = {
            _joined(label, key): array.tolist() for key, lines in panels.items() for label, array in lines.items()
        }
        typer.echo(json.dumps(values))
    else:
        from calando.cli.draw import draw_panels

        plots = {
            "rate / base rate" if key == "lr" else f"{key} / own value": {
                label: (range(len(array)), array) for label, array in lines.items()
            }
            for key, lines in panels.items()
        }
        typer.echo(draw_panels(plots, height=20 if len(plots) == 1 else 14))
    for note in notes:
        typer.echo(note, err=True)


def _sampled(
    text: str, schedule: Schedule, steps: int, steps_per_epoch: int | None, *, of: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Label -> values, a label for each group; and what is suspicious about them."""
    from calando.schedules import lint_schedule
    from calando.schedules.linting import by_group

    curves = {
        text if group is None else f"{text} [{group}]": one.bind(steps, steps_per_epoch=steps_per_epoch)
        for group, one in by_group(schedule).items()
    }
    findings = lint_schedule(schedule, steps, steps_per_epoch=steps_per_epoch, of=of)
    for finding in findings:
        if finding.name == "not-finite":
            raise UsageError(f"{text} cannot be drawn: at step {finding.step} {finding.message}; {finding.remedy}")
    notes = [f"{_joined(text, of)}: {str(finding).partition(': ')[2]}" for finding in findings]
    return {label: curve.sample() for label, curve in curves.items()}, notes


def _joined(label: str, key: str) -> str:
    """A curve's own name among those of several hyper-parameters."""
    return label if key == "lr" else f"{label} | {key}"
