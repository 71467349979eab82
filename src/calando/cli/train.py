"""`calando train`: one run of one strategy, its rate and loss drawn live, its weights written."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calando.cli.found import settle_rate
from calando.cli.notes import say_notes
from calando.cli.options import (
    Accumulate,
    AsJson,
    Augment,
    BatchSize,
    ClipNorm,
    DataDir,
    Device,
    Epochs,
    LabelSmoothing,
    Model,
    Precision,
    Rate,
    Steps,
    TrainLimit,
    WorkloadName,
    file_name,
    rate_asked,
    workload_spec,
)
from calando.cli.output import others_on_stderr
from calando.cli.torch_first import import_torch
from calando.host import count_processors

if TYPE_CHECKING:
    from rich.console import Group

    from calando.records import Centre, RangeRecord, RunRecord, RunSpec, TestScore
    from calando.study.executors.base import Outcome
    from calando.tasks.workload import Workload

__all__ = ["train"]

PLAIN_SECONDS = 10.0


def train(
    workload: WorkloadName,
    strategy: Annotated[str, typer.Argument(metavar="STRATEGY", help="a preset's name, a .toml file or pipe text")],
    out: Annotated[Path | None, typer.Option(help="folder for the run; else calando-runs/STRATEGY-DIGEST")] = None,
    model: Model = None,
    epochs: Epochs = None,
    steps: Steps = None,
    seed: Annotated[int, typer.Option(help="of initial weights, data order and augmentation")] = 0,
    lr: Rate = None,
    batch_size: BatchSize = None,
    augment: Augment = None,
    label_smoothing: LabelSmoothing = None,
    clip_norm: ClipNorm = None,
    accumulate: Accumulate = 1,
    train_limit: TrainLimit = None,
    data: DataDir = None,
    threads: Annotated[int | None, typer.Option(help="else one a core")] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Train once, drawing rate and loss live.

    Stopped by Ctrl-C or anything else, the same command goes on where it stood.
    A rate left open is the method's usual one; --lr find makes a range test first; `calando compare` chooses best.

    \b
    calando train digits "sgd(lr=0.1, momentum=0.9) | cosine(1, 0)" --epochs 20
    calando train digits cosine --lr find
    """
    # Before the imports that need torch: a name mistyped is said at once.
    asked = workload_spec(
        workload,
        model=model,
        batch_size=batch_size,
        augment=augment,
        label_smoothing=label_smoothing,
        clip_norm=clip_norm,
        accumulate=accumulate,
        train_limit=train_limit,
    )
    import_torch()
    from calando.records.store import sole_coordinator
    from calando.study.ask import ask_run
    from calando.study.limits import Budget, Machine

    cores = count_processors()
    machine = Machine(device=device, precision=precision, threads=cores if threads is None else threads)
    rate = rate_asked(lr)
    with others_on_stderr():
        spec, loaded = ask_run(
            asked,
            strategy,
            budget=Budget(epochs=epochs, steps=steps),
            machine=machine,
            seed=seed,
            lr=rate,
            data_dir=data,
        )
    found = "-find" * (rate == "find")
    folder = out or Path("calando-runs") / f"{file_name(spec.strategy.name)}{found}-{spec.digest()[:8]}"
    with sole_coordinator(folder):
        centre = None
        if found:
            with others_on_stderr():
                spec, centre = settle_rate(spec, loaded, folder, quiet=as_json)
            if not as_json:
                typer.echo(_told(centre))
        with others_on_stderr():
            _refuse_another(folder, spec, loaded, quiet=as_json)
        say_notes(loaded, quiet=as_json)
        if not as_json:
            typer.echo(f"{spec.strategy.name} on {spec.workload.title}: {spec.lane.text}", err=True)
        with others_on_stderr():
            record, test = _run(spec, loaded, folder, quiet=as_json)
        _present(folder, record, test, centre, as_json=as_json)


def _refuse_another(folder: Path, spec: RunSpec, workload: Workload, *, quiet: bool) -> None:
    """Say in the folder what is run in it: spec, data, network and loss; or see that they are the same."""
    from calando.errors import CorruptFile, UsageError
    from calando.records.files import write_atomically
    from calando.records.plain_file import read_plain
    from calando.training.identity import identify, recognised

    path, data = folder / "spec.json", workload.fingerprint
    if not path.exists():
        said = {"spec": spec.model_dump(mode="json"), "data": data, "identity": str(identify(workload))}
        write_atomically(path, json.dumps(said, indent=2).encode())
        return
    try:
        said = json.loads(read_plain(path, most=2**20))
        theirs, trained_on = type(spec).model_validate(said["spec"]), said["data"]
        kept = str(said.get("identity", ""))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(f"{path} is damaged; remove the folder or name another --out") from error
    if theirs.digest() != spec.digest():
        raise UsageError(f"{str(folder)!r} holds a run of another spec ({theirs.strategy.text}); name another --out")
    if trained_on != data:
        raise UsageError(f"the data has changed since the run in {str(folder)!r} was started; name another --out")
    what = f"the run in {str(folder)!r}"
    identity, notes = recognised(kept, workload, what=what, remedy="name another --out")
    if identity != kept:
        write_atomically(path, json.dumps({**said, "identity": identity}, indent=2).encode())
    for note in () if quiet else notes:
        print(note, file=sys.stderr)


def _run(spec: RunSpec, workload: Workload, folder: Path, *, quiet: bool) -> tuple[RunRecord, TestScore]:
    from calando.records import RunRecord, TestScore
    from calando.study.executors.base import Failed, Finished, Lease
    from calando.study.jobs import Look, Train
    from calando.study.work import failure, perform

    def result(outcome: Outcome) -> RunRecord | RangeRecord | TestScore:
        if isinstance(outcome, Failed):
            raise failure(outcome)
        if not isinstance(outcome, Finished):
            print(f"stopped; nothing is lost: the same command goes on ({folder})", file=sys.stderr)
            raise typer.Exit(130)
        return outcome.result

    with _Drawing(spec, quiet=quiet) as drawing:
        record = result(perform(Lease(0, Train(spec)), workload, folder, report=drawing.report, left=lambda _: None))
    assert isinstance(record, RunRecord)
    look = Look(spec, diverged=record.outcome == "diverged")
    test = result(perform(Lease(1, look), workload, folder, report=lambda *_: False, left=lambda _: None))
    assert isinstance(test, TestScore)
    return record, test


class _Drawing:
    """Rate and loss in the terminal while training; a line now and then where there is none.

    Ctrl-C is kept back to the next report, so that the run is put away between two updates.
    """

    def __init__(self, spec: RunSpec, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self.spec, self.quiet = spec, quiet
        self.console = Console(stderr=True)
        live = self.console.is_terminal and not quiet
        self.live = Live(console=self.console, refresh_per_second=4, transient=True) if live else None
        self.steps: list[int] = []
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.began = self.told = time.monotonic()
        self.interrupted = False

    def __enter__(self) -> _Drawing:
        import signal

        self._before = signal.signal(signal.SIGINT, self._interrupt)
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        import signal

        signal.signal(signal.SIGINT, self._before)
        if self.live is not None:
            self.live.stop()

    def _interrupt(self, *_: object) -> None:
        if self.interrupted:
            # Asked twice: the next report is too far off (a slow step, a long evaluation).
            raise KeyboardInterrupt
        self.interrupted = True

    def report(self, step: int, lr: float, loss: float) -> bool:
        """Take one report; True once Ctrl-C was pressed."""
        self.steps.append(step)
        self.rates.append(lr)
        self.losses.append(loss)
        if self.live is not None:
            self.live.update(self._picture())
        elif not self.quiet and time.monotonic() - self.told > PLAIN_SECONDS:
            self.told = time.monotonic()
            print(self._line(), file=sys.stderr, flush=True)
        return self.interrupted

    def _line(self) -> str:
        made = self.steps[-1] - self.steps[0]
        left = (self.spec.steps - self.steps[-1]) * (time.monotonic() - self.began) / made if made else None
        at = f"step {self.steps[-1]}/{self.spec.steps}"
        told = "unknown yet" if left is None else f"{left:.0f} s"
        return f"{at}  rate {self.rates[-1]:.3g}  loss {self.losses[-1]:.3f}  ETA {told}"

    def _picture(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        from calando.cli.draw import draw

        def text(label: str, values: list[float]) -> Text:
            return Text.from_ansi(draw({label: (self.steps, values)}, height=10, y_label=label))

        return Group(
            Text(f"{self.spec.strategy.text}"), text("rate", self.rates), text("loss", self.losses), Text(self._line())
        )


def _told(centre: Centre) -> str:
    return (
        f"rate {centre.lr:.3g} [{centre.low:.3g}, {centre.high:.3g}], found by a range test: "
        f"{centre.updates} updates, {centre.seconds:.0f} s"
    )


def _present(folder: Path, record: RunRecord, test: TestScore, centre: Centre | None, *, as_json: bool) -> None:
    from calando.errors import NotDrawn
    from calando.study.shelf import run_folder
    from calando.training.checkpoint import export_weights

    weights, picture = folder / "weights.safetensors", folder / "training.png"
    export_weights(run_folder(folder, record.spec.digest()), weights)
    drawn = True
    try:
        from calando.report import save, training_figure

        save(training_figure(record), picture)
    except NotDrawn as error:
        drawn = False
        print(f"calando: {error}", file=sys.stderr)
    if as_json:
        facts = {
            "strategy": record.spec.strategy.text,
            "workload": record.spec.workload.title,
            "lane": record.spec.lane.model_dump(),
            "outcome": record.outcome,
            "at_chance": record.at_chance,
            "range_test": None if centre is None else centre.model_dump(mode="json"),
            "steps_done": record.steps_done,
            "validation_score": record.score,
            "test_score": test.score,
            "test_n": test.n,
            "seconds": record.seconds,
            "events": [f"step {event.step}: {event.text}" for event in record.events],
            "weights": str(weights),
            "figure": str(picture) if drawn else None,
        }
        typer.echo(json.dumps(facts, indent=2))
        return
    for event in record.events:
        typer.echo(f"step {event.step}: {event.text}")
    # A share of 95 % looks like success where 95 % of the samples are of one class.
    chance = " (chance)" if record.at_chance else ""
    typer.echo(
        f"{record.outcome} after {record.steps_done} of {record.spec.steps} steps in {record.seconds:.0f} s: "
        f"validation {record.score:.2%}{chance}, test {test.score:.2%} ({test.n} samples, 1 seed)"
    )
    typer.echo(f"weights: {weights}" + f"\nfigure: {picture}" * drawn)
