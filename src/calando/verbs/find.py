"""`calando.find`: the learning-rate range test of a task, `calando find` as a function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from calando.language import _, message
from calando.verbs.progress import RunProgress

if TYPE_CHECKING:
    from calando.range_test import Found
    from calando.range_test.raced import Raced
    from calando.records import StrategySpec
    from calando.study.listening import RunStatus
    from calando.tasks.workload import Workload

__all__ = ["find"]


def find(
    workload: str | Workload,
    *,
    model: str | None = None,
    strategy: str | StrategySpec = "cosine",
    repeats: int = 3,
    steps: int = 100,
    low: float | None = None,
    high: float | None = None,
    hold: int | None = None,
    race: bool = False,
    epochs: float | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    augment: str | None = None,
    label_smoothing: float | None = None,
    metric: str | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    train_limit: int | None = None,
    data_dir: Path | str | None = None,
    threads: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    listen: Callable[[RunStatus], None] | None = None,
) -> Found | Raced:
    """Find a learning rate for a task, or say why there is none. For your own network and loop see `calando.find_lr`.

    The rate rises from update to update until the loss diverges; this is repeated a few times, and nothing else is
    trained. Schedules and the strategy's own rate do not matter.

    Args:
        workload, model, batch_size, augment, label_smoothing, metric, clip_norm, accumulate, train_limit: as for
            `calando.train`.
        seed, data_dir, threads, device, precision: as for `calando.train`.
        strategy: its method is tested; a name, a TOML file, a text or a `StrategySpec`, as for `calando.train`.
        repeats: number of sweeps, from the same weights over different batches.
        steps: updates of a sweep.
        low: lowest rate. None: 1e-6, lowered if the region of interest lies outside.
        high: highest rate. None: 10, raised if the region of interest lies outside.
        hold: updates at the rate found, to check that the network trains there. None: as many as `steps`. 0: none.
        race: instead of sweeps, race short arms from one start, at the cost of at most 0.6 runs. For networks on which
            sweeps are not reliable, such as those without normalisation. See `calando.range_test.raced`.
        epochs: with `race`, length of the runs that the rate is for. None: the workload's usual number of epochs.
        listen: called before the first update and after each. None: progress is shown, as for `calando.compare`.

    Returns:
        What was found; `print` it to read it. `.suggestion.decayed.rate` is the peak rate for a decayed schedule,
        `.suggestion.constant.rate` the constant rate, each None where there is none; `.run` is what was tested. With
        `race`: `.rate` is the peak rate, None where nothing was learned, and `.doubts` says what speaks against it.

    Raises:
        UsageError: an argument is wrong.

    Example:
        >>> import calando
        >>> found = calando.find("digits", steps=40, repeats=1, hold=0, threads=1)
        >>> 0.001 < found.suggestion.decayed.rate < 10
        True
    """
    from calando.tasks.catalog import resolve
    from calando.verbs.torch_first import import_torch

    # Before torch is imported, which takes seconds: a mistyped name is reported at once.
    task = resolve(
        workload,
        model=model,
        batch_size=batch_size,
        augment=augment,
        label_smoothing=label_smoothing,
        metric=metric,
        clip_norm=clip_norm,
        accumulate=accumulate,
        train_limit=train_limit,
    )
    import_torch()
    from calando.errors import UsageError
    from calando.methods import METHODS
    from calando.range_test import SweepOptions, find_for_run
    from calando.study.build_spec import build_run, read_strategies
    from calando.study.limits import Budget, Machine
    from calando.study.listening import Listening

    machine = Machine.whole(device=device, precision=precision, threads=threads)
    where = None if data_dir is None else Path(data_dir)
    if race:
        from calando.range_test.raced import most_updates, race_for_run
        from calando.study.build_tuning import build_tuning

        length = Budget(epochs=epochs)
        spec, loaded = build_tuning(
            task, strategy, length=length, budget=1.5, machine=machine, seed=seed, data_dir=where
        )
        rate = spec.strategy.lr
        assert rate is not None
        run = spec.run(rate, steps=spec.steps, cuts=()).model_copy(update={"evaluate_every": spec.steps})
        what = _(
            "race of {method}, at most {most} updates, 0.6 runs of {steps},",
            method=run.strategy.method,
            most=most_updates(run.steps),
            steps=run.steps,
        )
        with RunProgress(listen, what=what) as progress:
            listening = Listening(run, loaded, progress, machine=machine.said(run.lane))
            listening.begin()
            return race_for_run(
                run,
                loaded,
                rate=rate,
                passes=spec.passes,
                per_update=spec.per_update,
                measured=spec.measured,
                progress=listening.measured,
            )
    if epochs is not None:
        raise UsageError(message("epochs= is the length of the runs that a race is for; a sweep has steps="))
    options = SweepOptions(repeats=repeats, steps=steps, low=low, high=high, hold=hold)
    (read,) = read_strategies([strategy], lr=None)
    if (method := METHODS[read.method]).rate_free:
        raise UsageError(message("there is no rate to find: {own_rate}", own_rate=method.own_rate))
    run, loaded = build_run(
        task,
        read.without_horizon(),
        budget=Budget(steps=steps),
        machine=machine,
        seed=seed,
        data_dir=where,
    )
    with RunProgress(listen, what=_("range test of {method}", method=read.method)) as progress:
        listening = Listening(run, loaded, progress, machine=machine.said(run.lane))
        listening.begin()
        return find_for_run(run, loaded, options=options, progress=listening.measured)
