"""A study from its question to its answer: open its folder, make what is missing, summarize.

It can be killed at any moment: the store then holds every finished run, checkpoints hold the unfinished ones, and the
same study conducted again makes the rest, to the same bits and the same decisions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import get_args

from calando.analysis import StudySummary, summarize
from calando.errors import UnknownName, UsageError
from calando.language import message
from calando.records import Store, StudySpec, WorkloadSpec
from calando.records.files import sweep
from calando.records.follower import Follower
from calando.records.live import live_in
from calando.records.store import sole_coordinator
from calando.registry import own_entries
from calando.schedules.function import functions_named
from calando.study.executors import find_executor
from calando.study.extend import extended
from calando.study.limits import KEEP, read_size
from calando.study.own_look import recognised_code
from calando.study.own_training import OwnTraining
from calando.study.scheduler import Scheduler, Sharing
from calando.study.standing import Status
from calando.study.verify import check_retraced
from calando.study.workers.by_value import check_sendable
from calando.study.workers.messages import REGISTRIES, Setup, names_of_own
from calando.tasks.data_place import is_found, path_within, relative_to
from calando.tasks.workload import Workload
from calando.training.identity import identify, recognised

__all__ = ["conduct"]


def conduct(
    folder: Path,
    study: StudySpec,
    task: Workload | OwnTraining,
    *,
    data_dir: Path | None = None,
    given: bool = False,
    executor: str = "process",
    address: str | None = None,
    workers: int = 1,
    keep: str | int = KEEP,
    sharing: Sharing = "checked",
    command: str = "",
    machine: str = "",
    listen: Callable[[Status], None] | None = None,
    followers: Sequence[Follower] = (),
) -> StudySummary:
    """Make whatever `study` still needs in `folder`, and return what it concluded.

    Args:
        folder: the study's; created where it is missing.
        workload: already loaded, in this process.
        data_dir: for workers that load it themselves.
        given: the workload is the user's own object: it is sent to the workers as it is.
        executor: "process", "inline", "ray" or one of the user's own.
        address: of the Ray cluster, with the executor "ray"; None: one is started on this machine.
        keep: what checkpoints may take on the disk, as "5GB" or in bytes; final weights stay until their test look.
        sharing: "checked": pasts that several runs share are trained once, unless a few updates show that this
            workload cannot be forked exactly; "verified": whole runs are compared first; "none": each run is trained
            alone.
        command: the command line, kept with a new study for its report.
        machine: its description, see `Status.machine`.
        listen: called after every change with the status.
        followers: what hears of every run; see `calando.records.follower`.

    Raises:
        UsageError: the folder holds a study that cannot become this one, another process conducts it, or a run cannot
            be made.
        StudyStopped: a worker died too often, or the disk is full, or the page asked to stop.
        KeyboardInterrupt: after running jobs were saved in their checkpoints.
    """
    entry, budget = find_executor(executor), read_size(keep)
    if any("\ud800" <= letter <= "\udfff" for letter in str(folder)):
        raise UsageError(
            message("the study folder's name must be UTF-8, got {folder!r}; name another --study", folder=str(folder))
        )
    if sharing not in get_args(Sharing):
        raise UnknownName(message("sharing"), str(sharing), get_args(Sharing))
    if entry.prepare is not None:
        entry.prepare()
    texts = " ".join(strategy.text for strategy in study.strategies)
    if entry.pickles and not (folder / "study.sqlite").exists():
        check_sendable(task if given else None, functions_named(texts), own_entries(texts, REGISTRIES))
    with sole_coordinator(folder), _open_or_create(folder, study, task, command) as opened, ExitStack() as closing:
        store, identity, notes = opened
        if isinstance(task, OwnTraining):
            sharing = "none"
        live, lacking = live_in(folder)
        for follower in live:
            closing.callback(_close, follower)
        _keep_place(store)
        scheduler = Scheduler(
            store,
            task,
            keep=budget,
            sharing=sharing,
            listen=listen,
            followers=(*live, *followers),
            notes=(*notes, *lacking),
            machine=machine,
        )
        closing.callback(scheduler.steering.close)
        # What was asked meanwhile may let a run go on, or make a branch, of a study that has its answer.
        scheduler.steering.begin()
        if not scheduler.complete:
            sweep(folder, *folder.glob("checkpoints/*"), *folder.glob("forks/*"))
            strategies = (
                *scheduler.study.strategies,
                *(one.spec.strategy for one in scheduler.steering.branches.values()),
            )
            texts = " ".join(strategy.text for strategy in strategies)
            setup = Setup(
                task=study.workload,
                given=task if given else None,
                data_dir=data_dir,
                folder=folder.absolute(),  # the user's code may change the current folder
                threads=study.lane.threads,
                device=scheduler.study.lane.device,
                fingerprint=task.fingerprint,
                identity=identity,
                functions=functions_named(texts),
                entries=own_entries(texts, REGISTRIES),
            )
            if entry.pickles:
                scheduler.sent = names_of_own(texts)
            # More workers than runs would only load data.
            workers = max(1, min(workers, scheduler.status.expected - scheduler.status.done + scheduler.plan.may_come))
            scheduler.run(entry.make(setup, workers=workers, on_progress=scheduler.on_progress, address=address))
        elif notes:
            scheduler.show()
        return summarize(scheduler.study, scheduler.runs, scheduler.tests)


def _keep_place(store: Store) -> None:
    """So that a run of it can be made again from another folder."""
    task = store.study.workload
    path = path_within(task.data) if isinstance(task, WorkloadSpec) else None
    kept = store.place
    if path is not None and is_found(path) and (kept is None or not is_found(kept)):
        store.keep_place(relative_to(path, store.folder))


def _close(follower: Follower) -> None:
    """However the study has ended; what is wrong with a follower has been reported."""
    with suppress(sqlite3.Error, OSError):
        follower.close()


@contextmanager
def _open_or_create(
    folder: Path, study: StudySpec, task: Workload | OwnTraining, command: str
) -> Iterator[tuple[Store, str, tuple[str, ...]]]:
    """The store, what network and loss are, and what to report of them."""
    if not (folder / "study.sqlite").exists():
        identity = "" if isinstance(task, OwnTraining) else str(identify(task))
        with Store.create(folder, study, fingerprint=task.fingerprint, identity=identity, command=command) as store:
            yield store, identity, ()
        return
    with Store.open(folder) as store:
        larger = extended(study, asked=store.asked, settled=store.study, folder=folder)
        if isinstance(task, OwnTraining):
            notes = recognised_code(
                store.fingerprint,
                task,
                what=message("study {folder!r}", folder=str(folder)),
                remedy=message("name another --study"),
            )
            if larger.asked != store.asked:
                store.enlarge(asked=larger.asked, study=larger.study, command=command)
            yield store, "", notes
            return
        if store.fingerprint != task.fingerprint:
            raise UsageError(
                message(
                    "the data has changed since study {folder!r} was started; fix the seed of random data, or name "
                    "another --study",
                    folder=str(folder),
                )
            )
        identity, notes = recognised(
            store.identity,
            task,
            what=message("study {folder!r}", folder=str(folder)),
            remedy=message("name another --study to begin another"),
        )
        notes = (*notes, *check_retraced(store, task))
        if identity != store.identity:
            store.identify(identity)
        if larger.asked != store.asked:
            store.enlarge(asked=larger.asked, study=larger.study, command=command)
        yield store, identity, notes
