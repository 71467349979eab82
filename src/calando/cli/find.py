"""`calando find`: a learning-rate range test of a workload, drawn, judged and explained."""

from __future__ import annotations

import json
import math
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calando.cli.options import (
    Accumulate,
    AsJson,
    Augment,
    BatchSize,
    ClipNorm,
    DataDir,
    Device,
    LabelSmoothing,
    Model,
    Precision,
    TrainLimit,
    WorkloadName,
    workload_spec,
)
from calando.cli.output import others_on_stderr
from calando.cli.torch_first import import_torch
from calando.host import count_processors

if TYPE_CHECKING:
    import numpy as np

    from calando.analysis.suggest import RangeCurves, Rule, Suggestion
    from calando.range_test import Found, Progress

__all__ = ["find", "measuring"]

TEXT_WIDTH = 100


def find(
    workload: WorkloadName,
    model: Model = None,
    strategy: Annotated[
        str, typer.Option(help="whose method is tested: a preset's name, a .toml file or pipe text")
    ] = "cosine",
    repeats: Annotated[int, typer.Option(help="sweeps from the same weights over different batches")] = 3,
    steps: Annotated[int, typer.Option(help="updates of a sweep")] = 100,
    low: Annotated[float | None, typer.Option(help="lowest rate; else 1e-6, or lower where that is too high")] = None,
    high: Annotated[float | None, typer.Option(help="highest rate; else 10, or higher where nothing diverges")] = None,
    hold: Annotated[
        int | None, typer.Option(help="updates at the rate, to see the network live; else as many as --steps; 0: none")
    ] = None,
    seed: Annotated[int, typer.Option(help="of initial weights, data order and augmentation")] = 0,
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
    output: Annotated[Path | None, typer.Option("--output", "-o", help="write .png, .svg, .html or .json")] = None,
    as_json: AsJson = False,
) -> None:
    """Find a learning rate, or say why there is none.

    The rate rises from update to update until the loss is lost, a few times over; nothing else is trained. Schedules
    and the strategy's own rate do not matter.

    \b
    calando find digits
    calando find cifar10 --model resnet8 --strategy adamw -o range.png
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
    from calando.cli.notes import say_notes
    from calando.range_test import Asked, find_for_run
    from calando.strategy import read_strategy
    from calando.study.ask import ask_run
    from calando.study.limits import Budget, Machine

    wanted = Asked(repeats=repeats, steps=steps, low=low, high=high, hold=hold)
    machine = Machine(
        device=device,
        precision=precision,
        threads=count_processors() if threads is None else threads,
    )
    if output is not None:
        from calando.report.render import check_suffix

        check_suffix(output)
    plain = read_strategy(strategy).without_horizon()
    with others_on_stderr():
        spec, loaded = ask_run(asked, plain, budget=Budget(steps=steps), machine=machine, seed=seed, data_dir=data)
    say_notes(loaded, quiet=as_json)
    with others_on_stderr(), measuring(quiet=as_json) as progress:
        found = find_for_run(spec, loaded, asked=wanted, progress=progress)
    if as_json:
        facts = {"workload": spec.workload.title, "lane": spec.lane.model_dump(), **json.loads(found.to_json())}
        typer.echo(json.dumps(facts))
    else:
        typer.echo(f"{spec.strategy.method} on {spec.workload.title}: {spec.lane.text}")
        _present(found)
    if output is not None:
        from calando.report import range_figure, save

        # After the answer, which stands whatever becomes of the picture.
        sys.stdout.flush()
        title = f"Range test of {spec.strategy.method} on {spec.workload.title}, {spec.workload.model}"
        save(range_figure(found.curves, found.suggestion, title=title), output)
        if not as_json:
            typer.echo(output)


@contextmanager
def measuring(*, quiet: bool) -> Iterator[Progress | None]:
    """A bar on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with Bar(console=console, transient=True) as bar:
        task = bar.add_task("range test", total=None)
        yield lambda made, expected: bar.update(task, completed=made, total=expected)


def _present(found: Found) -> None:
    """The drawing, what is recommended and why, and what it cost."""
    curves, suggestion = found.curves, found.suggestion
    typer.echo(drawing(curves, suggestion))
    typer.echo("")
    typer.echo(f"for a decayed schedule, peak rate  {_told(suggestion.decayed)}")
    typer.echo(f"for a constant rate                {_told(suggestion.constant)}")
    for name, rule in suggestion.rules.items():
        typer.echo(f"{f'  {name}':35}{_told(rule)}")
    if suggestion.reliable:
        typer.echo(typer.style("reliable", fg="green", bold=True))
    else:
        typer.echo(typer.style("not reliable", fg="red", bold=True))
        for reason in suggestion.reasons:
            typer.echo(textwrap.fill(reason, TEXT_WIDTH, initial_indent="  - ", subsequent_indent="    "))
    typer.echo(textwrap.fill(suggestion.explanation, TEXT_WIDTH))
    if found.held is not None:
        typer.echo(str(found.held))
    sweeps = len(curves.losses)
    typer.echo(f"{found.updates} updates in all, {sweeps} sweep{'s' * (sweeps > 1)}")


def _told(rule: Rule) -> str:
    return "none" if rule.rate is None else f"{rule.rate:<8.3g} [{rule.low:.3g}, {rule.high:.3g}]"


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
    lines = {"median of the repeats": (x[known].tolist(), np.minimum(smoothed.median[known], ceiling))}
    if len(curves.losses) > 1:
        lines["lowest repeat"] = (x[known].tolist(), np.minimum(smoothed.low[known], ceiling))
        lines["highest repeat"] = (x[known].tolist(), np.minimum(smoothed.high[known], ceiling))
    marks = {"for a constant rate": found.constant.rate, "for a decayed schedule": found.decayed.rate}
    marks |= {name: rule.rate for name, rule in found.rules.items() if rule.rate != found.decayed.rate}
    marks["half is lost"] = found.diverged_at
    return draw(
        {label: line for label, line in lines.items() if len(line[0])} or {"no loss": ([0.0, x[-1]], [0.0, 0.0])},
        y_label="training loss",
        axis=Axis(
            title="learning rate",
            ticks=_ticks(curves.rates),
            marks={
                f"{name}: {rate:.3g}": math.log10(rate / curves.rates[0])
                for name, rate in marks.items()
                if rate is not None and curves.rates[0] <= rate <= curves.rates[-1]
            },
            points={"single losses": (places[shown].tolist(), curves.losses[shown])} if shown.any() else {},
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
