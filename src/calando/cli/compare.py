"""`calando compare`: the live display of a study, and its answer.

The display shows runs done, running and queued; each worker's step, rate and loss; the estimated time of arrival.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import calando
from calando.cli.dashes import arguments_after_dashes
from calando.cli.options import Given, numbers_of, verb
from calando.cli.output import Pace, others_on_stderr
from calando.cli.study import print_study
from calando.errors import NotDrawn, UsageError, plain

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from calando.analysis import StudySummary
    from calando.study.jobs import JobProgress
    from calando.study.scheduler import Status

    Listen = Callable[[Status], None]

__all__ = ["compare", "following"]

LENGTHS = {
    "epochs": Given(
        str | None,
        typer.Option(
            metavar="N[,N…]", help="length of runs in passes over the data; of several, each strategy at each"
        ),
        partial(numbers_of, "--epochs", float),
    ),
    "steps": Given(
        str | None,
        typer.Option(metavar="N[,N…]", help="length of runs in updates, instead of --epochs"),
        partial(numbers_of, "--steps", int),
    ),
}


@verb(
    calando.compare,
    filled=("sharing", "arguments", "command", "listen"),
    folder=Given(Path | None, typer.Option("--study", help="study folder; else calando-studies/NAME-DIGEST")),
    threads=Given(int, typer.Option(help="threads of each worker")),
    **LENGTHS,
)
def compare(
    call: Callable[..., StudySummary], verify_sharing: bool = False, no_sharing: bool = False, as_json: bool = False
) -> None:
    """Compare strategies and say which one to use.

    Fairly: equal rate trials, paired seeds, calibrated intervals, every cost charged.
    Stopped by Ctrl-C or anything else, the same command goes on where it stood.
    Pasts that runs share are trained once, to the same bits as if each run were trained alone.
    Given the same --study, more strategies, lengths or seeds are added to what is there.

    \b
    calando compare digits
    calando compare digits fixed cosine adamw --lr find --rates 3 --span 10
    calando compare digits --family rate-free
    calando compare digits fixed cosine --epochs 4,8,20 --study lengths
    calando compare cifar10 fixed step cosine adamw --model resnet8 --epochs 5 --data ../data
    calando compare train.py fixed cosine --seeds 3 -- --data photos
    calando compare "torchrun --nproc-per-node 2 train.py" fixed cosine
    calando compare my_module:train fixed cosine --goal min --unit RMSE
    calando compare digits "sgd(lr=0.1, momentum=0.9) | linear(0, 1, over='5%') >> cosine(1, 0)" cosine
    """
    if verify_sharing and no_sharing:
        raise UsageError("--verify-sharing and --no-sharing contradict each other; give one")
    folder: Path | None = None
    with others_on_stderr(), following(quiet=as_json) as follow:

        def listen(status: Status) -> None:
            nonlocal folder
            folder = status.folder
            follow(status)

        try:
            answer = call(
                arguments=arguments_after_dashes(),
                sharing="none" if no_sharing else "verified" if verify_sharing else "checked",
                command=plain(shlex.join(["calando", *sys.argv[1:]])),
                listen=listen,
            )
        except KeyboardInterrupt:
            if folder is None:
                raise
            stopped = True
        else:
            stopped = False
    if stopped:
        print(f"stopped; nothing is lost: the same command goes on ({folder})", file=sys.stderr)
        raise typer.Exit(130)
    assert answer.folder is not None
    print_study(answer, as_json=as_json)
    # The answer first: whatever becomes of the pictures, it stands.
    if sys.stdout is not None:
        sys.stdout.flush()
    try:
        path = calando.write_report(answer.folder)
    except KeyboardInterrupt:
        print(f"stopped before the report was written; `calando report {answer.folder}` writes it", file=sys.stderr)
        raise typer.Exit(130) from None
    except (NotDrawn, MemoryError) as error:
        again = f"`calando report {answer.folder}` tries again"
        page = error.page if isinstance(error, NotDrawn) else None
        lacking = "no report was" if page is None else "PNG and SVG were not"
        print(f"calando: {lacking} written ({str(error) or 'out of memory'}); {again}", file=sys.stderr)
        if page is None:
            return
        path = page
    if not as_json:
        typer.echo(f"report: {path}")


@contextmanager
def following(*, quiet: bool) -> Iterator[Listen]:
    """Yield a listener that draws on standard error: live on a terminal, a line now and then elsewhere.

    The heading comes with the first status: by then nothing about the folder can be wrong any more, so that an
    error stands alone.
    """
    if quiet:
        yield lambda status: None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)
    live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
    clock, pace, printed = _Clock(), Pace(), 0

    def listen(status: Status) -> None:
        nonlocal printed
        if live is not None:
            live.start()
        if not printed:
            for line in _heading(status):
                console.print(line)
        for note in status.notes[max(0, printed - 1) :]:
            console.print(Text(plain(note), style="yellow"))
        printed = 1 + len(status.notes)
        if live is not None:
            live.update(_picture(status, clock))
        elif pace.is_due():
            print(_counts(status, clock), file=sys.stderr, flush=True)

    try:
        yield listen
    finally:
        if live is not None:
            live.stop()


def _heading(status: Status) -> tuple[Text, ...]:
    from rich.text import Text

    study, workload, count = status.study, status.study.workload, len(status.study.strategies)
    asked = (
        f"{workload.network}, {', '.join(workload.facts)}, {' / '.join(map(str, study.lengths))} steps a run, "
        f"{count} {'strategy' if count == 1 else 'strategies'}, {study.seeds} paired seed{'s' * (study.seeds > 1)}"
    )
    names = ", ".join(strategy.name for strategy in study.strategies)
    return (
        Text.assemble((workload.title, "bold"), asked),
        Text(f"on {study.lane.text}", style="dim"),
        Text(names, style="dim"),
        Text(f"study folder: {status.folder}", style="dim"),
    )


class _Clock:
    """Estimates the time left from the updates made since the first one was reported: workers take a while to start."""

    def __init__(self) -> None:
        self.began: float | None = None
        self.left = 0

    def remaining(self, status: Status) -> str:
        now = time.monotonic()
        if self.began is None:
            if not status.running:
                return "unknown yet"
            self.began, self.left = now, status.steps_left
        made = self.left - status.steps_left
        if made <= 0 or now - self.began < 1:
            return "unknown yet"
        seconds = round(status.steps_left * (now - self.began) / made)
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def _counts(status: Status, clock: _Clock) -> str:
    if status.finds:
        return f"range tests: {status.finds} to go; then {status.expected} run{'s' * (status.expected > 1)}"
    if status.looks:
        return f"reading the test part with the final weights: {status.looks} to go"
    running = len(status.running)
    if not running and not status.done:
        return f"starting the workers; {status.expected} run{'s' * (status.expected > 1)} to make"
    later = status.expected - status.done - running - status.queued
    rest = f", {later} to follow" if later > 0 else ""
    return (
        f"{status.done} of {status.expected} runs done, {running} running, {status.queued} queued{rest}, "
        f"ETA {clock.remaining(status)}"
    )


def _picture(status: Status, clock: _Clock) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from calando.study.limits import expected_updates

    total = max(1, expected_updates(status.study))
    workers = Table.grid(padding=(0, 2))
    for _ in range(5):
        workers.add_column(no_wrap=True)
    for slot, progress in sorted(status.running.items()):
        workers.add_row(*_row(slot, progress))
    # In a table, since a bar on its own ends no line and what follows it would be cut off.
    picture = Table.grid(expand=True)
    picture.add_row(ProgressBar(total=total, completed=max(0, total - status.steps_left)))
    picture.add_row(Text(_counts(status, clock)))
    picture.add_row(workers)
    return picture


def _row(slot: int, progress: JobProgress) -> tuple[str, str, str, str, str]:
    from calando.study.jobs import Find, TestLook

    spec = progress.job.spec
    if isinstance(progress.job, Find):
        return f"worker {slot + 1}", f"range test of {spec.strategy.method}", f"update {progress.step}", "", ""
    what = (
        "test look" if isinstance(progress.job, TestLook) else f"{spec.strategy.name} lr={spec.lr:g} seed {spec.seed}"
    )
    return (
        f"worker {slot + 1}",
        what,
        f"step {progress.step}/{spec.steps}",
        f"rate {progress.lr:.3g}",
        f"loss {progress.loss:.3f}",
    )
