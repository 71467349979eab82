"""`calando lint`: what is suspicious about schedules, before a step is trained."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from calando.cli.options import AsJson
from calando.errors import UsageError

if TYPE_CHECKING:
    from calando.schedules import Finding, Schedule

__all__ = ["lint"]

MOST_STEPS = 10_000_000
STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def lint(
    schedules: Annotated[
        list[str],
        typer.Argument(metavar="SCHEDULE", help="schedule or strategy texts, strategies' names or .toml files"),
    ],
    steps: Annotated[int | None, typer.Option(help="horizon in updates")] = None,
    epochs: Annotated[float | None, typer.Option(help="horizon in passes over the data, instead of --steps")] = None,
    steps_per_epoch: Annotated[int | None, typer.Option(help="updates in one pass over the data")] = None,
    of: Annotated[
        str | None,
        typer.Option(help="hyper-parameter: what a schedule is of (else lr), or which of a strategy's (else all)"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="warnings end with status 1 too")] = False,
    as_json: AsJson = False,
) -> None:
    """Report what is suspicious about schedules.

    Every finding has a name, the update it is about and a remedy. State the horizon: --steps, or --epochs with
    --steps-per-epoch. With the latter, epochs used as steps are found too.

    Ends with status 1 if there is an error (with --strict: or a warning), with 0 otherwise.

    \b
    calando lint "linear(0, 1, over=5) >> step(every=30, factor=0.1)" --epochs 90 --steps-per-epoch 391
    calando lint mine.toml cosine --steps 10000
    calando lint "linear(1, 0.9)" --of momentum --steps 10000
    """
    from calando.cli.texts import horizon_of, read_schedules
    from calando.schedules import lint_schedule

    horizon = _horizon(steps, epochs, steps_per_epoch)
    found: list[tuple[str, str, list[Finding]]] = []
    for text in dict.fromkeys(schedules):
        own = horizon_of(text, horizon, steps_per_epoch=steps_per_epoch)
        for key, schedule in _chosen(read_schedules(text, of=of or "lr"), text, of).items():
            findings = lint_schedule(schedule, own, steps_per_epoch=steps_per_epoch, of=key)
            found.append((text, key, findings))
    if as_json:
        typer.echo(json.dumps([{"text": t, "of": k, "findings": [asdict(f) for f in fs]} for t, k, fs in found]))
    else:
        _print(found)
    fatal = ("error", "warning") if strict else ("error",)
    if any(finding.level in fatal for _, _, findings in found for finding in findings):
        raise typer.Exit(1)


def _horizon(steps: int | None, epochs: float | None, steps_per_epoch: int | None) -> int:
    """The number of updates that was asked for, one way or the other."""
    if steps is not None and epochs is not None:
        raise UsageError("give --steps or --epochs, not both")
    if steps is not None:
        if not 1 <= steps <= MOST_STEPS:
            raise UsageError(f"--steps must be from 1 to {MOST_STEPS}, got {steps}")
        return steps
    if epochs is None:
        raise UsageError("say how long the run is: --steps N, or --epochs E --steps-per-epoch M")
    if steps_per_epoch is None:
        raise UsageError("--epochs needs --steps-per-epoch (batches in one pass over the data)")
    # `not <=` so that NaN is refused too
    if not 1 <= epochs * steps_per_epoch <= MOST_STEPS:
        raise UsageError(
            f"--epochs times --steps-per-epoch must be from 1 to {MOST_STEPS} updates, got {epochs:g} epochs"
        )
    return round(epochs * steps_per_epoch)


def _chosen(written: dict[str, Schedule], text: str, of: str | None) -> dict[str, Schedule]:
    """The schedules of a text that are asked about."""
    if of is None:
        return written
    if of not in written:
        raise UsageError(f"{text} has no schedule of {of!r}; it has {', '.join(written)}")
    return {of: written[of]}


def _print(found: Sequence[tuple[str, str, list[Finding]]]) -> None:
    """A heading for each schedule, then each finding: what and where, the matter, the remedy."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for text, key, findings in found:
        console.print(Text(text if key == "lr" else f"{text} | {key}", style="bold"))
        if not findings:
            console.print(Text("  nothing suspicious", style="green"))
        for finding in findings:
            place = f" at step {finding.step}" + ("" if finding.group is None else f", group {finding.group}")
            console.print(
                Text.assemble("  ", (finding.level, STYLES[finding.level]), f"  {finding.name}", (place, "dim"))
            )
            for said, style in ((finding.message, ""), (f"→ {finding.remedy}", "dim")):
                lines = textwrap.wrap(said, max(20, console.width), initial_indent=" " * 4, subsequent_indent=" " * 4)
                console.print(Text("\n".join(lines), style=style))
