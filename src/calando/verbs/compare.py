"""`calando.compare`: the whole of `calando compare` as a function."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from calando.errors import UsageError
from calando.language import _, message, translated
from calando.verbs.progress import StudyProgress
from calando.verbs.study import of_folder, write_page_of

if TYPE_CHECKING:
    from calando.analysis import StudySummary
    from calando.loops.run_handle import Run
    from calando.loops.tracking import LogTo
    from calando.records import StrategySpec
    from calando.study.scheduler import Sharing
    from calando.study.standing import Status
    from calando.tasks.workload import Workload

__all__ = ["compare"]


def compare(
    workload: str | Workload | Callable[[Run], object],
    *strategies: str | StrategySpec,
    family: str | None = None,
    model: str | None = None,
    epochs: float | Sequence[float] | None = None,
    steps: int | Sequence[int] | None = None,
    seeds: int | Literal["auto"] = 5,
    until: Literal["decided"] | None = None,
    most_seeds: int | None = None,
    rates: int = 5,
    span: float | None = None,
    beyond: int = 4,
    lr: float | Literal["find"] | None = None,
    target: float | None = None,
    batch_size: int | None = None,
    augment: str | None = None,
    label_smoothing: float | None = None,
    metric: str | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    train_limit: int | None = None,
    data_dir: Path | str | None = None,
    folder: Path | str | None = None,
    keep: str | int = "5GB",
    sharing: Sharing = "checked",
    arguments: Sequence[str] = (),
    goal: Literal["max", "min"] | None = None,
    unit: str | None = None,
    check_repeats: bool = True,
    executor: str = "process",
    address: str | None = None,
    workers: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    log: str | Sequence[str] | None = None,
    command: str = "",
    listen: Callable[[Status], None] | None = None,
    page: bool = True,
) -> StudySummary:
    """Compare strategies fairly and return the answer. Called again, it resumes where it stopped.

    Called for the same folder with more strategies, lengths or seeds, it adds them to the study.

    Args:
        workload: a registered name, "module:callable", or your own `calando.workload(...)`, made anywhere: in a module,
            a notebook, a script with or without `if __name__ == "__main__":`. It must be possible to send it to worker
            processes: one that holds a lock or an open file is refused, unless `executor="inline"`. Or your own
            training code: a script that calls `calando.run`, "train.py"; a launcher with its script, "torchrun
            train.py"; or a function `def train(run): …`, itself or as "module:train".
        strategies: names of presets or schedules, paths of TOML files, strategy texts, or `StrategySpec` objects. A
            schedule alone is trained with the SGD of the presets. None given: the default set, or those of `family`.
        family: "fixed", "decayed", "adaptive", "rate-free" or "all": the presets of that family, with "fixed" and
            "cosine".
        model, batch_size, augment, label_smoothing, metric, clip_norm, accumulate, train_limit: for a named workload,
            see `calando.records.WorkloadSpec`; your own workload has them already.
        epochs: length of the runs in passes over the data; give `epochs` or `steps`, not both. With several lengths, as
            in `epochs=(4, 8, 20)`, each strategy without a horizon of its own is run at each.
        steps: length of the runs in updates, instead of `epochs`; one or several.
        seeds: number of paired runs of each strategy at its chosen rate. "auto": the same as `until="decided"`.
        until: "decided": begin with three seeds, look at the test scores, and add seeds to the strategies that are
            still undecided, until all verdicts are settled or `most_seeds` is reached. Over all looks, at most 5% of
            studies of equal strategies come to any verdict. What this saved is in `.saved`. None: `seeds` for every
            strategy.
        most_seeds: most seeds of a strategy, with `until`. None: 20.
        rates: number of rates tried for each strategy.
        span: ratio of the highest rate tried to the lowest.
        beyond: how many rates a strategy's grid may be extended by, at the same ratio, if its best trial lies at the
            edge. They are charged to the strategy. If the best trial is still at the edge, the strategy gets no
            verdict.
        lr: one base rate for all strategies that leave it open; no trials are made. "find": range tests are made first
            and charged, and the grids are centred on what they find.
        target: validation score in (0, 1]; the steps to reach it are counted.
        data_dir: folder with the data sets. None: $CALANDO_DATA, then the user's cache.
        folder: the study's folder. None: calando-studies/NAME-DIGEST in the current folder.
        keep: most disk space for checkpoints, as "5GB" or in bytes.
        sharing: whether stages that several runs share are trained once. "checked": yes, if a few updates show that the
            workload can be forked exactly. "verified": yes, if whole runs show it. "none": every run is trained alone.
        arguments: command-line arguments of a script.
        goal: whether a "max" or a "min" score of your own code is better, where the code does not say it.
        unit: unit of the scores of your own code, such as "RMSE", where the code does not say it.
        check_repeats: start your own code twice before the first run, and report whether equal runs give equal weights.
        executor: "process", "inline", "ray", or the name of one of your own.
        address: address of the Ray cluster. None: Ray is started on this machine.
        workers: number of worker processes. None: one per core.
        threads: CPU threads of each worker. None: OMP_NUM_THREADS or `torch.set_num_threads`, else 1; an existing study
            keeps its own number.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "auto", "fp32" or "bf16".
        log: trackers that runs are logged to while they train: "tensorboard", "mlflow", "wandb" (offline), "trackio",
            or several. They write into the study's folder, or to the place named after a colon,
            "mlflow:http://localhost:5000". A tracker that fails or is slow never delays a run; `calando.export` writes
            what it has missed.
        command: the command line that makes this study, shown on its page.
        listen: called with the status as it changes. None: notes, progress and ETA are shown on standard error or in
            the notebook. `lambda status: None`: nothing is shown.
        page: write report.html into the folder when the answer is known, as `calando.write_report` does.

    Returns:
        The answer. `print` it for the verdicts; `.results`, `.comparisons` and `.advice` hold the numbers, `.folder` is
        the study's folder.

    Raises:
        UsageError: an argument is wrong; found before training where possible.
        StudyStopped: a worker died too often, or the disk is full.
        KeyboardInterrupt: Ctrl-C was pressed; the state of running jobs is saved first.

    Example:
        >>> import tempfile, calando
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     answer = calando.compare(
        ...         "digits", "fixed", "cosine", folder=folder, steps=20, seeds=2, lr=0.1, executor="inline"
        ...     )
        >>> [comparison.n for comparison in answer.comparisons]
        [2]
    """
    from calando.loops.tracking import followers_to, made_before, read_log
    from calando.records.files import file_name
    from calando.strategy.presets import choose_strategies
    from calando.study.executors import find_executor
    from calando.tasks.catalog import resolve
    from calando.verbs.own_code import own_code, refuse_options
    from calando.verbs.torch_first import import_torch

    # Before torch is imported, which takes seconds: a mistyped name is reported at once.
    trackers = read_log(log)
    chosen = choose_strategies(strategies, family=family)
    code = own_code(workload, arguments)
    if code is not None:
        of_workloads = {
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
        refuse_options(of_workloads)
        return _compare_code(
            code,
            chosen,
            arguments=arguments,
            goal=goal,
            unit=unit,
            check_repeats=check_repeats,
            epochs=epochs,
            steps=steps,
            seeds=seeds,
            until=until,
            most_seeds=most_seeds,
            rates=rates,
            span=span,
            beyond=beyond,
            lr=lr,
            target=target,
            folder=folder,
            keep=keep,
            executor=executor,
            address=address,
            workers=workers,
            threads=threads,
            device=device,
            trackers=trackers,
            command=command,
            listen=listen,
            page=page,
        )
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
    entry = find_executor(executor)
    if entry.prepare is not None:
        # The server of worker processes imports torch while this process does.
        entry.prepare()
    import_torch()
    from calando.study.build_spec import build_study
    from calando.study.conduct import conduct
    from calando.study.limits import Budget, Machine

    machine = Machine.shared(device=device, precision=precision, threads=_threads(threads, folder), workers=workers)
    where = None if data_dir is None else Path(data_dir)
    built = build_study(
        task,
        chosen,
        budget=Budget(epochs=epochs, steps=steps),
        machine=machine,
        seeds=seeds,
        until=until,
        most_seeds=most_seeds,
        rates=rates,
        span=span,
        beyond=beyond,
        lr=lr,
        target=target,
        data_dir=where,
    )
    crew = machine.count_workers(built.study.lane.device)
    if folder is None:
        name = workload if isinstance(workload, str) else workload.name
        folder = Path("calando-studies") / f"{file_name(name)}-{built.study.digest()[:8]}"
    said = machine.said(built.study.lane, workers=crew)
    with StudyProgress.of(listen) as progress:
        # Making one's own object has warned of its doubts.
        progress.known = {*built.task.doubts} if built.given else set()
        if note := made_before(trackers, Path(folder)):
            progress.say(f"calando: {note}")
        answer = conduct(
            Path(folder),
            built.study,
            built.task,
            data_dir=where,
            given=built.given,
            executor=executor,
            address=address,
            workers=crew,
            keep=keep,
            sharing=sharing,
            command=command,
            machine=said,
            listen=progress,
            followers=followers_to(trackers, Path(folder), built.study.workload.title, command=command),
        )
        return _with_page(of_folder(answer, Path(folder)), page, progress)


def _with_page(answer: StudySummary, page: bool, progress: StudyProgress) -> StudySummary:
    """The answer, its page written where that is asked."""
    if page:
        assert answer.folder is not None
        path, lacking = write_page_of(answer.folder)
        if lacking:
            progress.say(f"calando: {translated(lacking)}")
        if path is not None:
            progress.say(_("report: {path}", path=path))
    return answer


def _threads(given: int | None, folder: Path | str | None) -> int | None:
    """The threads asked for; else those of the study that is gone on with: other threads would be another lane."""
    from calando.records import Store

    if given is not None or folder is None or not (Path(folder) / "study.sqlite").exists():
        return given
    with Store.open(Path(folder), read_only=True) as store:
        return store.study.lane.threads


def _compare_code(
    code: str | Callable[[Any], object],
    chosen: Sequence[str | StrategySpec],
    *,
    arguments: Sequence[str],
    goal: str | None,
    unit: str | None,
    epochs: float | Sequence[float] | None,
    steps: int | Sequence[int] | None,
    folder: Path | str | None,
    keep: str | int,
    executor: str,
    address: str | None,
    workers: int | None,
    threads: int | None,
    device: str,
    trackers: Sequence[LogTo],
    command: str,
    listen: Callable[[Status], None] | None,
    page: bool,
    **question: Any,
) -> StudySummary:
    """The same of a person's own training code."""
    from calando.loops.tracking import followers_to, made_before
    from calando.records.files import file_name
    from calando.study.executors import find_executor
    from calando.verbs.torch_first import import_torch

    entry = find_executor(executor)
    if entry.prepare is not None:
        entry.prepare()
    import_torch()
    from calando.study.conduct import conduct
    from calando.study.limits import Budget, Machine
    from calando.study.own_study import build_own_study, training_of

    training = training_of(code, arguments, goal=goal or "max", unit=unit or "")
    machine = Machine.shared(device=device, precision="fp32", threads=_threads(threads, folder), workers=workers)
    with StudyProgress.of(listen) as progress:
        progress.say(message("starting {title} for a first look at its length and score", title=training.spec.title))
        study, training = build_own_study(
            training,
            chosen,
            entry=entry,
            address=address,
            budget=Budget(epochs=epochs, steps=steps),
            machine=machine,
            goal=goal,
            unit=unit,
            **question,
        )
        crew = machine.count_workers(study.lane.device)
        if folder is None:
            name = Path(code.split()[0]).stem if isinstance(code, str) else training.spec.title
            # Code that was edited is another question.
            key = hashlib.sha256(f"{study.digest()} {training.fingerprint}".encode()).hexdigest()
            folder = Path("calando-studies") / f"{file_name(name)}-{key[:8]}"
        if note := made_before(trackers, Path(folder)):
            progress.say(f"calando: {note}")
        answer = conduct(
            Path(folder),
            study,
            training,
            given=True,
            executor=executor,
            address=address,
            workers=crew,
            keep=keep,
            command=command,
            machine=machine.said(study.lane, workers=crew),
            listen=progress,
            followers=followers_to(trackers, Path(folder), study.workload.title, command=command),
        )
        return _with_page(of_folder(answer, Path(folder)), page, progress)
