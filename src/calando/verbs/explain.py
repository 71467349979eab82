"""`calando.explain`: why a rate is too large, too small or right, on the task itself; `calando explain` as a function.

    FOLDER/probes.json      every look: signals, losses, rates
    FOLDER/explain.html     the reading, and figures with a sentence each on how to read them

Called again it reads what is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from calando.language import _, message, translated
from calando.shown import Drawn
from calando.verbs.progress import Pace, RunProgress

if TYPE_CHECKING:
    from calando.analysis.looked import Looked
    from calando.analysis.reading import Reading
    from calando.records import RunSpec, StrategySpec
    from calando.records.probe import ProbeRow
    from calando.study.listening import RunStatus
    from calando.tasks.workload import Workload
    from calando.training.state import TrainState

__all__ = ["Explained", "explain"]

UNTIL = "20%"
PICTURE_SECONDS = 0.2


@final
@dataclass(frozen=True, kw_only=True)
class Explained(Drawn):
    """A run that was looked at.

    Args:
        folder: where the page is put, next to the looks where they were made here; None: in the current one.
        looked: what was seen, row by row.
        reading: what it says of the rate.
        outcome: how the stored run of a study ended, in words, next to what its first updates foretold; "" elsewhere.
    """

    folder: Path | None
    looked: Looked
    reading: Reading
    outcome: str = ""

    def __str__(self) -> str:
        """The reading, how the run ended where that is known, and what looking cost."""
        lines = [str(self.reading)]
        if self.outcome:
            lines.append(translated(self.outcome))
        lines.append(translated(self.looked.cost))
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self) -> Any:
        """Rate and loss, sharpness against its limit, update ratios and gradients by layer."""
        from calando.report.explain_page import explain_figure

        return explain_figure(self.looked, title=self.title)

    def write_page(self, path: Path | str | None = None) -> Path:
        """Write the page: the reading first, then figures, each with how to read it.

        Args:
            path: None: explain.html in the folder of the looks; for looks of a file, in the current one.

        Raises:
            NotDrawn: Python was started without docstrings, which altair needs.
            DiskFull: no space.
        """
        from calando.report.explain_page import write_explain_page

        where = Path(path) if path is not None else (self.folder or Path()) / "explain.html"
        write_explain_page(where, self.looked, self.reading, title=self.title, outcome=self.outcome)
        return where

    @property
    def title(self) -> str:
        """What was looked at."""
        spec = self.looked.spec
        if spec is None:
            return message("a training")
        return message("{strategy} on {title}", strategy=spec.strategy.text, title=spec.workload.title)

    def table(self) -> list[dict[str, Any]]:
        """A row a look."""
        rows = []
        for row in self.looked.rows:
            facts = row.document()
            layers = facts.pop("layers")
            rows.append({**facts, "noise_scale": row.noise_scale, "layers": len(layers)})
        return rows

    def to_json(self) -> dict[str, Any]:
        """The reading and what it cost, as what `json.dumps` takes."""
        spec = self.looked.spec
        return {
            "strategy": None if spec is None else spec.strategy.text,
            "workload": None if spec is None else spec.workload.title,
            "reading": self.reading.to_json(),
            "outcome": self.outcome,
            "updates": self.looked.step,
            "updates_of_looks": round(self.looked.updates, 2),
            "updates_of_one_run": self.looked.total_steps,
            "rows": self.table(),
            "folder": None if self.folder is None else str(self.folder),
        }


NEEDED = message("a task needs a strategy to explain, such as 'sgd(lr=0.1, momentum=0.9) | cosine(1, 0)'")


def explain(
    workload: str | os.PathLike[str] | Workload,
    strategy: str | StrategySpec | None = None,
    *,
    run: str | None = None,
    until: str | int = UNTIL,
    folder: Path | str | None = None,
    model: str | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    lr: float | None = None,
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
) -> Explained:
    """Probe the first part of a run and say whether its rate is too high, too low, or nothing wrong is seen.

    The run is trained up to `until`, to the same bits as without probes. Nothing else is trained.

    Args:
        workload: a task, as for `calando.train`. Or a study's folder: one of its runs is trained again and probed. Or a
            file that `Watch.save` wrote.
        strategy: for a task: what is trained, as for `calando.train`. None for a study and for a file.
        run: for a study: name of the strategy whose run is probed.
        until: how far the run is trained: "20%", "2 epochs", or a number of updates.
        folder: folder for the probes and the page. None: calando-explained/NAME-DIGEST in the current folder.
        model, batch_size, augment, label_smoothing, metric, clip_norm, accumulate, train_limit: for a named task, as
            for `calando.train`.
        epochs, steps, seed, lr: for a task, as for `calando.train`; for a study only `seed`.
        data_dir, threads, device, precision: as for `calando.train`.
        listen: called with the status as the run goes on. None: progress is shown.

    Returns:
        The run that was probed; `print` it to read it, `calando.draw` draws it. `.reading` says in words what the
        probes say of the rate, with the signals that this rests on. It says nothing where signals were not shown to
        predict.

    Raises:
        UsageError: an argument is wrong, or the study is of your own training code, which `calando.watch` probes.
        CorruptFile: a file in the folder is damaged.

    Example:
        >>> import tempfile, calando
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = calando.explain(
        ...         "digits", "sgd(lr=4.0, momentum=0.9)", steps=100, threads=1, folder=folder, listen=lambda _: None
        ...     )
        >>> found.reading.verdict
        'too high'
    """
    from calando.errors import UsageError
    from calando.verbs.explained_path import kind_of, no_study

    where = Path(workload) if isinstance(workload, str | os.PathLike) else None
    kind = None if where is None else kind_of(where)
    if where is not None and kind is not None:
        of_task = {
            "model": model, "epochs": epochs, "steps": steps, "lr": lr, "batch_size": batch_size, "augment": augment,
            "label_smoothing": label_smoothing, "metric": metric, "clip_norm": clip_norm, "train_limit": train_limit,
            "threads": threads, "accumulate": None if accumulate == 1 else accumulate,
            "device": None if device == "auto" else device, "precision": None if precision == "auto" else precision,
        }  # fmt: skip
        if strategy is not None:
            what = message(
                "holds looks at one run" if kind == "looks" else "has its strategies already; name a run with run="
            )
            raise UsageError(message("{where!r} {what}: leave the strategy out", where=str(where), what=what))
        if kind == "looks":
            of_task |= {"run": run, "seed": seed or None, "until": None if until == UNTIL else until}
        if ignored := [f"{name}=" for name, value in of_task.items() if value is not None]:
            raise UsageError(
                message(
                    "{ignored} cannot be changed in {where!r}: what is stored there is looked at",
                    ignored=", ".join(ignored),
                    where=str(where),
                )
            )
        if kind == "looks":
            return _of_file(where / "probes.json", folder or where) if where.is_dir() else _of_file(where, folder)
        return _of_study(where, run, seed, until=until, folder=folder, data_dir=data_dir, listen=listen)
    if where is not None and where.suffix == ".py":
        raise UsageError(
            message(
                "{where!r} is training code, which only itself can run: look at it there with "
                "calando.watch(network, optimizer, total_steps=…)",
                where=str(where),
            )
        )
    if run is not None:
        raise UsageError(message("run= names a run of a study: give the study's folder first"))
    if strategy is None and where is not None and len(where.parts) > 1 and ":" not in str(where):
        raise UsageError(message("{problem}; `calando show` lists those in calando-studies", problem=no_study(where)))
    if strategy is None:
        raise UsageError(
            NEEDED if where is None else message("{needed}; {problem}", needed=NEEDED, problem=no_study(where))
        )
    from calando.tasks.catalog import resolve
    from calando.verbs.torch_first import import_torch

    # Before torch is imported, which takes seconds: a mistyped name is reported at once.
    task = resolve(
        workload if not isinstance(workload, os.PathLike) else os.fspath(workload),
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
    from calando.study.build_spec import build_run
    from calando.study.limits import Budget, Machine

    machine = Machine.whole(device=device, precision=precision, threads=threads)
    spec, loaded = build_run(
        task,
        strategy,
        budget=Budget(epochs=epochs, steps=steps),
        machine=machine,
        seed=seed,
        lr=lr,
        data_dir=None if data_dir is None else Path(data_dir),
    )
    said = machine.said(spec.lane)
    return _look(spec, loaded, until=until, folder=folder, listen=listen, machine=said)


def _of_file(path: Path, folder: Path | str | None) -> Explained:
    from calando.analysis.looked import Looked
    from calando.errors import UsageError

    if not path.is_file():
        raise UsageError(
            message(
                "there is no file {path!r}; `Watch.save(path)` and `calando explain` write such files", path=str(path)
            )
        )
    looked = Looked.read(path)
    return Explained(folder=None if folder is None else Path(folder), looked=looked, reading=looked.reading())


def _of_study(
    study: Path,
    name: str | None,
    seed: int,
    *,
    until: str | int,
    folder: Path | str | None,
    data_dir: Path | str | None,
    listen: Callable[[RunStatus], None] | None,
) -> Explained:
    from calando.records import Store
    from calando.verbs.explained_run import chosen_run, task_of

    with Store.open(study, read_only=True) as store:
        record = chosen_run(store, name, seed)
        fingerprint, kept = store.fingerprint, store.place
    from calando.verbs.torch_first import import_torch

    import_torch()
    import numpy as np

    spec = record.spec
    task = task_of(study, spec, fingerprint, None if data_dir is None else Path(data_dir), kept=kept)
    found = _look(spec, task, until=until, folder=folder, listen=listen, machine="")
    ours, theirs = found.looked.losses.astype(np.float32), record.losses.astype(np.float32)[: found.looked.step]
    both = min(len(ours), len(theirs))
    same = (ours[:both] == theirs[:both]) | (np.isnan(ours[:both]) & np.isnan(theirs[:both]))
    first = int(np.argmin(np.append(same, False)))  # the first update whose loss is another, or is in one run alone
    differs = first < max(len(ours), len(theirs))
    outcome = message(
        "the study's run {outcome}, validation {score}; its losses are others, from update {first} on: another "
        "machine, or changes"
        if differs
        else "the study's run {outcome}, validation {score}; its losses are these, to the bit",
        outcome=message(record.outcome),
        score=spec.workload.measure.amount(record.score),
        first=first,
    )
    return replace(found, outcome=outcome)


def _look(
    spec: RunSpec,
    task: Workload,
    *,
    until: str | int,
    folder: Path | str | None,
    listen: Callable[[RunStatus], None] | None,
    machine: str,
) -> Explained:
    from calando.analysis.looked import keep_looks, kept_looks, plan_looks
    from calando.errors import UsageError
    from calando.loops.run_picture import pictured_for_now
    from calando.records.files import file_name
    from calando.records.follower import Progress
    from calando.schedules import Span
    from calando.study.listening import Listening
    from calando.study.look import look_at
    from calando.verbs.explained_path import check_writable

    if isinstance(until, str) and until.isdecimal():  # updates, from the command line
        until = int(until)
    made = round(spec.horizon.steps(Span.parse(until, name="until")))
    if not 2 <= made <= spec.steps:
        raise UsageError(
            message(
                "until must be from 2 updates to the run's {steps}, got {until!r}, {made} updates",
                steps=spec.steps,
                until=until,
                made=made,
            )
        )
    looks = plan_looks(spec.steps, until=made)
    digest = f"{file_name(spec.strategy.name or spec.strategy.method)}-{spec.digest()[:8]}"
    where = Path("calando-explained") / digest if folder is None else Path(folder)
    looked = kept_looks(where, spec, looks)
    if looked is None:
        check_writable(where)
        name = spec.strategy.name or spec.strategy.method
        what = _(
            "{count} looks at {made:,} of {steps:,} updates, at most {cost} updates more: {name}",
            count=len(looks.at),
            made=made,
            steps=spec.steps,
            cost=looks.cost,
            name=name,
        )
        with (
            RunProgress(listen, what=what) as progress,
            pictured_for_now(where, name=name, text=spec.strategy.text, lr=spec.lr, seed=spec.seed) as picture,
        ):
            listening = Listening(spec, task, progress, folder=where, machine=machine, steps=looks.until)
            listening.begin()
            picture.send({"kind": "began", "total_steps": looks.until})
            due = Pace(seconds=PICTURE_SECONDS)

            def hear(state: TrainState, row: ProbeRow | None) -> None:
                rate, loss = float(state.rates[state.step - 1]), float(state.losses[state.step - 1])
                listening.trained(Progress(state.step, rate, loss))
                if row is not None or due.is_due():
                    picture.send({"kind": "progress", "step": state.step, "lr": rate, "loss": loss})
                if row is not None:
                    picture.send({"kind": "probe", "step": row.step, "row": row.document()})

            looked = look_at(spec, task, looks, listen=hear)
        keep_looks(where, looked)
    return Explained(folder=where, looked=looked, reading=looked.reading())
