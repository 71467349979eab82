"""The scheduler: asks the plan what is missing and the queue what is next, keeps workers busy, takes in what comes.

It alone writes to the store. It knows which leases are out, and ignores what any other reports.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, final

from calando.errors import StudyStopped, WorkerLost
from calando.language import message
from calando.records import RangeRecord, RunRecord, Store, TestScore
from calando.records.follower import Follower, Followers
from calando.standing import ETA
from calando.study.branch_start import start_of
from calando.study.checkpoint_cache import CheckpointCache
from calando.study.executors import Executor
from calando.study.grid_from_range_test import centre_grids, is_centred, notes_on_centres
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
from calando.study.standing import Status, study_standing
from calando.study.steered_study import StudyAsSteered
from calando.study.steering import Steering
from calando.study.verify import doubts_about
from calando.tasks.workload import Workload

__all__ = ["Scheduler", "Sharing"]

Sharing = Literal["checked", "verified", "none"]

FORGIVEN_LOSSES = 3
POLL_SECONDS = 0.2


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
        self.steps_known: dict[str, int] = {}  # of runs that have been in progress, as they reported last
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
                "rule",
                message("this study was started by an older calando, so each grid is extended by at most one rate"),
            )
        self.executor: Executor | None = None
        self.sent: frozenset[str] | None = None  # what of the user's own the workers were given; None: they have all
        self.stopping = False
        self.steered = StudyAsSteered(self)
        self.steering = Steering(store.folder, self.steered)
        self.look_queue: list[TestLook] = []
        self.find_queue: list[Find] = []
        self.replan()

    @property
    def complete(self) -> bool:
        trained = self.plan.trained and not self.steering.waiting
        return not self.leases and not self.find_queue and not self.look_queue and trained

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
        queue.resting = self.steering.resting
        return queue

    def doubt(self, shared: list[RunPath]) -> None:
        """Report where two equal runs differ; share nothing where a run from a fork is not what it would be alone."""
        sharing = shared if self.sharing != "none" else []
        if isinstance(self.task, OwnTraining) or (not sharing and self.task.is_ours):
            return  # our own networks, losses and data repeat themselves
        self.doubted, thoroughly = True, bool(sharing) and self.sharing == "verified"
        spec = shared[0].spec if shared else next(iter(self.plan.wanted.values())).spec
        notes, shares = doubts_about(spec, self.task, sharing=sharing, thoroughly=thoroughly)
        self.sharing = self.sharing if shares else "none"
        for note in notes:
            self.report(note)

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
        status.looks, status.may_come = len(self.look_queue), self.plan.may_come
        self.count_steps()

    def settle(self) -> None:
        """Move the grids to what the range tests found, for good."""
        before = self.study.centres
        self.study = self.status.study = centre_grids(self.study, self.ranges)
        self.store.settle(self.study)
        for note in notes_on_centres(self.study, before=before):
            self.tell(note)

    def count_steps(self) -> None:
        made = sum(one.now.step for one in self.status.running.values() if not isinstance(one.job, Find))
        self.status.steps = expected_updates(self.study, self.plan.seeds)
        self.status.steps_left = max(0, self.status.steps - self.charged - made)

    def on_progress(self, progress: JobProgress) -> None:
        if progress.lease.number not in self.leases:
            return
        before = self.status.running.get(progress.slot)
        self.status.running[progress.slot] = progress
        self.steps_known[progress.job.spec.digest()] = progress.now.step
        if isinstance(progress.job, Train):
            self.look_for_commands()
            if before is None or before.lease.number != progress.lease.number:
                self.followers.began(progress.job.spec, progress.slot)
                self.steering.began(progress.job.spec.digest())
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
        self.executor = executor
        try:
            while not self.complete:
                while len(self.leases) < executor.slots and (lease := self.next_lease()) is not None:
                    self.leases[lease.number] = lease
                    executor.submit(lease)
                idle = executor.slots - len(self.leases)
                if idle and self.queue.waiting:
                    self.note_once(
                        "idle",
                        message(
                            "{idle} of {slots} workers wait: the runs left start from those being trained",
                            idle=idle,
                            slots=executor.slots,
                        ),
                    )
                self.see_that_somebody_goes_on()
                self.count()
                self.show()
                if not self.leases:
                    time.sleep(POLL_SECONDS)  # somebody has paused all that is left
                for outcome in executor.poll(seconds=POLL_SECONDS):
                    self.take(outcome)
                self.look_for_commands()
                if self.stopping:
                    raise StudyStopped(message("stopped by command; the command that started it goes on from there"))
        finally:
            if self.leases:
                leaving = message(
                    "saving the runs under way; Ctrl-C again ends at once"
                    if isinstance(sys.exception(), KeyboardInterrupt)
                    else "saving the runs under way"
                )
                self.note_once("leaving", leaving)
                self.show()
            for outcome in executor.stop():
                if isinstance(outcome, Left | Finished):
                    self.take(outcome)
            self.followers.close()
            self.steering.close()
            self.show()
        self.trim()

    def next_lease(self) -> Lease | None:
        number = next(self.numbers)
        if self.find_queue:
            return Lease(number, self.find_queue.pop(0))
        job = self.steering.next(self.steered.in_progress()) or self.queue.next(number)
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
            case Failed(fault="user") if digest in self.steering.branches:
                # What a person asked for by hand ends no study that was asked for before.
                self.steering.gave_up(digest)
                self.queue.ended(number, digest)
                why = outcome.message
                self.tell(
                    message("the branch {digest} failed, and is not tried again here: {why}", digest=digest, why=why)
                )
            case Failed():
                raise failure(outcome)
            case Lost(reason=reason):
                self.steering.was_lost(digest)
                self.losses[digest] += 1
                self.tell(
                    message(
                        "a worker was lost ({reason}); its run goes on in another, loss {losses} of at most {most}",
                        reason=reason,
                        losses=self.losses[digest],
                        most=FORGIVEN_LOSSES,
                    )
                )
                if self.losses[digest] > FORGIVEN_LOSSES:
                    raise WorkerLost(
                        message(
                            "{name} lost its worker {count} times ({why}); {remedy}, then run the same command again",
                            name=job.spec.strategy.name,
                            count=self.losses[digest],
                            why=reason,
                            remedy=outcome.remedy,
                        )
                    )
                self.put_back(number, job)
            case Stopped():
                self.put_back(number, job)
                if isinstance(job, Train):
                    self.steering.was_put_away(job.spec, step=self.steps_known.get(digest, 0))

    def took_run(self, number: int, digest: str, record: RunRecord) -> None:
        """Record a finished run, queue the runs that depend on it, and drop its traces from memory."""
        self.followers.ended(record)
        self.steering.has_ended(digest)
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
            note = message("checkpoints beyond --keep are dropped; what needs one again is trained again")
            self.note_once("keep", note)

    def held(self) -> set[str]:
        """Checkpoints that must stay: those that runs in progress start from, and final weights to be looked at."""
        starts = {start_of(one).address for one in self.steering.branches.values()}
        origins = starts | {
            job.origin.address
            for job in (lease.job for lease in self.leases.values())
            if isinstance(job, Train) and job.origin
        }
        looked_at = {lease.job.spec.digest() for lease in self.leases.values()}
        return origins | looked_at | self.plan.awaited_looks()

    # What a person asks of runs

    def look_for_commands(self) -> None:
        """Carry out what was asked, a few times a second."""
        if self.steering.look():
            self.stopping = True
            for digest in self.steered.in_progress():
                self.steered.put_away(digest)  # it may be in this very process, whose loop is reached only then

    def see_that_somebody_goes_on(self) -> None:
        """Wait for whoever paused a run; end where nobody is expected to let the runs that rest go on."""
        if self.leases or not self.steering.resting or self.queue.queued > len(self.queue.asleep):
            return
        if paused := self.steered.paused_note(self.steering.resting):
            self.note_once("paused", paused)
        elif lacking := self.steered.lacking_note(self.steering.resting):
            raise StudyStopped(lacking)

    def note_once(self, what: str, note: str) -> None:
        if what not in self.noted:
            self.noted.add(what)
            self.tell(note)
