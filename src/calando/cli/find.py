"""`calando find`: a learning-rate range test of a workload, drawn, judged and explained."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli.options import Given, verb
from calando.cli.output import others_on_stderr, print_notes
from calando.cli.wide_lines import filled
from calando.language import _, message, translated
from calando.standing import ETA, time_left
from calando.verbs.progress import Pace, is_off

if TYPE_CHECKING:
    import numpy as np

    from calando.analysis.range_curves import RangeCurves, Rule
    from calando.analysis.suggest import Suggestion
    from calando.range_test import Found
    from calando.range_test.raced import Raced
    from calando.study.listening import RunStatus

__all__ = ["RangeBar", "drawing", "find"]

TEXT_WIDTH = 100


@verb(
    calando.find,
    strategy=Given(str, typer.Option(help="whose method is tested: a preset's name, a .toml file or pipe text")),
    steps=Given(int, typer.Option(help="updates of a sweep")),
    epochs=Given(float | None, typer.Option(help="with --race, length of the runs that the rate is for")),
)
def find(call: Callable[..., Found | Raced], output: Path | None = None, as_json: bool = False) -> None:
    """Find a learning rate, or say why there is none.

    The rate rises from update to update until the loss diverges, a few times over; nothing else is trained. Schedules
    and the strategy's own rate do not matter.

    \b
    calando find digits
    calando find cifar10 --model resnet8 --strategy adamw -o range.png
    calando find cifar10 --race --epochs 5
    """
    if output is not None:
        from calando.report.pictures import check_suffix

        check_suffix(output)
    what = _("race" if getattr(call, "keywords", {}).get("race") else "range test")
    bar = RangeBar(quiet=as_json, what=what)

    def listen(status: RunStatus) -> None:
        if status.step == 0 and not as_json:
            print_notes(status.notes)
            run = status.run
            heading = _(
                "{what} of {method} on {title}: {machine}" if status.machine else "{what} of {method} on {title}",
                what=what,
                method=run.strategy.method,
                title=run.workload.title,
                machine=status.machine,
            )
            print(heading, file=sys.stderr, flush=True)
        bar(status)

    with others_on_stderr():
        try:
            found = call(listen=listen)
        finally:
            bar.stop()
    assert found.run is not None
    run = found.run
    from calando.range_test.raced import Raced  # torch is there by now

    if isinstance(found, Raced):
        typer.echo(json.dumps(found.to_json()) if as_json else found)
    elif as_json:
        facts = {"workload": run.workload.title, "lane": run.lane.model_dump(), **json.loads(found.to_json())}
        typer.echo(json.dumps(facts))
    else:
        typer.echo(
            _("{what} on {title}: {machine}", what=run.strategy.method, title=run.workload.title, machine=run.lane.text)
        )
        _present(found)
    if output is not None:
        # After the answer, which stands whatever becomes of the picture.
        if sys.stdout is not None:
            sys.stdout.flush()
        path = calando.draw(found, output)
        if not as_json:
            typer.echo(path)


class RangeBar:
    """A bar of a range test's updates on standard error, from the first update on; lines where that is no terminal.

    None of it where it is quiet, or where the environment turns progress off.
    """

    def __init__(self, *, quiet: bool, what: str = "") -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self.quiet, self.what, self.pace, self.eta = quiet or is_off(), what or _("range test"), Pace(begun=True), ETA()
        shown = console.is_terminal and not self.quiet
        self.bar = Progress(console=console, transient=True) if shown else None
        self.task = None if self.bar is None else self.bar.add_task(self.what, total=None)

    def __call__(self, status: RunStatus) -> None:
        """Take one report."""
        if self.bar is not None and self.task is not None and status.step > 0:
            self.bar.start()
            self.bar.update(self.task, completed=status.step, total=status.steps)
        elif not self.quiet:
            left = self.eta.estimate(status.steps - status.step)
            if self.pace.is_due():
                said = _(
                    "{what}: update {step}/{steps}  ETA {left}",
                    what=self.what,
                    step=status.step,
                    steps=status.steps,
                    left=time_left(left),
                )
                print(said, file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Remove it."""
        if self.bar is not None:
            self.bar.stop()


def _present(found: Found) -> None:
    """The drawing, what is recommended and why, and what it cost."""
    curves, suggestion = found.curves, found.suggestion
    typer.echo(drawing(curves, suggestion))
    typer.echo("")
    _print_rule(_("for a decayed schedule, peak rate"), suggestion.decayed)
    _print_rule(_("for a constant rate"), suggestion.constant)
    for name, rule in suggestion.rules.items():
        _print_rule(f"  {_(name)}", rule)
    if suggestion.reliable:
        typer.echo(typer.style(_("reliable"), fg="green", bold=True))
    else:
        typer.echo(typer.style(_("not reliable"), fg="red", bold=True))
        for reason in suggestion.reasons:
            typer.echo(filled(translated(reason), TEXT_WIDTH, first="  - ", later="    "))
    typer.echo(filled(translated(suggestion.explanation), TEXT_WIDTH))
    if found.held is not None:
        typer.echo(found.held)
    sweeps = len(curves.losses)
    typer.echo(
        _(
            "{updates} updates in all, {sweeps} sweeps" if sweeps > 1 else "{updates} updates in all, {sweeps} sweep",
            updates=found.updates,
            sweeps=sweeps,
        )
    )


NAME_COLUMNS = 35


def _print_rule(name: str, rule: Rule) -> None:
    from rich.cells import set_cell_size

    typer.echo(set_cell_size(name, NAME_COLUMNS) + _shown(rule))


def _shown(rule: Rule) -> str:
    return _("none") if rule.rate is None else f"{rule.rate:<8.3g} [{rule.low:.3g}, {rule.high:.3g}]"


def drawing(curves: RangeCurves, found: Suggestion) -> str:
    """The repeats as points, their median and band, upright lines at the rates; the rate axis is logarithmic."""
    import numpy as np

    from calando.cli.draw import Axis, draw

    x = np.log10(curves.rates / curves.rates[0])
    smoothed = found.smoothed
    known = np.isfinite(smoothed.median)
    head = curves.losses[:, : max(3, len(x) // 10)]
    ceiling = _ceiling(head[np.isfinite(head)], smoothed.low[known])
    shown = np.isfinite(curves.losses) & (curves.losses <= ceiling)
    places = np.broadcast_to(x, curves.losses.shape)
    lines = {_("median of the repeats"): (x[known].tolist(), np.minimum(smoothed.median[known], ceiling))}
    if len(curves.losses) > 1:
        lines[_("lowest repeat")] = (x[known].tolist(), np.minimum(smoothed.low[known], ceiling))
        lines[_("highest repeat")] = (x[known].tolist(), np.minimum(smoothed.high[known], ceiling))
    named = {"decayed": message("for a decayed schedule"), "constant": message("for a constant rate")}
    return draw(
        {label: line for label, line in lines.items() if len(line[0])} or {_("no loss"): ([0.0, x[-1]], [0.0, 0.0])},
        y_label=_("training loss"),
        axis=Axis(
            title=_("learning rate"),
            ticks=_ticks(curves.rates),
            marks={
                f"{translated(named.get(name, name))}: {rate:.3g}": math.log10(rate / curves.rates[0])
                for name, rate in found.marks.items()
                if curves.rates[0] <= rate <= curves.rates[-1]
            },
            points={_("single losses"): (places[shown].tolist(), curves.losses[shown])} if shown.any() else {},
        ),
    )


def _ceiling(first: np.ndarray, lowest: np.ndarray) -> float:
    """The highest loss drawn: some room above the start; an explosion leaves the drawing."""
    if not len(first):
        return math.inf
    low = min(float(first.min()), *lowest[:1].tolist(), *lowest.tolist()) if len(lowest) else float(first.min())
    return float(first.max()) + 0.25 * max(float(first.max()) - low, 1e-3 * abs(float(first.max())))


def _ticks(rates: np.ndarray) -> dict[float, str]:
    """Place -> label: the powers of ten, every other one where there are many."""
    low, high = math.ceil(math.log10(rates[0]) - 1e-9), math.floor(math.log10(rates[-1]) + 1e-9)
    powers = range(low, high + 1, 1 if high - low <= 9 else 2)
    return {power - math.log10(rates[0]): f"{10.0**power:g}" for power in powers}
