"""The run of a study that `calando.explain` makes again: which one, and on what."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from calando.language import message

if TYPE_CHECKING:
    from calando.records import RunRecord, RunSpec, Store
    from calando.tasks.workload import Workload

__all__ = ["chosen_run", "task_of"]


def chosen_run(store: Store, name: str | None, seed: int) -> RunRecord:
    """The run of a strategy at its settled rate; UsageError with what there is."""
    from calando.analysis import summarize
    from calando.errors import UsageError

    there = store.read(traces=False)
    names = list(dict.fromkeys(record.spec.strategy.name for record in there.runs.values()))
    if not names:
        raise UsageError(message("no run of {folder!r} has ended yet", folder=str(store.folder)))
    if name is None and len(names) > 1:
        raise UsageError(message("name one of the study's strategies with run=: {names}", names=", ".join(names)))
    name = names[0] if name is None else name
    if name not in names:
        raise UsageError(
            message(
                "{folder!r} has no strategy {name!r}; it has {names}",
                folder=str(store.folder),
                name=name,
                names=", ".join(names),
            )
        )
    mine = [record for record in there.runs.values() if record.spec.strategy.name == name]
    at_seed = [record for record in mine if record.spec.seed == seed]
    if not at_seed:
        seeds = ", ".join(map(str, sorted({record.spec.seed for record in mine})))
        raise UsageError(
            message("{name!r} has no run of seed {seed}; it has seeds {seeds}", name=name, seed=seed, seeds=seeds)
        )
    settled = next(one.lr for one in summarize(there.study, there.runs, there.tests).results if one.name == name)
    if settled is None:
        raise UsageError(
            message(
                "the rate of {name!r} is not settled yet; the command that made {folder!r} goes on",
                name=name,
                folder=str(store.folder),
            )
        )
    at_rate = [record for record in at_seed if math.isclose(record.spec.lr, settled)]
    if not at_rate:
        others = sorted({record.spec.seed for record in mine if math.isclose(record.spec.lr, settled)})
        there_are = message("; it has seeds {seeds}", seeds=", ".join(map(str, others))) if others else ""
        raise UsageError(
            message(
                "{name!r} has no run of seed {seed} at its settled rate {settled:g}{there_are}",
                name=name,
                seed=seed,
                settled=settled,
                there_are=there_are,
            )
        )
    return store.run(at_rate[0].spec.digest())


def task_of(study: Path, spec: RunSpec, fingerprint: str, data_dir: Path | None, *, kept: Path | None) -> Workload:
    """The task of a run, loaded again.

    Args:
        study: its folder.
        spec: of the run.
        fingerprint: of the data.
        data_dir: where data sets lie, or of data that a path names, these themselves.
        kept: where the files of its data lay; None: unknown.

    Raises:
        DataError: the data are not there.
        UsageError: only the person's own code holds it, or the data are others.
    """
    from calando.errors import UsageError
    from calando.records.task_spec import OwnTrainingSpec
    from calando.study.limits import GIVEN
    from calando.tasks.catalog import with_path
    from calando.tasks.data_place import path_within, place_of
    from calando.tasks.load_task import load

    if isinstance(spec.workload, OwnTrainingSpec):
        raise UsageError(
            message(
                "{study!r} compares your own training code, which only itself can run: look at it there with "
                "calando.watch(network, optimizer, total_steps=…)",
                study=str(study),
            )
        )
    if spec.in_our_loop.data.startswith(GIVEN):
        raise UsageError(
            message(
                "{study!r} compares a workload that was made in Python, which it does not hold: "
                "calando.explain(that workload, strategy, …) looks at it",
                study=str(study),
            )
        )
    asked = spec.in_our_loop
    place = place_of(asked.data, given=data_dir, kept=kept)
    if place is not None and place != path_within(asked.data):
        asked = asked.model_copy(update={"data": with_path(asked.data, place)})
    task = load(asked, data_dir=data_dir)
    if task.fingerprint != fingerprint:
        raise UsageError(
            message("the data has changed since {study!r} was made, so its runs cannot be made again", study=str(study))
        )
    return task
