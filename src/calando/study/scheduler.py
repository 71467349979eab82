"""The scheduler: asks the plan what is missing and the queue what is next, keeps workers busy, takes in what comes.

It alone writes to the store. It knows which leases are out, and ignores what any other reports.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, final

from calando.errors import StudyStopped, WorkerLost
from calando.records import RangeRecord, RunRecord, Store, StudySpec, TestScore
from calando.records.follower import Follower, Followers
from calando.standing import ETA
from calando.study.checkpoint_cache import CheckpointCache
from calando.study.executors import Executor
from calando.study.grid_from_range_test import centre_grids, is_centred
from calando.study.jobs import (
    Failed,
    Find,
    Finished,
    Job,
    JobProgress,
    Lease,
    Left,
    Lost,
    Outcome,
    Stopped,
    TestLook,
    Train,
)
from calando.study.limits import expected_updates
from calando.study.own_training import OwnTraining
from calando.study.perform_job import failure
from calando.study.plan import Plan
from calando.study.run_queue import RunQueue
from calando.study.stages import Fork, RunPath
from calando.study.standing import study_standing
from calando.study.verify import difference_when_repeated, quick_doubt, thorough_doubt
from calando.tasks.workload import Workload

__all__ = ["Scheduler", "Sharing", "Status"]

Sharing = Literal["checked", "verified", "none"]

FORGIVEN_LOSSES = 3
POLL_SECONDS = 0.2


@dataclass
class Status:
    """How a study stands: what the live display shows.

    Args:
        study, folder: which study, and where it is.
        done, expected: finished runs, and how many there will be (a grid may still be extended by one; where seeds are
            added until verdicts are settled, those asked for so far).
        queued: runs that could start but wait for a worker.
        running: by worker slot, the last report of each.
        finds: range tests still to make, before training.
        looks: test looks still to make, once training is over.
        steps_left: updates still to make, running ones' shares included.
        steps: updates of all runs asked for so far, each as if trained alone.
        notes: sentences for the user: how the data were read, a worker lost, a grid extended.
        machine: device, precision, threads and workers, with what decided those that nobody asked for; "": unknown.
    """

    study: StudySpec
    folder: Path
    expected: int
    done: int = 0
    queued: int = 0
    running: dict[int, JobProgress] = field(default_factory=dict)
    finds: int = 0
    looks: int = 0
    steps_left: int = 0
    steps: int = 0
    notes: list[str] = field(default_factory=list)
    machine: str = ""


@final
class Scheduler:
    """A study while it runs: a view of the store, and what is out on lease.

    Args:
        store: the study's; nobody else writes to it.
        workload: for seeing whether its runs can be forked.
        keep, sharing, listen, followers: as for `conduct`.
        notes: what to report at the start.
        machine: as `Status.machine`.
    """

    def __init__(
        self,
        store: Store,
        task: Workload | OwnTraining,
        *,
        keep: int,
        sharing: Sharing,
        listen: Callable[[Status], None] | None,
        followers: Sequence[Follower] = (),
        notes: Sequence[str] = (),
        machine: str = "",
    ) -> None:
        self.study, self.store, self.task, self.sharing, self.listen = store.study, store, task, sharing, listen
        self.doubted = False
        self.ranges: dict[str, RangeRecord] = store.ranges()
        self.runs: dict[str, RunRecord] = store.runs(traces=False)
        self.tests: dict[str, TestScore] = store.tests()
        self.cache = CheckpointCache(store.folder, finished=self.runs, keep=keep)
        self.leases: dict[int, Lease] = {}
        self.numbers = itertools.count(1)
        self.losses: Counter[str] = Counter()
        self.noted: set[str] = set()
        self.shown, self.eta = 0.0, ETA()
        self.charged = sum(record.spec.steps for record in self.runs.values())
        known = (*store.notes, *task.notes, *task.doubts, *task.cautions)
        self.followers = Followers(followers, tell=self.tell)
        self.status = Status(study=store.study, folder=store.folder, expected=0, notes=[], machine=machine)
        for note in known:
            self.tell(note)
        for note in notes:
            self.report(note)
        if self.study.beyond is None and self.study.rate_grids:
            self.note_once(
                "rule", "this study was started by an older calando, so each grid is extended by at most one rate"
            )
        self.look_queue: list[TestLook] = []
        self.find_queue: list[Find] = []
        self.replan()

    @property
    def complete(self) -> bool:
        return not self.leases and not self.find_queue and not self.look_queue and self.plan.trained

    def replan(self) -> None:
        """Make the plan: at the start, and again when range tests have moved the grids."""
        self.plan = Plan(self.study, runs=self.runs, tests=self.tests, ranges=self.ranges)
        if not self.plan.finds and not is_centred(self.study):
            self.settle()
            self.plan = Plan(self.study, runs=self.runs, tests=self.tests, ranges=self.ranges)
        self.queue = self.new_queue()
        if not self.doubted and self.plan.wanted:
            self.doubt(self.queue.shared)
            self.queue = self.new_queue()
        self.find_queue = self.plan.finds
        self.look_queue = self.plan.looks()
        self.count()

    def new_queue(self) -> RunQueue:
        """What is wanted, in the order in which it starts."""
        queue = RunQueue(self.plan, self.cache, sharing=self.sharing != "none")
        for digest, record in self.runs.items():
            if digest in self.cache:
                queue.finished(record.spec)
        return queue

    def doubt(self, shared: list[RunPath]) -> None:
        """Report where two equal runs differ; share nothing where a run from a fork is not what it would be alone."""
        sharing = shared if self.sharing != "none" else []
        if isinstance(self.task, OwnTraining) or (not sharing and self.task.is_ours):
            return  # our own networks, losses and data repeat themselves
        self.doubted, thoroughly = True, bool(sharing) and self.sharing == "verified"
        spec = shared[0].spec if shared else next(iter(self.plan.wanted.values())).spec
        wavering, moved = ("", ()) if self.task.is_ours else difference_when_repeated(spec, self.task)
        doubt = wavering or (thorough_doubt(shared, self.task) if thoroughly else quick_doubt(spec, self.task))
        if wavering:
            self.sharing = "none"
            self.report(f"scores depend on the order of runs and on the number of workers: {doubt}")
        elif moved:
            names = ", ".join(moved[:3]) + (" …" if len(moved) > 3 else "")
            self.report(
                "scores may depend on the order of runs and on the number of workers: training changes what all runs "
                f"share ({names}); keep it in the network, the loss or the Dataset, of which each run has its own"
            )
        if doubt and not wavering:
            self.sharing = "none"
            effect = (
                "nothing is shared between runs" if sharing else "a stopped run would not resume to the same result"
            )
            self.report(f"{effect}: {doubt}")
        elif thoroughly:
            self.tell("runs that start from another's checkpoint equal those trained alone, to the bit")

    def tell(self, note: str) -> None:
        """Add a note."""
        self.status.notes.append(note)
        self.followers.noted(note)

    def report(self, note: str) -> None:
        """Add a note needed to read the scores; without a listener, print it to standard error."""
        self.tell(note)
        if self.listen is None:
            print(note, file=sys.stderr)

    def count(self) -> None:
        """Bring up to date what the live display shows."""
        status, out = self.status, [lease.job for lease in self.leases.values()]
        status.done, status.expected = self.plan.done, self.plan.expected
        status.finds = len(self.find_queue) + sum(isinstance(job, Find) for job in out)
        status.queued = self.queue.queued
        status.looks = len(self.look_queue)
        self.count_steps()

    def settle(self) -> None:
        """Move the grids to what the range tests found, for good."""
        before = self.study.centres
        self.study = self.status.study = centre_grids(self.study, self.ranges)
        self.store.settle(self.study)
        for name, centre in self.study.centres.items():
            if name in before:
                continue
            if centre.lr is None and centre.updates == 0:
                self.tell(f"{name}: no range test: {'; '.join(centre.doubts)}")
            elif centre.lr is None:
                self.tell(
                    f"{name}: the range test is not reliable ({'; '.join(centre.doubts)}); the usual grid is kept"
                )
            else:
                self.tell(f"{name}: grid centred on {centre.lr:g}, found by a range test")

    def count_steps(self) -> None:
        made = sum(one.now.step for one in self.status.running.values() if not isinstance(one.job, Find))
        self.status.steps = expected_updates(self.study, self.plan.seeds)
        self.status.steps_left = max(0, self.status.steps - self.charged - made)

    def on_progress(self, progress: JobProgress) -> None:
        if progress.lease.number not in self.leases:
            return
        before = self.status.running.get(progress.slot)
        self.status.running[progress.slot] = progress
        if isinstance(progress.job, Train):
            if before is None or before.lease.number != progress.lease.number:
                self.followers.began(progress.job.spec, progress.slot)
            self.followers.progressed(progress.job.spec, progress.now)
        if time.monotonic() - self.shown > POLL_SECONDS:
            self.count_steps()
            self.show()

    def show(self) -> None:
        self.shown = time.monotonic()
        self.followers.stands(study_standing(self.status, self.eta))
        if self.listen is not None:
            self.listen(self.status)

    def run(self, executor: Executor) -> None:
        """Keep `executor` busy until the study is complete."""
        # A command that came too late for an earlier session is not for this one.
        self.store.take_commands()
        try:
            while not self.complete:
                while len(self.leases) < executor.slots and (lease := self.next_lease()) is not None:
                    self.leases[lease.number] = lease
                    executor.submit(lease)
                idle = executor.slots - len(self.leases)
                if idle and self.queue.waiting:
                    self.note_once(
                        "idle",
                        f"{idle} of {executor.slots} workers wait: the runs left start from those being trained",
                    )
                self.count()
                self.show()
                for outcome in executor.poll(seconds=POLL_SECONDS):
                    self.take(outcome)
                if "stop" in self.store.take_commands():
                    raise StudyStopped("stopped from the page; the same command goes on from there")
        finally:
            if self.leases:
                again = "; Ctrl-C again ends at once" if isinstance(sys.exception(), KeyboardInterrupt) else ""
                self.note_once("leaving", f"saving the runs under way{again}")
                self.show()
            for outcome in executor.stop():
                if isinstance(outcome, Left | Finished):
                    self.take(outcome)
            self.followers.close()
        self.trim()

    def next_lease(self) -> Lease | None:
        number = next(self.numbers)
        if self.find_queue:
            return Lease(number, self.find_queue.pop(0))
        job = self.queue.next(number)
        if job is None and self.look_queue:
            return Lease(number, self.look_queue.pop(0))
        return None if job is None else Lease(number, job)

    def take(self, outcome: Outcome) -> None:
        """Record a lease's outcome; outcomes of ended leases are ignored."""
        number, job = outcome.lease.number, outcome.lease.job
        if number not in self.leases:
            return
        if isinstance(outcome, Left):
            self.cache.put(outcome.fork)
            self.queue.left(outcome.fork)
            self.trim()
            return
        digest = job.spec.digest()
        del self.leases[number]
        running = self.status.running
        self.status.running = {slot: p for slot, p in running.items() if p.lease.number != number}
        match outcome:
            case Finished(result=RunRecord() as record):
                self.store.put_run(record)
                self.took_run(number, digest, record)
            case Finished(result=RangeRecord() as found):
                self.store.put_range(digest, found)
                self.ranges[digest] = found
                if not self.find_queue and not self.leases:
                    self.replan()
            case Finished(result=TestScore() as test):
                self.store.put_test(digest, test)
                self.tests[digest] = test
                self.followers.tested(job.spec, test)
                if wanted := self.plan.read():
                    self.queue.put(wanted)
                    self.tell(self.plan.look_taken)
                elif not self.leases and not self.look_queue:
                    self.look_queue = self.plan.looks()
            case Failed():
                raise failure(outcome)
            case Lost(reason=reason):
                self.losses[digest] += 1
                self.tell(
                    f"a worker was lost ({reason}); its run goes on in another, "
                    f"loss {self.losses[digest]} of at most {FORGIVEN_LOSSES}"
                )
                if self.losses[digest] > FORGIVEN_LOSSES:
                    raise WorkerLost(
                        f"{job.spec.strategy.name} lost its worker {self.losses[digest]} times ({reason}); "
                        f"{_remedy(reason)}, then run the same command again"
                    )
                self.put_back(number, job)
            case Stopped():
                self.put_back(number, job)

    def took_run(self, number: int, digest: str, record: RunRecord) -> None:
        """Record a finished run, queue the runs that depend on it, and drop its traces from memory."""
        self.followers.ended(record)
        nothing = record.losses[:0], record.rates[:0]
        self.runs[digest] = replace(record, losses=nothing[0], rates=nothing[1])
        self.charged += record.spec.steps
        self.queue.put(self.plan.took(digest))
        self.queue.ended(number, digest)
        self.cache.put(Fork(record.steps_done, digest, final=True))
        self.queue.finished(record.spec)
        self.look_queue = self.plan.looks()
        self.trim()

    def put_back(self, number: int, job: Job) -> None:
        """A job that came to nothing is queued again."""
        match job:
            case Train():
                self.followers.left(job.spec)
                self.queue.ended(number, job.spec.digest())
            case Find():
                self.find_queue.insert(0, job)
            case TestLook():
                self.look_queue.insert(0, job)

    def trim(self) -> None:
        """Drop the checkpoints that the budget has no room for."""
        dropped = self.cache.trim(wanted=self.queue.useful, held=self.held)
        if dropped:
            self.note_once("keep", "checkpoints beyond --keep are dropped; what needs one again is trained again")

    def held(self) -> set[str]:
        """Checkpoints that must stay: those that runs in progress start from, and final weights to be looked at."""
        origins = {
            job.origin.address
            for job in (lease.job for lease in self.leases.values())
            if isinstance(job, Train) and job.origin
        }
        looked_at = {lease.job.spec.digest() for lease in self.leases.values()}
        return origins | looked_at | self.plan.awaited_looks()

    def note_once(self, what: str, note: str) -> None:
        if what not in self.noted:
            self.noted.add(what)
            self.tell(note)


def _remedy(reason: str) -> str:
    """What helps where a run's workers die again and again."""
    if "exited with status" in reason:
        return 'its own code ends the process: see what it printed, or train in this process (executor="inline")'
    if "no sign of life" in reason:
        return 'find what stops its process, try fewer --workers, or train in this process (executor="inline")'
    return "try fewer --workers or a smaller --batch-size"
