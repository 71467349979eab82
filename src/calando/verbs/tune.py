"""`calando.tune`: a rate settled and a network trained at it, in one and a half runs.

    FOLDER/tune.sqlite            the question, and every piece that was trained
    FOLDER/weights.safetensors    the network's weights at the end, where a person's own code keeps them
    FOLDER/report.html            the page, unless `page=False`
    FOLDER/race.png               the figure, which the command draws with the page

Called again it goes on where it stood; with a larger budget it goes on from its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from calando.language import _, message, translated
from calando.verbs.study import write_page_of
from calando.verbs.tuned import Tuned, write_tuning_report
from calando.verbs.tuning_progress import TuningProgress

if TYPE_CHECKING:
    from calando.loops.run_handle import Run
    from calando.records import StrategySpec
    from calando.study.tune import TuneStatus
    from calando.tasks.workload import Workload

__all__ = ["Tuned", "tune"]


def tune(
    workload: str | Workload | Callable[[Run], object],
    strategy: str | StrategySpec | None = None,
    *,
    budget: float = 1.5,
    also: str | Sequence[str] | None = None,
    model: str | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    augment: str | None = None,
    label_smoothing: float | None = None,
    metric: str | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    train_limit: int | None = None,
    data_dir: Path | str | None = None,
    arguments: Sequence[str] = (),
    goal: Literal["max", "min"] | None = None,
    unit: str | None = None,
    check_repeats: bool = True,
    folder: Path | str | None = None,
    executor: str | None = None,
    address: str | None = None,
    workers: int = 1,
    threads: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    log: str | Sequence[str] | None = None,
    command: str = "",
    listen: Callable[[TuneStatus], None] | None = None,
    page: bool = True,
) -> Tuned:
    """Settle the learning rate and train the network at it, at a total cost of `budget` runs.

    Arms at a few rates start from the same weights on the same batches. An arm is dropped as soon as it has lost. The
    winner is trained to its end and is the answer, so its first part is trained only once. `calando.analysis.race` has
    the rules. Called again, `tune` resumes where it stopped.

    Your own training code cannot be forked at any update: it is run as a whole at each rate, at least three times. See
    `calando.analysis.whole_arms`.

    Args:
        workload, model, batch_size, augment, label_smoothing, metric, clip_norm, accumulate, train_limit: as for
            `calando.train`. `workload` may also be your own training code, as for `calando.compare`: a script that
            calls `calando.run`, "train.py"; a launcher with its script; or a function of the run.
        strategy: a method by name or text, "sgd(momentum=0.9)": its rate is constant for half of the run, then falls to
            zero. Or a strategy with a schedule: only its rate is tuned. If it names a rate, the race begins there.
            None: SGD with momentum.
        budget: total cost in runs, a hard cap that includes dropped arms and evaluations. Your own training code needs
            3 or more; its evaluations are not counted.
        also: other hyper-parameters to tune, "weight_decay,momentum,warmup" or a list of some of them. One and a half
            runs settle the rate first. Each further whole run of the budget, which must be 3 or more, is trained with
            values that Optuna's sampler proposes; the best on validation is the answer. Needs the extra "tune".
        epochs: length of one run in passes over the data; give `epochs` or `steps`, not both. None: the workload's
            usual number of epochs.
        steps: length of one run in updates, instead of `epochs`.
        seed: seed of the initial weights, the data order and the augmentation.
        folder: the tuning's folder. None: calando-studies/tune-NAME-DIGEST in the current folder.
        arguments, goal, unit, check_repeats: for your own training code, as for `calando.compare`.
        executor, address, workers: as for `calando.compare`; several workers train arms in parallel, which does not
            change the answer. None: this process if there is one worker; your own training code has processes of its
            own.
        data_dir, threads, device, precision: as for `calando.train`.
        log: trackers that arms are logged to, as for `calando.compare`; a dropped arm appears as a run that was ended.
        command: the command line, kept for readers of the folder.
        listen: called with the status as it changes. None: progress is shown.
        page: write report.html into the folder when the answer is known.

    Raises:
        UsageError: an argument is wrong, or the folder holds something else.
        StudyStopped: a worker died too often, or the disk is full.
        KeyboardInterrupt: Ctrl-C was pressed; what was trained is kept.

    Example:
        >>> import tempfile, calando
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     answer = calando.tune(
        ...         "digits", steps=150, threads=1, folder=folder, page=False, listen=lambda status: None
        ...     )
        >>> answer.runs <= 1.5, answer.test.score > 0.9, answer.weights.name
        (True, True, 'weights.safetensors')
    """
    from calando.errors import UsageError
    from calando.loops.tracking import followers_to, made_before, read_log
    from calando.records.files import file_name
    from calando.tasks.catalog import resolve
    from calando.verbs.own_code import own_code, refuse_options
    from calando.verbs.torch_first import import_torch

    # Before torch is imported, which takes seconds: a mistyped name is reported at once.
    trackers = read_log(log)
    code = own_code(workload, arguments)
    task_options = {
        "model": model,
        "batch_size": batch_size,
        "augment": augment,
        "label_smoothing": label_smoothing,
        "metric": metric,
        "clip_norm": clip_norm,
        "accumulate": None if accumulate == 1 else accumulate,
        "train_limit": train_limit,
        "data_dir": data_dir,
    }
    if code is not None:
        from calando.verbs.tune_code import tune_code

        refuse_options({**task_options, "also": also or None})
        with TuningProgress.of(listen) as progress:
            tuned = tune_code(
                code,
                strategy,
                arguments=arguments,
                budget=budget,
                epochs=epochs,
                steps=steps,
                seed=seed,
                goal=goal,
                unit=unit,
                check_repeats=check_repeats,
                folder=folder,
                executor=executor or "process",
                address=address,
                workers=workers,
                threads=threads,
                device=device,
                trackers=trackers,
                command=command,
                progress=progress,
            )
            return _with_page(tuned, page, progress)
    if given := [name for name, value in (("goal", goal), ("unit", unit)) if value is not None]:
        raise UsageError(
            message(
                "{given} is for your own training code; a workload's is that of its metric: give it to "
                "calando.workload",
                given=given[0],
            )
        )
    assert isinstance(workload, str) or not callable(workload)
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
    from calando.records import WorkloadSpec
    from calando.study.build_tuning import build_tuning
    from calando.study.limits import Budget, Machine
    from calando.study.tune import conduct_tuning

    machine = replace(Machine.whole(device=device, precision=precision, threads=threads), workers=workers)
    where = None if data_dir is None else Path(data_dir)
    spec, loaded = build_tuning(
        task,
        strategy,
        length=Budget(epochs=epochs, steps=steps),
        budget=budget,
        machine=machine,
        seed=seed,
        also=also or (),
        data_dir=where,
    )
    crew = machine.count_workers(spec.lane.device)
    if folder is None:
        name = workload if isinstance(workload, str) else workload.name
        digest = spec.model_copy(update={"budget": 1.0}).digest()
        folder = Path("calando-studies") / f"tune-{file_name(name)}-{digest[:8]}"
    folder = Path(folder)
    with TuningProgress.of(listen) as progress:
        if note := made_before(trackers, folder):
            progress.say(f"calando: {note}")
        result = conduct_tuning(
            folder,
            spec,
            loaded,
            data_dir=where,
            given=not isinstance(task, WorkloadSpec),
            executor=executor or ("inline" if crew == 1 else "process"),
            workers=crew,
            address=address,
            command=command,
            machine=machine.said(spec.lane, workers=crew if crew > 1 else None),
            listen=progress,
            followers=followers_to(trackers, folder, spec.workload.title, command=command),
        )
        tuned = Tuned(folder=folder, weights=folder / "weights.safetensors", result=result)
        return _with_page(tuned, page, progress)


def _with_page(tuned: Tuned, page: bool, progress: TuningProgress) -> Tuned:
    """The answer, its page written where that is asked."""
    if page:
        path, lacking = write_page_of(tuned.folder, partial(write_tuning_report, alone=True))
        if lacking:
            progress.say(f"calando: {translated(lacking)}")
        if path is not None:
            progress.say(_("report: {path}", path=path))
    return tuned
