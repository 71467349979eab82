"""`calando.export`: what a study, a tuning or a run holds, as files for other programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from calando.errors import UnknownName, UsageError, quote
from calando.language import _, message
from calando.tasks.data_place import is_found, path_within, relative_to
from calando.verbs.progress import counted

if TYPE_CHECKING:
    from calando.loops.tracking import LogTo
    from calando.records import RunSpec
    from calando.records.kept_runs import KeptFolder, KeptRun

__all__ = ["FORMATS", "Exported", "export"]

FORMATS = ("csv", "parquet", "appendix")
"""Of files; any tracker is a form too."""
LEAST_DIGITS = 4
"""Of a digest, so that no strategy's name passes for one by chance."""


@final
@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        path: the folder or file that holds it; for a tracker's server its address, "" where the tracker chooses.
        runs: number of runs in it.
        form: "csv", "parquet", …
        notes: what its reader should know.
    """

    path: Path | str
    runs: int
    form: str
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Where it is, and how much."""
        said = _(
            "{runs:,} run as {form}" if self.runs == 1 else "{runs:,} runs as {form}", runs=self.runs, form=self.form
        )
        return _("{said}: {path}", said=said, path=self.path) if str(self.path) else said

    __repr__ = __str__


def export(
    folder: Path | str,
    *,
    to: str = "csv",
    run: str | None = None,
    seed: int | None = None,
    out: Path | str | None = None,
) -> Exported:
    """Write every run of a study, a tuning or a training in a form that other programs read. Nothing is trained.

    Tables are runs, evaluations, trace (step, rate, loss), events and specs, joined by the run's digest; question.json
    holds the question. From a study in progress, the runs that have ended are written. An earlier export is replaced.

    Args:
        folder: folder of a study, of a tuning, or of `calando train`.
        to: "csv"; "parquet" (extra "parquet"); "appendix": one run with figures, environment and the command that
            reproduces it; or a tracker: "tensorboard", "mlflow", "wandb" (offline) or "trackio", each an extra of its
            name.
        run: the first digits of a run's digest, or a strategy's name. None: all runs; for "appendix", the training's
            run or the tuning's answer.
        seed: one seed of the strategy named by `run`. None: all; for "appendix", the first seed at the chosen rate.
        out: the folder to write to; for MLflow, an SQLite file or a tracking URI. None: FOLDER/export, FOLDER/appendix,
            FOLDER/tensorboard, FOLDER/mlflow.db or FOLDER/wandb; trackio uses its own folder.

    Returns:
        `.path`, `.runs` and `.notes`.

    Raises:
        UsageError: there is nothing to export, no such run or form, or an extra is not installed.
        CorruptFile: a file in the folder is damaged.
        DiskFull: the disk is full; an earlier export is unchanged.

    Example:
        >>> import tempfile, calando
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = calando.train("digits", "cosine", steps=10, lr=0.1, threads=1, folder=folder)
        ...     exported = calando.export(folder)
        ...     (exported.path / "trace.csv").read_text().splitlines()[0]
        'run,step,rate,loss'
    """
    from calando.loops.trackers import tracker_names
    from calando.loops.tracking import backfill, tracked_folder
    from calando.records.files import write_atomically
    from calando.records.kept_runs import open_kept

    source, log = Path(folder), _tracker(to)
    if log is None and to not in FORMATS:
        raise UnknownName("form", to, (*FORMATS, *tracker_names()))
    where = source / ("appendix" if to == "appendix" else "export") if out is None else Path(out)
    with open_kept(source) as kept:
        if to == "appendix":
            one = _write_appendix(kept, where, run, seed)
            which = message(
                "the run is {name}, rate {rate:.3g}, seed {seed} ({digest})",
                name=one.strategy.name,
                rate=one.lr,
                seed=one.seed,
                digest=one.digest(),
            )
            return Exported(where, 1, to, (*kept.notes, which))
        chosen = _Chosen(kept, run, seed)
        if log is not None:
            place = log.entry.where(source, log.place if out is None else str(out))
            tracked = tracked_folder(source, kept.title, command=kept.command, data=kept.fingerprint)
            count = backfill(chosen.runs(), log.entry, place, tracked)
            see = message("to look at it: {command}", command=log.entry.seen(place))
            return Exported(place if "://" in place or not place else Path(place), count, to, (*kept.notes, see))
        count = _writer(to)(chosen.runs(), where)
        write_atomically(where / "question.json", json.dumps(_question(kept), indent=2).encode())
        return Exported(where, count, to, kept.notes)


def _tracker(to: str) -> LogTo | None:
    from calando.loops.trackers import tracker_names
    from calando.loops.tracking import read_log

    name = to.partition(":")[0]
    return read_log([to])[0] if name in tracker_names() else None


def _write_appendix(kept: KeptFolder, where: Path, run: str | None, seed: int | None) -> RunSpec:
    """The run's spec."""
    from calando.report.appendix import Origin, write_appendix
    from calando.verbs.stored_spec import spec_document

    digest = _only(kept, run, seed)
    (one,) = kept.runs(only={digest})
    place = _place(kept, one.spec)
    spec = spec_document(one.spec, where, data=kept.fingerprint, identity=kept.identity, place=place)
    at = None if place is None else relative_to(place, where)
    origin = Origin(command=kept.command, data=kept.fingerprint, spec=spec, place=at, module=_module(one.spec))
    write_appendix(one, where, origin)
    return one.spec


def _module(run: RunSpec) -> str:
    """Of the function that makes its task; "": none does."""
    from calando.records import WorkloadSpec
    from calando.tasks.catalog import is_callable_text

    task = run.workload
    return task.data.partition(":")[0] if isinstance(task, WorkloadSpec) and is_callable_text(task.data) else ""


def _place(kept: KeptFolder, run: RunSpec) -> Path | None:
    """Where the files of its data lie: by what the folder says, else as its path says from here; None: neither."""
    from calando.records import Store, WorkloadSpec
    from calando.verbs.stored_spec import kept_place

    path = path_within(run.workload.data) if isinstance(run.workload, WorkloadSpec) else None
    if path is None:
        return None
    known = kept_place(kept.folder) if kept.kind == "training" else None
    if kept.kind == "study":
        with Store.open(kept.folder, read_only=True) as store:
            known = store.place
    return next((place for place in (known, path) if place is not None and is_found(place)), None)


def _only(kept: KeptFolder, run: str | None, seed: int | None) -> str:
    """The digest of the one run that is meant."""
    if run is None and kept.kind == "tuning":
        from calando.verbs.tuned import tuned_in

        if seed is not None:
            raise UsageError(message("a tuning has one seed; leave seed= out"))
        return tuned_in(kept.folder).run.digest()
    if run is None and kept.kind == "training":
        if seed is not None:
            raise UsageError(message("there is one run, with a seed of its own; leave seed= out"))
        return next(kept.runs(traces=False)).digest
    if run is None:
        names = ", ".join(dict.fromkeys(one.spec.strategy.name for one in kept.runs(traces=False)))
        raise UsageError(
            message("an appendix holds one run: give run= the name of a strategy ({names}), or a digest", names=names)
        )
    found = list(kept.runs(traces=False, only=_named(kept, run, seed)))
    if any(one.spec.strategy.name == run for one in found):  # a branch is named by its digest
        found = [one for one in found if one.branch is None]
    if len(found) == 1:
        return found[0].digest
    settled = _settled_rate(kept, run)
    at_rate = [one for one in found if settled is not None and math.isclose(one.spec.lr, settled)]
    if not at_rate:
        rates = ", ".join(f"{one.spec.lr:g}: {one.digest[:8]}" for one in found)
        raise UsageError(
            message(
                "which run of {run} is meant is open, since its rate is not settled; give one of {rates}",
                run=quote(run),
                rates=rates,
            )
        )
    return min(at_rate, key=lambda one: one.spec.seed).digest


def _settled_rate(kept: KeptFolder, name: str) -> float | None:
    if kept.kind != "study":
        return None
    from calando.analysis import summarize
    from calando.records import Store

    with Store.open(kept.folder, read_only=True) as store:
        there = store.read(traces=False)
    return next((one.lr for one in summarize(there.study, there.runs, there.tests).results if one.name == name), None)


def _writer(to: str) -> Callable[[Iterable[KeptRun], Path], int]:
    from calando.loops.exported import csv_files, parquet_files

    return {"csv": csv_files.write, "parquet": parquet_files.write}[to]


def _question(kept: KeptFolder) -> dict[str, object]:
    from calando import __version__

    return {
        "kind": kept.kind,
        "question": kept.question,
        "data": kept.fingerprint,
        "command": kept.command,
        "calando": __version__,
    }


@final
class _Chosen:
    """Which runs of a folder are exported.

    Raises:
        UsageError: none is.
    """

    def __init__(self, kept: KeptFolder, run: str | None, seed: int | None) -> None:
        self.kept, self.digests = kept, None if run is None else _named(kept, run, seed)
        if run is None and seed is not None:
            raise UsageError(
                message("seed= is that of a run: give run= the name of a strategy as well, got seed={seed}", seed=seed)
            )
        if run is None and next(kept.runs(traces=False), None) is None:
            raise UsageError(
                message("no run of {folder!r} has ended yet, so there is nothing to export", folder=str(kept.folder))
            )

    def runs(self) -> Iterator[KeptRun]:
        """They, one at a time; meanwhile is shown how many are written."""
        total = sum(1 for _run in self.kept.runs(traces=False, only=self.digests))
        return counted(self.kept.runs(only=self.digests), total, doing=_("writing runs"))


def _named(kept: KeptFolder, run: str, seed: int | None) -> frozenset[str]:
    there = list(kept.runs(traces=False))
    named = [one for one in there if one.spec.strategy.name == run]
    if named:
        found = [one for one in named if seed is None or one.spec.seed == seed]
        if not found:
            seeds = ", ".join(map(str, sorted({one.spec.seed for one in named})))
            raise UsageError(
                message("{run} has no run of seed {seed}; it has seeds {seeds}", run=quote(run), seed=seed, seeds=seeds)
            )
        return frozenset(one.digest for one in found)
    digests = [one.digest for one in there if len(run) >= LEAST_DIGITS and one.digest.startswith(run)]
    if len(digests) > 1:
        raise UsageError(
            message(
                "{digests} runs begin with {run}; give more digits, as {digests_2!r}",
                digests=len(digests),
                run=quote(run),
                digests_2=digests[0],
            )
        )
    if not digests:
        names = ", ".join(dict.fromkeys(one.spec.strategy.name for one in there))
        raise UsageError(
            message(
                "{folder!r} has no run {run}; give the name of a strategy ({names}), or a digest as in runs.csv",
                folder=str(kept.folder),
                run=quote(run),
                names=names,
            )
        )
    if seed is not None:
        raise UsageError(message("{run} is one run, with a seed of its own; leave seed= out", run=quote(run)))
    return frozenset(digests)
