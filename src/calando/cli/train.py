"""`calando train`: rate and loss drawn live, and how the run ended."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli import completion
from calando.cli.find import RangeBar
from calando.cli.options import Given, verb
from calando.cli.output import others_on_stderr, print_notes
from calando.errors import NotDrawn, said_by
from calando.language import _, message, translated
from calando.standing import time_left
from calando.stored_words import recognized
from calando.verbs.progress import Pace, is_off
from calando.verbs.stored_spec import is_stored

if TYPE_CHECKING:
    from rich.console import Group

    from calando.study.listening import RunStatus
    from calando.verbs.train import Trained

__all__ = ["train"]


@verb(
    calando.train,
    workload=Given(
        str,
        typer.Argument(
            metavar="WORKLOAD",
            help="a task as for `calando compare`, or the spec.json of a run",
            autocompletion=completion.workloads,
        ),
    ),
    strategy=Given(
        str | None,
        typer.Argument(
            metavar="[STRATEGY]",
            help="a preset's name, a .toml file or pipe text; not with a spec.json",
            autocompletion=completion.strategies,
        ),
    ),
    folder=Given(Path | None, typer.Option("--out", help="folder for the run; else calando-runs/STRATEGY-DIGEST")),
)
def train(call: Callable[..., Trained], as_json: bool = False) -> None:
    """Train once, drawing rate and loss live.

    Stopped by Ctrl-C or anything else, the same command goes on where it stood.
    A run that diverged ends with status 1.
    A rate left open is the method's usual one; --lr find makes a range test first; `calando compare` chooses best.

    \b
    calando train digits "sgd(lr=0.1, momentum=0.9) | cosine(1, 0)" --epochs 20
    calando train digits cosine --lr find
    calando train appendix/spec.json
    """
    task, strategy = getattr(call, "args", (None, ""))
    if strategy is None and not is_stored(task):
        raise typer.BadParameter(
            message("a task needs a strategy; only a spec.json says its own"), param_hint="STRATEGY"
        )
    drawing = _Drawing(quiet=as_json)
    try:
        with others_on_stderr(), drawing:
            trained = call(listen=drawing)
    except KeyboardInterrupt:
        if drawing.begun is None:
            raise
        said = _("stopped; nothing is lost: the same command goes on ({folder})", folder=drawing.begun.folder)
        print(said, file=sys.stderr)
        raise typer.Exit(130) from None
    try:
        picture = str(calando.draw(trained, trained.folder / "training.png"))
    except NotDrawn as error:
        picture = None
        print(f"calando: {translated(said_by(error))}", file=sys.stderr)
    if as_json:
        typer.echo(json.dumps({**trained.to_json(), "figure": picture}, indent=2))
    else:
        _print(trained, picture)
    if trained.record.outcome == "diverged":
        said = _("the run diverged; try a lower rate or a warmup, or `calando find`")
        print(f"calando: {said}", file=sys.stderr)
        raise typer.Exit(1)


def _print(trained: Trained, picture: str | None) -> None:
    from calando.analysis.target import idle_controllers

    if (found := trained.centre) is not None:
        typer.echo(
            _(
                "rate {rate:.3g} [{low:.3g}, {high:.3g}], found by a range test: {updates} updates, {seconds:.0f} s",
                rate=found.lr,
                low=found.low,
                high=found.high,
                updates=found.updates,
                seconds=found.seconds,
            )
        )
    for event in trained.record.events:
        typer.echo(_("step {step}: {text}", step=event.step, text=recognized(event.what)))
    if idle := idle_controllers(trained.record.spec.strategy, [trained.record]):
        typer.echo(translated(idle))
    typer.echo(trained)
    typer.echo(_("weights: {path}", path=trained.weights))
    if picture:
        typer.echo(_("figure: {path}", path=picture))


class _Drawing:
    """A listener that draws on standard error: live on a terminal, a line now and then elsewhere.

    A bar of the range test, where there is one; then the notes on the data and what is trained; then rate and loss.
    """

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self.quiet, self.console, self.bar = quiet, Console(stderr=True), RangeBar(quiet=quiet)
        self.still = quiet or is_off()  # heading and notes alone are shown where it is not quiet
        live = self.console.is_terminal and not self.still
        self.live = Live(console=self.console, refresh_per_second=4, transient=True) if live else None
        self.begun: RunStatus | None = None
        self.noted = 0  # notes that were printed
        self.steps: list[int] = []
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.since, self.pace = 0.0, Pace()

    def __enter__(self) -> _Drawing:
        return self

    def __exit__(self, *_error: object) -> None:
        self.bar.stop()
        if self.live is not None:
            self.live.stop()

    def __call__(self, status: RunStatus) -> None:
        """Take one report."""
        if self.begun is not None and not self.quiet and len(status.notes) > self.noted:
            print_notes(status.notes[self.noted :])
            self.noted = len(status.notes)
        if status.lr is not None and status.loss is not None:
            self._draw(status, status.lr, status.loss)
        elif status.step > 0:
            self.bar(status)
        else:
            self.bar.stop()
            self.begun = status
            self.since, self.pace = time.monotonic(), Pace(begun=True)
            if not self.quiet:
                print_notes(status.notes)
                self.noted = len(status.notes)
                run = status.run
                said = _(
                    "{what} on {title}: {machine}",
                    what=run.strategy.name,
                    title=run.workload.title,
                    machine=status.machine or run.lane.text,
                )
                print(said, file=sys.stderr)
            if self.live is not None:
                self.live.start()

    def _draw(self, status: RunStatus, lr: float, loss: float) -> None:
        if self.steps and status.step < self.steps[-1]:
            # A branch goes on from an earlier step: the pace is its own.
            self.steps, self.rates, self.losses, self.since = [], [], [], time.monotonic()
        self.steps.append(status.step)
        self.rates.append(lr)
        self.losses.append(loss)
        if self.live is not None:
            self.live.update(self._picture(status))
        elif not self.still and self.pace.is_due():
            print(self._line(status), file=sys.stderr, flush=True)

    def _line(self, status: RunStatus) -> str:
        made = self.steps[-1] - self.steps[0]
        left = (status.steps - self.steps[-1]) * (time.monotonic() - self.since) / made if made else None
        return _(
            "step {step}/{steps}  rate {rate:.3g}  loss {loss:.3f}  ETA {left}",
            step=self.steps[-1],
            steps=status.steps,
            rate=self.rates[-1],
            loss=self.losses[-1],
            left=time_left(left),
        )

    def _picture(self, status: RunStatus) -> Group:
        from rich.console import Group
        from rich.text import Text

        from calando.cli.draw import draw

        def text(label: str, values: list[float]) -> Text:
            return Text.from_ansi(draw({label: (self.steps, values)}, height=10, y_label=label))

        return Group(
            Text(status.run.strategy.text),
            text(_("rate"), self.rates),
            text(_("loss"), self.losses),
            Text(self._line(status)),
        )
