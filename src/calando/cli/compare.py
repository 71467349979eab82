"""`calando compare`: which of these strategies is best on this workload?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

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
    Lengths,
    Model,
    Precision,
    Rate,
    StepLengths,
    Threads,
    TrainLimit,
    WorkloadName,
    epochs_asked,
    file_name,
    rate_asked,
    steps_asked,
    workload_spec,
)
from calando.cli.output import others_on_stderr
from calando.cli.torch_first import import_torch
from calando.errors import UsageError, plain

__all__ = ["compare"]


def compare(
    workload: WorkloadName,
    strategies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STRATEGY",
            help="preset names, .toml files or pipe texts; none: the default set (see `calando strategies`)",
        ),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(
            metavar="FAMILY",
            help="instead of strategies: the presets adaptive, decayed, rate-free or all, with fixed and cosine",
        ),
    ] = None,
    model: Model = None,
    epochs: Lengths = None,
    steps: StepLengths = None,
    seeds: Annotated[int, typer.Option(help="paired runs of each strategy at its rate")] = 5,
    rates: Annotated[int, typer.Option(help="rate trials of each strategy")] = 5,
    span: Annotated[float | None, typer.Option(help="highest over lowest rate of the trial grid")] = None,
    beyond: Annotated[
        int, typer.Option(help="rates that a grid may go on by, past the end where its best lies; else: not tuned out")
    ] = 4,
    lr: Rate = None,
    target: Annotated[float | None, typer.Option(help="validation score whose first reaching is counted")] = None,
    batch_size: BatchSize = None,
    augment: Augment = None,
    label_smoothing: LabelSmoothing = None,
    clip_norm: ClipNorm = None,
    accumulate: Accumulate = 1,
    train_limit: TrainLimit = None,
    data: DataDir = None,
    study: Annotated[Path | None, typer.Option(help="study folder; else calando-studies/NAME-DIGEST")] = None,
    keep: Annotated[str, typer.Option(metavar="SIZE", help="what checkpoints to start from may take")] = "5GB",
    verify_sharing: Annotated[
        bool, typer.Option("--verify-sharing", help="first train whole runs alone and from forks: the same bits?")
    ] = False,
    no_sharing: Annotated[bool, typer.Option("--no-sharing", help="train every run alone")] = False,
    executor: Annotated[str, typer.Option(help="process; ray for many machines; inline for debugging")] = "process",
    address: Annotated[str | None, typer.Option(help="of the Ray cluster; else Ray starts on this machine")] = None,
    workers: Annotated[int | None, typer.Option(help="worker processes; else one a core")] = None,
    threads: Threads = 1,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
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
    calando compare digits "sgd(lr=0.1, momentum=0.9) | linear(0, 1, over='5%') >> cosine(1, 0)" cosine
    """
    from calando.strategy.presets import choose_strategies

    # Before the imports that need torch: a name mistyped is said at once.
    chosen = choose_strategies(strategies or [], family=family)
    in_epochs, in_steps = epochs_asked(epochs), steps_asked(steps)
    spec = workload_spec(
        workload,
        model=model,
        batch_size=batch_size,
        augment=augment,
        label_smoothing=label_smoothing,
        clip_norm=clip_norm,
        accumulate=accumulate,
        train_limit=train_limit,
    )
    if executor == "process":
        from calando.study.executors.start import start_early

        start_early()
    import_torch()
    from calando.cli.live import following
    from calando.study.ask import ask_study
    from calando.study.coordinator import conduct, executor_named
    from calando.study.limits import Budget, Machine

    if verify_sharing and no_sharing:
        raise UsageError("--verify-sharing and --no-sharing contradict each other; give one")
    kind = executor_named(executor)
    machine = Machine(device=device, precision=precision, threads=threads, workers=workers)
    with others_on_stderr():
        asked = ask_study(
            spec,
            chosen,
            budget=Budget(epochs=in_epochs, steps=in_steps),
            machine=machine,
            seeds=seeds,
            rates=rates,
            span=span,
            beyond=beyond,
            lr=rate_asked(lr),
            target=target,
            data_dir=data,
        )
    crew = machine.count_workers(asked.study.lane.device)
    folder = study or Path("calando-studies") / f"{file_name(workload)}-{asked.study.digest()[:8]}"
    try:
        with others_on_stderr(), following(asked.study, folder, quiet=as_json) as listen:
            conduct(
                folder,
                asked.study,
                asked.workload,
                data_dir=data,
                given=asked.given,
                executor=kind,
                address=address,
                keep=keep,
                sharing="none" if no_sharing else "verified" if verify_sharing else "checked",
                workers=crew,
                command=plain(shlex.join(["calando", *sys.argv[1:]])),
                listen=listen,
            )
    except KeyboardInterrupt:
        print(f"stopped; nothing is lost: the same command goes on ({folder})", file=sys.stderr)
        raise typer.Exit(130) from None
    from calando.cli.report import present

    present(folder, as_json=as_json)
