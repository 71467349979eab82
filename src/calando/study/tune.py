"""A tuning from its question to its answer: open its folder, replay the rules on what is stored, make what is missing.

The rules (`calando.analysis.race`) are replayed from their beginning each time: they ask for legs, which are answered
from the store where they were trained before, and are trained by the executor's workers where not. Legs that are asked
for together are trained side by side. So a tuning that was killed goes on, to the same bits and the same answer, and
neither depends on the number of workers.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from calando.analysis.also import Proposed, Tried
from calando.analysis.arms import Leg, Traced
from calando.analysis.ride import Settled
from calando.analysis.tuned import Stored, TuneResult, as_stored, game_of
from calando.errors import CorruptFile, WorkerLost, plain
from calando.language import message
from calando.methods import find_method
from calando.records import RunSpec, TestScore
from calando.records.files import sweep
from calando.records.follower import Follower, Followers
from calando.records.kept_runs import joined
from calando.records.live import live_in
from calando.records.record import Event
from calando.records.store import sole_coordinator
from calando.records.tuning import Piece, TuneSpec, TuneStore
from calando.registry import own_entries
from calando.schedules.function import functions_named
from calando.standing import ETA
from calando.study.checkpoint_cache import run_folder
from calando.study.executors import Executor, find_executor
from calando.study.jobs import (
    Failed,
    Finished,
    Job,
    JobProgress,
    Lease,
    Lost,
    Outcome,
    Stopped,
    TestLook,
    TrainPiece,
)
from calando.study.own_training import OwnTraining
from calando.study.own_weights import drop_others, take_weights
from calando.study.perform_job import failure
from calando.study.stages import RunPath
from calando.study.standing import tuning_standing
from calando.study.tune_folder import open_or_create
from calando.study.workers.by_value import check_sendable
from calando.study.workers.messages import REGISTRIES, Setup
from calando.tasks.workload import Workload
from calando.training.checkpoint import drop_checkpoint, export_weights

__all__ = ["TuneStatus", "conduct_tuning"]

FORGIVEN_LOSSES = 3
POLL_SECONDS = 0.2


@dataclass
class TuneStatus:
    """How a tuning stands: what is shown while it goes on.

    Args:
        arms: rate -> (updates made, last training loss) of every leg that was trained.
        running: by worker slot, the last report of each.
        charged: updates so far.
    """

    spec: TuneSpec
    folder: Path
    arms: dict[float, tuple[int, float]] = field(default_factory=dict)
    running: dict[int, JobProgress] = field(default_factory=dict)
    charged: float = 0.0
    looking: bool = False
    notes: list[str] = field(default_factory=list)
    machine: str = ""


def _job(stored: Stored, leg: Leg) -> TrainPiece:
    """What trains a leg: on from its run's last piece, or from where its cut says; of a person's own code, the run."""
    run = stored.run(leg)
    if stored.spec.whole:
        return TrainPiece(run, start=0, until=leg.until)
    known = stored.pieces.get(run.digest(), [])
    if known:
        return TrainPiece(run, start=known[-1].until, until=leg.until, leave=not leg.also)
    if leg.cuts and leg.cuts[-1][0]:
        step = leg.cuts[-1][0]
        return TrainPiece(run, start=step, until=leg.until, origin=RunPath(run).fork(step, seed=run.seed), leave=True)
    # Only a run that may go back after a death needs places to go back to.
    return TrainPiece(run, start=0, until=leg.until, leave=not leg.also)


def _failed(outcome: Failed) -> Piece:
    """A whole run whose code raised an error; how far it came is not known, so it is charged to its end."""
    run = outcome.lease.job.spec
    return Piece(
        spec=run,
        start=0,
        stop=0,
        until=run.steps,
        since=0,
        losses=np.zeros(0, np.float32),
        events=(Event(0, "failed", outcome.message),),
        charged=run.steps * find_method(run.strategy.method).passes,
        diverged=True,
    )


def conduct_tuning(
    folder: Path,
    spec: TuneSpec,
    task: Workload | OwnTraining,
    *,
    data_dir: Path | None = None,
    given: bool = False,
    executor: str = "inline",
    workers: int = 1,
    address: str | None = None,
    command: str = "",
    machine: str = "",
    listen: Callable[[TuneStatus], None] | None = None,
    followers: Sequence[Follower] = (),
) -> TuneResult:
    """Train whatever the question still needs, look at the test part once, and write the weights.

    Args:
        folder: the tuning's; `weights.safetensors` is written there.
        task: loaded, in this process, or a person's own training code; `given`: it is the user's own object and is
            sent to workers as it is.
        executor, workers, address: as for `calando.study.conduct`.
        listen: called after every change with the status.
        followers: what hears of every arm, see `calando.records.follower`: one that is put away may go on; the answer
            ends, with a record of all its pieces.

    Raises:
        UsageError: the folder holds another tuning, another process conducts it, or a run cannot be made.
        StudyStopped: a worker died too often, or the disk is full.
        KeyboardInterrupt: what was trained is kept.
    """
    entry = find_executor(executor)
    if entry.prepare is not None:
        entry.prepare()
    with sole_coordinator(folder):
        store, identity, notes = open_or_create(folder, spec, task, command)
        with store:
            status = TuneStatus(spec=spec, folder=folder, notes=[*task.notes, *task.doubts, *task.cautions, *notes])
            status.machine = machine
            live, lacking = live_in(folder)
            status.notes += lacking
            tuning = _Tuning(store, spec, status, listen, (*live, *followers))
            sweep(folder, *folder.glob("checkpoints/*"), *folder.glob("forks/*"))
            setup = Setup(
                task=spec.workload,
                given=task if given else None,
                data_dir=data_dir,
                folder=folder.absolute(),
                threads=spec.lane.threads,
                device=spec.lane.device,
                fingerprint=task.fingerprint,
                identity=identity,
                functions=functions_named(spec.strategy.text),
                entries=own_entries(spec.strategy.text, REGISTRIES),
            )
            if entry.pickles:
                check_sendable(setup.given, setup.functions, setup.entries)
            progress = tuning.on_progress
            return tuning.run(partial(entry.make, setup, workers=workers, on_progress=progress, address=address))


class _Tuning:
    """A tuning while it goes on; the only one who writes to its store."""

    def __init__(
        self,
        store: TuneStore,
        spec: TuneSpec,
        status: TuneStatus,
        listen: Callable[[TuneStatus], None] | None,
        followers: Sequence[Follower],
    ) -> None:
        self.store, self.spec, self.status, self.listen = store, spec, status, listen
        self.followers = Followers(followers, tell=status.notes.append)
        self.stored = Stored(spec, store.pieces())
        status.charged = sum(map(self.cost, itertools.chain(*self.stored.pieces.values())))
        self.numbers, self.losses = itertools.count(1), Counter[str]()
        self.leases: dict[int, Lease] = {}
        self.shown, self.eta = 0.0, ETA()
        for note in status.notes:
            self.followers.noted(note)
        self.executor: Executor | None = None
        if listen is None:
            for note in status.notes:
                print(note, file=sys.stderr)

    def run(self, make: Callable[[], Executor]) -> TuneResult:
        """Replay the rules, train what they ask for, and look at the test part at the end."""
        self.make = make
        self.show()
        try:
            settled = self.settled()
            run = self.stored.run(settled.leg)
            last = self.stored.pieces[run.digest()][-1]
            if self.spec.whole:
                self.take_weights(run, steps=last.stop)
            else:
                self.write_weights(run)
            if self.store.meta("tested") != run.digest():
                self.followers.answered(joined(self.stored.pieces[run.digest()]).whole())
            test = self.look(run, diverged=last.diverged)
        finally:
            if self.executor is not None:
                for outcome in self.executor.stop():
                    if isinstance(outcome, Finished):
                        self.take(outcome)
            self.followers.close()
            self.show()
        # Only a death would have needed them.
        for path in (self.store.folder / "forks").glob("*"):
            drop_checkpoint(path)
        return self.stored.result(settled, test)

    def settled(self) -> Settled:
        game = game_of(self.spec, self.propose)
        try:
            legs = next(game)
            while True:
                legs = game.send(self.answers(legs))
        except StopIteration as end:
            settled: Settled = end.value
            return settled

    def propose(self, tried: Sequence[Tried]) -> Proposed:
        """What is tried next: as it was proposed before, else as the sampler says, which is kept first."""
        known = as_stored(self.store.proposals)(tried)
        if known is None:
            from calando.study.proposals import propose

            known = propose(self.spec, tried)
            self.store.put_proposal(known)
        return known

    def answers(self, legs: Sequence[Leg]) -> dict[Leg, Traced]:
        """Train the legs that have not been trained."""
        self.work([_job(self.stored, leg) for leg in legs if self.stored.traced(leg) is None])
        answers = {}
        for leg in legs:
            traced = self.stored.traced(leg)
            assert traced is not None
            answers[leg] = traced
            last = float(traced.losses[-1]) if traced.step else float("nan")
            self.status.arms[leg.rate] = traced.step, last
        self.show()
        return answers

    def work(self, jobs: list[Job]) -> None:
        """Keep the executor busy until these jobs are done."""
        if not jobs:
            return
        if self.executor is None:
            self.executor = self.make()
        waiting = list(jobs)
        while waiting or self.leases:
            while waiting and len(self.leases) < self.executor.slots:
                lease = Lease(next(self.numbers), waiting.pop(0))
                self.leases[lease.number] = lease
                self.executor.submit(lease)
            for outcome in self.executor.poll(seconds=POLL_SECONDS):
                waiting += self.take(outcome)
            self.show()

    def take(self, outcome: Outcome) -> list[Job]:
        """Record what came of a lease; jobs that are to be tried again."""
        number, job = outcome.lease.number, outcome.lease.job
        if self.leases.get(number) is None or not isinstance(outcome, Finished | Failed | Lost | Stopped):
            return []
        del self.leases[number]
        self.status.running = {slot: p for slot, p in self.status.running.items() if p.lease.number != number}
        if isinstance(job, TrainPiece):
            self.followers.left(job.spec)
        match outcome:
            case Finished(result=Piece() as piece) if self.stored.knows(piece):
                pass
            case Finished(result=Piece() as piece):
                self.store.put(piece)
                self.stored.add(piece)
                self.status.charged += self.cost(piece)
            case Finished(result=TestScore() as score):
                self.store.put_test(job.spec.digest(), score)
                self.followers.tested(job.spec, score)
            case Failed() if self.is_lost(outcome):
                piece = _failed(outcome)
                self.store.put(piece)
                self.stored.add(piece)
                self.status.charged += self.cost(piece)
                self.tell(
                    message(
                        "{lr:.3g}: {message}; it counts as lost, as a whole run",
                        lr=job.spec.lr,
                        message=outcome.message,
                    )
                )
            case Failed():
                raise failure(outcome)
            case Lost(reason=reason):
                digest = job.spec.digest()
                self.losses[digest] += 1
                self.tell(message("a worker was lost ({reason}); its run goes on in another", reason=reason))
                if self.losses[digest] > FORGIVEN_LOSSES:
                    raise WorkerLost(
                        message(
                            "lost a worker {losses} times ({reason}); try fewer --workers or a smaller --batch-size, "
                            "then run the same command again",
                            losses=self.losses[digest],
                            reason=reason,
                        )
                    )
                return [job]
            case Stopped():
                return [job]
        return []

    def is_lost(self, outcome: Failed) -> bool:
        """Whether an error of a person's own code is the rate's fault: at the usual rate it is the code's."""
        run = outcome.lease.job.spec
        at_usual = run.lr == self.spec.strategy.lr
        return self.spec.whole and outcome.fault == "user" and not at_usual

    def cost(self, piece: Piece) -> float:
        return piece.charged if self.spec.whole else (piece.stop - piece.start) * self.spec.passes

    def look(self, run: RunSpec, *, diverged: bool) -> TestScore:
        """The test score of the answer: looked at once."""
        if self.store.meta("tested") != run.digest():
            self.status.looking = True
            self.work([TestLook(run, diverged=diverged)])
        score = self.store.test
        assert score is not None
        return score

    def take_weights(self, run: RunSpec, *, steps: int) -> None:
        """Of a person's own code: those that its run has kept, if any."""
        folder = self.store.folder
        there = self.store.meta("weights of") == run.digest() and (folder / self.store.meta("weights")).exists()
        if not there:
            left = take_weights(folder, run, steps=steps)
            for key, value in (("weights", left.name), ("lacking", left.lacking), ("weights of", run.digest())):
                self.store.put_meta(key, value)
        drop_others(folder, run)

    def write_weights(self, run: RunSpec) -> None:
        """From the answer's checkpoint; one that is gone or damaged is made again, to the same bits."""
        folder, weights = run_folder(self.store.folder, run.digest()), self.store.folder / "weights.safetensors"
        try:
            export_weights(folder, weights)
        except CorruptFile as error:
            self.tell(
                message("the run is trained again, to the same bits: {reason}", reason=plain(str(error)).split(";")[0])
            )
            drop_checkpoint(folder)
            last = self.stored.pieces[run.digest()][-1]
            self.work([TrainPiece(run, start=last.start, until=last.until)])
            export_weights(folder, weights)

    def on_progress(self, progress: JobProgress) -> None:
        if progress.lease.number in self.leases:
            before = self.status.running.get(progress.slot)
            self.status.running[progress.slot] = progress
            if isinstance(progress.job, TrainPiece):
                if before is None or before.lease.number != progress.lease.number:
                    self.followers.began(progress.job.spec, progress.slot)
                self.followers.progressed(progress.job.spec, progress.now)
            if time.monotonic() - self.shown > POLL_SECONDS:
                self.show()

    def tell(self, note: str) -> None:
        """Add a note."""
        self.status.notes.append(note)
        self.followers.noted(note)

    def show(self) -> None:
        self.shown = time.monotonic()
        self.followers.stands(tuning_standing(self.status, self.eta))
        if self.listen is not None:
            self.listen(replace(self.status, notes=list(self.status.notes)))
