"""Do one job, wherever it runs: the only place where `study` trains, but for `verify`."""

from __future__ import annotations

import math
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from calando.analysis.range_curves import Rule
from calando.errors import CalandoError, CodeFailed, CorruptFile, DiskFull, UsageError, line_of, reason_of, said_by
from calando.language import message
from calando.range_test import Found, find_for_run
from calando.records import RangeRecord, RunRecord, TestScore
from calando.records.follower import Progress
from calando.records.tuning import Piece
from calando.study.checkpoint_cache import place, run_folder
from calando.study.jobs import Failed, Find, Finished, Lease, Left, Look, Outcome, Stopped, TestLook, Train, TrainPiece
from calando.study.own_training import OwnTraining, perform_own
from calando.study.stages import Fork, RunPath
from calando.tasks.workload import Workload
from calando.training.checkpoint import Place, drop_checkpoint, load_weights
from calando.training.evaluate import evaluate
from calando.training.lane import holding_lane
from calando.training.loop import Interrupted, execute
from calando.training.state import TrainState, start

__all__ = ["failure", "perform", "range_record"]

PROGRESS_SECONDS = 0.1

Report = Callable[[Progress], bool]
"""Called with how far a run is; True asks to stop."""


def perform(
    lease: Lease,
    task: Workload | OwnTraining,
    study_folder: Path,
    *,
    report: Report,
    left: Callable[[Left], None],
    slot: int = 0,
    threads: int = 1,
) -> Outcome:
    """Do a job.

    Args:
        slot, threads: of the worker, for a process that it starts.
        report: called every tenth of a second or so; True asks to stop.
        left: called with each fork that is on disk for others.
    """
    job = lease.job
    try:
        if isinstance(task, OwnTraining):
            return perform_own(lease, task, study_folder, slot=slot, threads=threads, report=report)
        match job:
            case TestLook():
                return Finished(lease, _look(job, task, study_folder))
            case Find():
                return Finished(lease, _find(job, task, report))
            case Look():
                raise AssertionError("our own loop is looked at by range tests")
            case Train():
                return Finished(lease, _train(job, task, study_folder, report, lambda f: left(Left(lease, f))))
            case TrainPiece():
                return Finished(lease, _piece(job, task, study_folder, report))
    except Interrupted:
        return Stopped(lease)
    except DiskFull as error:
        return Failed(lease, "disk", said_by(error))
    except UsageError as error:
        return Failed(lease, "user", line_of(error))
    except BaseException as error:  # the user's network, loss or data set may raise anything
        if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            raise  # workers ignore Ctrl-C: there, the user's own code raises it
        return Failed(
            lease,
            "user",
            message(
                "{name} failed with {reason}; {logged}",
                name=job.spec.strategy.name,
                reason=reason_of(error),
                logged=_logged(study_folder),
            ),
        )


def _logged(folder: Path) -> str:
    """Write the traceback of what is being handled, and return where it is, or why it is not there."""
    log = folder / "error.log"
    if log.exists() and not log.is_file():
        return message("its traceback is not kept, since {log} is a folder or a pipe", log=log)
    try:
        # A message may hold what no encoding has.
        log.write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        return message("its traceback could not be written to {log} ({strerror})", log=log, strerror=error.strerror)
    return message("the traceback is in {log}", log=log)


def _train(job: Train, task: Workload, study_folder: Path, report: Report, left: Callable[[Fork], None]) -> RunRecord:
    """A damaged checkpoint, its own or the one it starts from, costs the run's time, never its result."""
    folder = run_folder(study_folder, job.spec.digest())
    path, seed, reporting = RunPath(job.spec), job.spec.seed, _Reporting(report)
    origin = place(study_folder, job.origin) if job.origin else None

    def place_at(step: int) -> Place:
        return place(study_folder, path.fork(step, seed=seed))

    def make(origin: Place | None) -> RunRecord:
        return execute(
            job.spec,
            task,
            folder=folder,
            keep=True,
            origin=origin,
            leaves={fork.step: place_at(fork.step) for fork in job.leaves},
            spare=place_at if job.spares else None,
            left=lambda step: left(path.fork(step, seed=seed)),
            watch=reporting,
        )

    return _without_damaged(folder, origin, make)


def _without_damaged(folder: Path, origin: Place | None, make: Callable[[Place | None], RunRecord]) -> RunRecord:
    """Make a run; a damaged checkpoint is dropped, its own first, and the run made from what is left."""
    while True:
        try:
            return make(origin)
        except CorruptFile as error:
            if folder.exists():
                _remove(folder, error)
            elif origin is not None:
                # Without it the run is trained from the start, whether or not it can be removed.
                drop_checkpoint(origin.folder)
                origin = None
            else:
                raise


def _piece(job: TrainPiece, task: Workload, study_folder: Path, report: Report) -> Piece:
    """A stage of a run. A damaged checkpoint costs the time of the run's past, never its result."""
    spec, path, reporting = job.spec, RunPath(job.spec), _Reporting(report)
    folder, began = run_folder(study_folder, spec.digest()), time.monotonic()
    origin = place(study_folder, job.origin) if job.origin else None
    leaves = {job.until: place(study_folder, path.fork(job.until, seed=spec.seed))} if job.leave else {}
    reached: list[TrainState] = []

    def watch(state: TrainState) -> bool:
        reached[:] = [state]
        return reporting(state) or state.step >= job.until

    def piece(made: TrainState | RunRecord, *, stop: int, losses: np.ndarray, charged: int) -> Piece:
        since = job.start if job.origin is None else 0
        diverged = isinstance(made, RunRecord) and made.outcome == "diverged"
        return Piece(
            spec=spec,
            start=job.start,
            stop=stop,
            until=job.until,
            since=since,
            losses=np.array(losses[since : len(losses) if diverged else stop], np.float32),
            evaluations=tuple(look for look in made.evaluations if job.start < look.step <= stop),
            events=tuple(event for event in made.events if job.start <= event.step <= stop),
            charged=charged,
            diverged=diverged,
            seconds=time.monotonic() - began,
        )

    def make(origin: Place | None) -> RunRecord:
        return execute(
            spec, task, folder=folder, keep=True, origin=origin, leaves=leaves, left=lambda _: None, watch=watch
        )

    try:
        record = _without_damaged(folder, origin, make)
    except Interrupted:
        state = reached[0]
        if state.step < job.until:
            raise
        # One update further, where a kill came between the checkpoint and the record of it.
        further = state.step - job.until
        return piece(state, stop=job.until, losses=state.losses, charged=state.charged - further)
    return piece(record, stop=min(record.steps_done, job.until), losses=record.losses, charged=record.updates)


def _remove(folder: Path, error: CorruptFile) -> None:
    """Raises UsageError where the damaged checkpoint stays: what is read again would be damaged again."""
    if not drop_checkpoint(folder):
        raise UsageError(
            message(
                "{error}; calando may not remove it itself: make {parent!r} writable",
                error=said_by(error),
                parent=str(folder.parent),
            )
        ) from error


def failure(outcome: Failed) -> CalandoError:
    """The exception that a failed job stands for."""
    if outcome.fault == "disk":
        return DiskFull(outcome.message)
    return CodeFailed(outcome.message, outcome.printed) if outcome.printed else UsageError(outcome.message)


class _Reporting:
    """Reports how far a training is, at most once in `PROGRESS_SECONDS`; True where it is asked to stop."""

    def __init__(self, report: Report) -> None:
        self._report, self._due, self._evaluated = report, _throttle(), 0

    def __call__(self, state: TrainState) -> bool:
        if not self._due():
            return False
        last = max(state.step - 1, 0)
        looks = tuple(look for look in state.evaluations if look.step > self._evaluated)
        self._evaluated = max((look.step for look in looks), default=self._evaluated)
        return self._report(Progress(state.step, float(state.rates[last]), float(state.losses[last]), looks))


def _throttle() -> Callable[[], bool]:
    """True at most once in `PROGRESS_SECONDS`."""
    following = 0.0

    def due() -> bool:
        nonlocal following
        now = time.monotonic()
        if now < following:
            return False
        following = now + PROGRESS_SECONDS
        return True

    return due


def _find(job: Find, task: Workload, report: Report) -> RangeRecord:
    """Nothing of it is saved: it takes seconds, and one that is stopped is made again."""
    began, due = time.monotonic(), _throttle()

    def progress(made: int, _: int) -> None:
        if due() and report(Progress(made, math.nan, math.nan)):
            raise Interrupted

    found = find_for_run(job.spec, task, progress=progress)
    return range_record(found, seconds=time.monotonic() - began)


def range_record(found: Found, *, seconds: float) -> RangeRecord:
    """What is kept of a range test."""

    def rates(rule: Rule) -> tuple[float, float, float] | None:
        return None if rule.rate is None else (rule.rate, rule.low, rule.high)

    suggestion = found.suggestion
    return RangeRecord(
        decayed=rates(suggestion.decayed),
        constant=rates(suggestion.constant),
        doubts=suggestion.reasons,
        updates=found.updates,
        seconds=seconds,
    )


def _look(job: TestLook, task: Workload, study_folder: Path) -> TestScore:
    folder = run_folder(study_folder, job.spec.digest())
    if job.diverged:
        return TestScore(score=task.chance.score, loss=math.inf, n=len(task.test))
    own = task.fresh()
    with holding_lane(job.spec.lane):
        state = start(job.spec, own)
        try:
            # Those of an earlier step were written by a worker that was given up, and had not noticed it yet.
            load_weights(state.network, folder, step=job.spec.steps)
        except CorruptFile as error:
            # Lost or damaged weights are trained again: the same spec gives the same bits.
            _remove(folder, error)
            execute(job.spec, task, folder=folder, keep=True)
            load_weights(state.network, folder)
        loss, score = evaluate(state.network, own, own.test, lane=job.spec.lane)
    return TestScore(score=score, loss=loss if math.isfinite(loss) else math.inf, n=len(task.test))
