"""`calando.compare`: the whole of `calando compare` as a function."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from calando.study.executors.start import start_early

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calando.analysis import StudySummary
    from calando.records import StrategySpec
    from calando.study.conductor import Sharing, Status
    from calando.tasks.workload import Workload

__all__ = ["compare"]


def compare(
    workload: str | Workload,
    *strategies: str | StrategySpec,
    folder: Path | str,
    family: str | None = None,
    model: str | None = None,
    batch_size: int | None = None,
    epochs: float | Sequence[float] | None = None,
    steps: int | Sequence[int] | None = None,
    seeds: int = 5,
    rates: int = 5,
    span: float | None = None,
    beyond: int = 4,
    lr: float | Literal["find"] | None = None,
    target: float | None = None,
    data_dir: Path | str | None = None,
    executor: str = "process",
    address: str | None = None,
    keep: str | int = "5GB",
    sharing: Sharing = "checked",
    workers: int | None = None,
    threads: int = 1,
    device: str = "auto",
    precision: str = "auto",
    listen: Callable[[Status], None] | None = None,
) -> StudySummary:
    """Compare strategies fairly and return the answer; called again, it goes on where it stood.

    Called with more strategies, lengths or seeds for the same folder, it adds them to what is there.

    Args:
        workload: a registered name, "module:callable", or a `calando.workload(...)` of your own, made wherever you
            like: in a module, a notebook, a script with or without `if __name__ == "__main__":`. What worker processes
            cannot be sent (a lock, an open file) is refused; `executor="inline"` sends nothing.
        strategies: preset names, TOML paths, pipe texts or values; none: the default set, or the family.
        folder: the study's; a `report.html` is written there by `calando report FOLDER`.
        family: "adaptive", "decayed", "rate-free" or "all": the presets of that family, beside "fixed" and "cosine".
        model, batch_size: of a named workload only; your own object has them already.
        epochs, steps: length of the runs; at most one of the two. Several, as in `epochs=(4, 8, 20)`: each strategy
            without a horizon of its own is run at each.
        seeds: paired runs of each strategy at its rate.
        rates, span: trials of each strategy, and the ratio of the highest to the lowest.
        beyond: how many rates a strategy's grid may go on by, at the same ratio and charged, past the end where its
            best trial lies. What then still lies there is "not tuned out": no verdict is given on it.
        lr: one base rate for all strategies that leave theirs open: no trials; "find": their grids are centred on
            what range tests find, made first and charged.
        target: validation score in (0, 1] whose first reaching is counted in steps.
        executor: "process", "inline" or "ray".
        address: of the Ray cluster; None: Ray is started on this machine.
        keep: what checkpoints may take on the disk, as "5GB" or in bytes.
        sharing: "checked": pasts that several runs share are trained once, if a few updates show that the workload
            can be forked exactly; "verified": if whole runs do; "none": every run is trained alone.
        listen: called with the status as it changes.

    Raises:
        UsageError: anything that cannot be; found before training where it can be.
        StudyStopped: a worker died too often, or the disk is full.

    Example:
        >>> import tempfile, calando
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     answer = calando.compare(
        ...         "digits", "fixed", "cosine", folder=folder, steps=20, seeds=2, lr=0.1, executor="inline"
        ...     )
        >>> [comparison.n for comparison in answer.comparisons]
        [2]
    """
    if executor == "process":
        start_early()
    # What needs torch, while the workers' server imports it too.
    from calando.strategy.presets import choose_strategies
    from calando.study.ask import ask_study
    from calando.study.coordinator import conduct, executor_named
    from calando.study.limits import Budget, Machine
    from calando.tasks.registry import resolve

    kind = executor_named(executor)
    machine = Machine(device=device, precision=precision, threads=threads, workers=workers)
    where = None if data_dir is None else Path(data_dir)
    spec = resolve(workload, model=model, batch_size=batch_size) if isinstance(workload, str) else workload
    asked = ask_study(
        spec,
        choose_strategies(strategies, family=family),
        budget=Budget(epochs=epochs, steps=steps),
        machine=machine,
        seeds=seeds,
        rates=rates,
        span=span,
        beyond=beyond,
        lr=lr,
        target=target,
        data_dir=where,
    )
    if listen is None:
        # Whoever listens is told by the first status; nobody else would learn how their data were read.
        doubts = () if asked.given else asked.workload.doubts  # of a given one, making it has warned
        for note in (*asked.workload.notes, *doubts, *asked.workload.cautions):
            print(note, file=sys.stderr)
    return conduct(
        Path(folder),
        asked.study,
        asked.workload,
        data_dir=where,
        given=asked.given,
        executor=kind,
        address=address,
        keep=keep,
        sharing=sharing,
        workers=machine.count_workers(asked.study.lane.device),
        listen=listen,
    )
