"""The coordinator: asks the plan what is missing, keeps workers busy, and alone writes to the store.

It can be killed at any moment: the store then holds every finished run, checkpoints hold the unfinished
ones, and the same study conducted again does the rest, to the same bits and the same decisions.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from calando.analysis import StudySummary, summarize
from calando.engine.centre import centre_grids
from calando.engine.executors.base import Executor, Failed, Finished, Lost, Outcome, Progress, Setup, Stopped
from calando.engine.executors.inline import InlineExecutor
from calando.engine.executors.process import ProcessExecutor
from calando.engine.plan import Find, Job, Look, Train, expected_runs, needed_checkpoints, pending
from calando.engine.work import checkpoint_folder, failure
from calando.errors import StudyStopped, UnknownName, UsageError, WorkerLost
from calando.records import RangeRecord, RunRecord, Store, StudySpec, TestScore
from calando.records.store import sole_coordinator
from calando.training.checkpoint import drop_checkpoint
from calando.workloads.workload import Workload

__all__ = ["ExecutorName", "Status", "conduct", "executor_named"]

ExecutorName = Literal["process", "inline"]

FORGIVEN_LOSSES = 3
POLL_SECONDS = 0.2


@dataclass
class Status:
    """How a study stands: what the live display shows.

    Args:
        done, expected: finished runs, and how many there will be (a grid may still be extended by one).
        queued: runs that could start but wait for a worker.
        running: by worker slot, the last report of each.
        finds: range tests still to make, before training.
        looks: test looks still to make, once training is over.
        steps_left: updates still to make, running ones' shares included.
        notes: sentences for the user: a worker lost, a grid extended.
    """

    expected: int
    done: int = 0
    queued: int = 0
    running: dict[int, Progress] = field(default_factory=dict)
    finds: int = 0
    looks: int = 0
    steps_left: int = 0
    notes: list[str] = field(default_factory=list)


def executor_named(name: str) -> ExecutorName:
    """The executor of that name.

    Raises:
        UnknownName: there is none.
    """
    match name:
        case "process" | "inline":
            return name
        case _:
            raise UnknownName("executor", name, ["inline", "process"])


def conduct(
    folder: Path,
    study: StudySpec,
    workload: Workload,
    *,
    data_dir: Path | None = None,
    given: bool = False,
    executor: ExecutorName = "process",
    workers: int = 1,
    command: str = "",
    listen: Callable[[Status], None] | None = None,
) -> StudySummary:
    """Make whatever `study` still needs in `folder`, and say what it concluded.

    Args:
        folder: the study's; created where it is not there.
        workload: already loaded, in this process.
        data_dir: for workers that load it themselves.
        given: the workload is the user's own object: it is sent to the workers as it is.
        command: the command line, kept with a new study for its report.
        listen: called after every change with the status.

    Raises:
        UsageError: the folder holds another study, or another process conducts it, or a run cannot be made.
        StudyStopped: a worker died too often, or the disk is full, or the page asked to stop.
        KeyboardInterrupt: after running jobs were put away.
    """
    with sole_coordinator(folder), _open_or_create(folder, study, workload.fingerprint, command) as store:
        conductor = _Conductor(folder, store, listen)
        if not conductor.complete:
            setup = Setup(
                workload=study.workload,
                given=workload if given else None,
                data_dir=data_dir,
                folder=folder,
                threads=study.lane.threads,
            )
            crew: Executor
            if executor == "inline":
                crew = InlineExecutor(setup, on_progress=conductor.on_progress)
            else:
                # More workers than runs would only load data.
                workers = max(1, min(workers, conductor.status.expected - conductor.status.done))
                crew = ProcessExecutor(setup, workers=workers, on_progress=conductor.on_progress)
            conductor.run(crew)
        return summarize(conductor.study, conductor.runs, conductor.tests)


class _Conductor:
    """The coordinator's state while a study runs: a view of the store, and what is in flight."""

    def __init__(self, folder: Path, store: Store, listen: Callable[[Status], None] | None) -> None:
        self.folder, self.study, self.store = folder, store.study, store
        self.ranges: dict[str, RangeRecord] = store.ranges()
        self.runs: dict[str, RunRecord] = store.runs()
        self.tests: dict[str, TestScore] = store.tests()
        self.in_flight: dict[str, Job] = {}
        self.losses: Counter[str] = Counter()
        self.listen = listen
        self.told = 0.0
        self.status = Status(expected=expected_runs(self.study))
        self.waiting: list[Job] = []
        self.replan()

    @property
    def complete(self) -> bool:
        return not self.waiting and not self.in_flight

    def replan(self) -> None:
        jobs = pending(self.study, runs=self.runs, tests=self.tests, ranges=self.ranges)
        if not jobs and self.study.find and not self.study.centres:
            self.settle()
            jobs = pending(self.study, runs=self.runs, tests=self.tests, ranges=self.ranges)
        self.waiting = [job for job in jobs if job.spec.digest() not in self.in_flight]
        status = self.status
        status.done = len(self.runs)
        status.finds = sum(isinstance(job, Find) for job in [*self.waiting, *self.in_flight.values()])
        status.queued = sum(isinstance(job, Train) for job in self.waiting)
        status.looks = sum(isinstance(job, Look) for job in self.waiting)
        training = sum(isinstance(job, Train) for job in self.in_flight.values())
        status.expected = max(expected_runs(self.study), status.done + status.queued + training)
        self.reckon()

    def settle(self) -> None:
        """Move the grids to what the range tests found, for good."""
        self.study = centre_grids(self.study, self.ranges)
        self.store.settle(self.study)
        for name, centre in self.study.centres.items():
            if centre.lr is None:
                self.status.notes.append(
                    f"{name}: the range test is not to be relied on ({'; '.join(centre.doubts)}); usual grid"
                )
            else:
                self.status.notes.append(f"{name}: grid centred on {centre.lr:g}, found by a range test")

    def reckon(self) -> None:
        made = sum(one.step for one in self.status.running.values() if not isinstance(one.job, Find))
        self.status.steps_left = (self.status.expected - self.status.done) * self.study.steps - made

    def on_progress(self, progress: Progress) -> None:
        self.status.running[progress.slot] = progress
        if time.monotonic() - self.told > POLL_SECONDS:
            self.reckon()
            self.tell()

    def tell(self) -> None:
        self.told = time.monotonic()
        if self.listen is not None:
            self.listen(self.status)

    def run(self, crew: Executor) -> None:
        """Keep `crew` busy until the study is complete."""
        try:
            while not self.complete:
                while self.waiting and len(self.in_flight) < crew.slots:
                    job = self.waiting.pop(0)
                    self.in_flight[job.spec.digest()] = job
                    crew.submit(job)
                self.replan()
                self.tell()
                for outcome in crew.poll(seconds=POLL_SECONDS):
                    self.take(outcome)
                if "stop" in self.store.take_commands():
                    raise StudyStopped("stopped from the page; the same command goes on where it stood")
        finally:
            for outcome in crew.stop():
                if isinstance(outcome, Finished):
                    self.take(outcome)
        self.tidy()

    def take(self, outcome: Outcome) -> None:
        """Settle one job."""
        digest = outcome.job.spec.digest()
        self.in_flight.pop(digest, None)
        running = self.status.running
        self.status.running = {slot: p for slot, p in running.items() if p.job.spec.digest() != digest}
        match outcome:
            case Finished(result=RunRecord() as record):
                self.store.put_run(record)
                self.runs[digest] = record
                self.tidy()
            case Finished(result=RangeRecord() as found):
                self.store.put_range(digest, found)
                self.ranges[digest] = found
            case Finished(result=TestScore() as test):
                self.store.put_test(digest, test)
                self.tests[digest] = test
            case Failed():
                raise failure(outcome)
            case Lost(reason=reason):
                self.losses[digest] += 1
                self.status.notes.append(f"a worker was lost ({reason}); its run goes on in another")
                if self.losses[digest] > FORGIVEN_LOSSES:
                    raise WorkerLost(
                        f"{outcome.job.spec.strategy.name} lost its worker {self.losses[digest]} times ({reason}); "
                        "try fewer --workers or a smaller --batch-size, then run the same command again"
                    )
            case Stopped():
                pass
        self.replan()

    def tidy(self) -> None:
        """Drop the checkpoints of finished runs that nobody will want again."""
        needed = needed_checkpoints(self.study, runs=self.runs)
        for digest, record in self.runs.items():
            if digest not in needed:
                drop_checkpoint(checkpoint_folder(self.folder, Train(record.spec)))


def _open_or_create(folder: Path, study: StudySpec, fingerprint: str, command: str) -> Store:
    if not (folder / "study.sqlite").exists():
        return Store.create(folder, study, fingerprint=fingerprint, command=command)
    store = Store.open(folder)
    if store.asked.digest() != study.digest():
        theirs, ours = store.asked.model_dump(), study.model_dump()
        differing = ", ".join(key for key in ours if ours[key] != theirs[key])
        raise UsageError(
            f"study folder {str(folder)!r} was made by another spec (differs in: {differing}); "
            "name another --study, or run the command that made it"
        )
    if store.fingerprint != fingerprint:
        raise UsageError(
            f"the data has changed since study {str(folder)!r} was started; name another --study to start anew"
        )
    return store
