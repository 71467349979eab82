"""`calando tune`: how the race stands while it goes on, and its answer."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli import completion
from calando.cli.dashes import arguments_after_dashes
from calando.cli.options import OPTIONS, Given, verb
from calando.cli.output import answer_console, others_on_stderr
from calando.errors import NotDrawn, said_by
from calando.language import _, joined, message, translated
from calando.verbs.study import write_page_of
from calando.verbs.tuned import write_tuning_report
from calando.verbs.tuning_progress import TuningProgress

if TYPE_CHECKING:
    from calando.study.tune import TuneStatus
    from calando.verbs.tuned import Tuned

__all__ = ["print_tuned", "tune"]


@verb(
    calando.tune,
    filled=("arguments", "command", "listen", "page"),
    strategy=Given(
        str | None,
        typer.Argument(
            metavar="STRATEGY",
            help='a method, adamw or "sgd(momentum=0.9)": rate and schedule are ours to choose; or a strategy with '
            "its schedule: the rate alone; else SGD with momentum",
            autocompletion=completion.strategies,
        ),
    ),
    epochs=Given(float | None, typer.Option(help="length of one run in passes over the data")),
    steps=Given(
        int | None,
        typer.Option(help="length of one run in updates, instead of --epochs; 100 or more, or no rate is raced"),
    ),
    folder=Given(
        Path | None,
        typer.Option(
            "--study", help="folder; else calando-studies/tune-NAME-DIGEST", autocompletion=completion.studies
        ),
    ),
    executor=Given(str | None, OPTIONS["executor"].declared),
    workers=Given(int, typer.Option(help="worker processes, on which arms run side by side")),
)
def tune(call: Callable[..., Tuned], page: bool = True, as_json: bool = False) -> None:
    """Settle the learning rate and train the network at it.

    At the cost of one and a half runs, everything included: arms at a few rates start from the same weights on the same
    batches, losers are dropped early, and the winner goes on to the end.
    Stopped by Ctrl-C or anything else, the same command goes on where it stood.
    With a larger --budget the same folder goes on from its answer.
    Your own script is run as a whole at each rate, at least three times.

    \b
    calando tune digits
    calando tune cifar10 --model resnet8 --epochs 16
    calando tune my_project.tasks:workload adamw --budget 3 --also weight_decay,warmup
    calando tune digits "sgd(momentum=0.9) | cosine(1, 0)" --seed 3 --study tuned --json
    calando tune train.py --budget 3 -- --data photos
    """
    command = shlex.join(["calando", *sys.argv[1:]])
    with others_on_stderr(), TuningProgress(_ignore if as_json else None) as progress:
        try:
            tuned = call(arguments=arguments_after_dashes(), command=command, listen=progress, page=False)
        except KeyboardInterrupt:
            if progress.folder is None:
                raise
            stopped = True
        else:
            stopped = False
    if stopped:
        print(
            _("stopped; nothing is lost: the same command goes on ({folder})", folder=progress.folder), file=sys.stderr
        )
        raise typer.Exit(130)
    picture = _drawn(tuned) if page else None
    print_tuned(tuned, as_json=as_json, picture=picture, command=command)
    if page:
        # The answer first: whatever becomes of the page, it stands.
        if sys.stdout is not None:
            sys.stdout.flush()
        path, lacking = write_page_of(tuned.folder, partial(write_tuning_report, alone=True))
        if lacking and picture is not None:
            print(f"calando: {translated(lacking)}", file=sys.stderr)
        if path is not None and not as_json:
            typer.echo(_("report: {path}", path=path))
    if tuned.result.settled.begun is None or tuned.result.settled.died:
        raise typer.Exit(1)


def _drawn(tuned: Tuned) -> str | None:
    """The path of its figure; None where none can be drawn, which is reported."""
    try:
        return str(calando.draw(tuned, tuned.folder / "race.png"))
    except NotDrawn as error:
        print(f"calando: {translated(said_by(error))}", file=sys.stderr)
        return None


def _ignore(status: TuneStatus) -> None:
    """Nothing is shown."""


def print_tuned(tuned: Tuned, *, as_json: bool, picture: str | None = None, command: str = "") -> None:
    """Print an answer: the verdict, the arms, what was charged, and how to use the strategy."""
    if as_json:
        typer.echo(json.dumps({**tuned.to_json(), "figure": picture}, indent=2))
        return
    from rich.table import Table

    from calando.report.use import forms_of

    console, spec = answer_console(), tuned.result.spec
    console.print(str(tuned), markup=False, highlight=False, soft_wrap=True)
    for note in (*tuned.result.settled.notes, *tuned.remarks):
        console.print(translated(note), markup=False, highlight=False, soft_wrap=True)
    arms = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    arms.add_column(_("rate"), justify="right")
    arms.add_column(_("updates"), justify="right")
    arms.add_column(_("ended"))
    arms.add_column(_("why"))
    for row in tuned.table():
        arms.add_row(f"{row['rate']:.3g}", str(row["updates"]), _(row["ended"]), translated(row["why"]))
    console.print()
    console.print(arms)
    if not spec.whole:
        console.print(
            _(
                "behind, ahead: by training loss on the same batches; chance: the loss of a network that ignores its "
                "inputs"
            ),
            style="dim",
            highlight=False,
            soft_wrap=True,
        )
    console.print()
    spent = [message("{name} {cost:.0f}", name=message(name), cost=cost) for name, cost in tuned.ledger.items() if cost]
    console.print(
        _(
            "charged, in updates: {spent}; sum {updates:.0f} = {runs:.2f} runs; the code's own evaluations are "
            "not counted"
            if spec.whole
            else "charged, in updates: {spent}; sum {updates:.0f} = {runs:.2f} runs",
            spent=joined("{one}, {other}", spent),
            updates=tuned.updates,
            runs=tuned.runs,
        ),
        highlight=False,
        soft_wrap=True,
    )
    run = tuned.run
    for form in forms_of(run.strategy, run.workload, steps=run.steps, per_epoch=spec.steps_per_epoch, command=command):
        console.print(f"\n[bold]{_(form.title)}[/bold]")
        console.print(
            "\n".join(f"  {translated(line) if not form.runs else line}" for line in form.lines),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    console.print()
    if tuned.weights is not None:
        console.print(_("weights: {path}", path=tuned.weights), markup=False, highlight=False, soft_wrap=True)
    if picture is not None:
        console.print(_("figure: {path}", path=picture), markup=False, highlight=False, soft_wrap=True)
