"""A person's own training code as what a study trains: a script, a launcher with its script, or a function.

look     the code's first updates, at the beginning, twice: what it says of length, score and optimizer, and whether
         equal runs give equal weights
run      the whole code with one strategy and seed: a function in this process, a script in one of its own
test     read from what the run left, after all training
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch

from calando.errors import CorruptFile, UsageError, line_of, plain, reason_of
from calando.language import message
from calando.loops.kept_state import drop_kept
from calando.loops.run_channel import Assignment
from calando.loops.run_handle import RunOver
from calando.loops.run_result import RunResult, drop_result, read_result
from calando.loops.run_start import active
from calando.methods import find_method
from calando.records import Evaluation, Event, OwnTrainingSpec, RunRecord, RunSpec, StrategySpec, TestScore
from calando.records.follower import Progress
from calando.records.tuning import Piece
from calando.study.checkpoint_cache import run_folder
from calando.study.jobs import Failed, Finished, Lease, Look, Lost, Outcome, Stopped, TestLook, Train, TrainPiece
from calando.study.own_process import Ended, supervise
from calando.tasks.randomness import holding_generators
from calando.training.checkpoint import drop_checkpoint

if TYPE_CHECKING:
    from calando.loops.run_handle import Run

__all__ = ["OwnTraining", "Seen", "perform_own"]

LOOK_UPDATES = 3
SAID_SECONDS = 0.1
LAST_LINES = 12
LAST_BYTES = 65536
LINE_LETTERS = 500


@final
@dataclass(frozen=True)
class Seen:
    """What a look at the code's first updates gave.

    Args:
        total_steps, steps_per_epoch: the run's length.
        goal, unit: of its score.
        own: it keeps its own optimizer, made with the rate `usual_rate`.
        digest: of the weights after `step` updates; "": the code has shown none.
    """

    total_steps: int
    steps_per_epoch: int | None
    goal: str
    goal_given: bool
    unit: str
    own: bool
    usual_rate: float | None
    step: int = 0
    digest: str = ""


@final
@dataclass(frozen=True)
class OwnTraining:
    """The code, ready to be started.

    Args:
        spec: how a study names it.
        command: that starts the script, as a list; empty for a function.
        function: called with the run's handle.
        gpus: what CUDA_VISIBLE_DEVICES is for each worker, in turn; empty: left as it is.
        notes: what to know of it, in sentences.
        fingerprint: of its first updates; "": they differ from one look to the next.
    """

    spec: OwnTrainingSpec
    command: tuple[str, ...] = ()
    function: Callable[[Run], object] | None = None
    gpus: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    fingerprint: str = ""

    cautions = ()
    # Nothing is shared between its runs, and what it repeats is seen by the looks.
    is_ours = True


def perform_own(
    lease: Lease,
    training: OwnTraining,
    study_folder: Path,
    *,
    slot: int,
    threads: int,
    report: Callable[[Progress], bool],
) -> Outcome:
    """Do a job of such a study; as `perform_job.perform`."""
    job, making = lease.job, _Making(lease, training, slot=slot, threads=threads, report=report)
    if isinstance(job, Look):
        log = study_folder / f"first-look-{lease.number}.log"  # two looks are made at once
        return making.make(job.asked, log) or _seen(lease, making.reports, log)
    if isinstance(job, TestLook) and job.diverged:
        return Finished(lease, TestScore(score=training.spec.measure.worst, loss=math.inf, n=0))
    assert isinstance(job, Train | TrainPiece | TestLook)
    # A tuning takes the weights of its answer from what the run keeps; of other runs the score is all that is needed.
    leave = isinstance(job, TrainPiece)
    folder, log = run_folder(study_folder, job.spec.digest()), study_folder / "logs" / f"{job.spec.digest()}.log"
    # Of a run that was over when its worker was lost, and of one whose result was lost, it is made once more.
    result = _left_behind(folder)
    if again := result is None:
        if unfinished := making.make(_assignment(job.spec, training.spec, folder, leave=leave), log):
            if isinstance(unfinished, Failed):
                drop_result(folder)
            return unfinished
        result = read_result(folder)
    if result is None:
        return _failed(lease, making.what, message("the code left no result; does it call calando.run?"), log)
    if isinstance(job, Train) or (again and not leave):
        drop_kept(folder)
    if isinstance(job, TestLook):
        return Finished(lease, _test_score(result))
    record = _record(job.spec, result)
    return Finished(lease, _piece(record) if isinstance(job, TrainPiece) else record)


def _left_behind(folder: Path) -> RunResult | None:
    try:
        return read_result(folder)
    except CorruptFile:
        drop_checkpoint(folder)
        return None


@final
class _Making:
    """The code at work for a lease, and what it reports."""

    def __init__(
        self,
        lease: Lease,
        training: OwnTraining,
        *,
        slot: int,
        threads: int,
        report: Callable[[Progress], bool],
    ) -> None:
        self._lease, self._training, self._slot, self._threads = lease, training, slot, threads
        self._report, self._last, self._said = report, Progress(0, math.nan, math.nan), time.monotonic()
        self.reports: list[Any] = []
        spec = lease.job.spec
        self.what = (
            message("its first updates")
            if isinstance(lease.job, Look)
            else message("{name}, seed {seed}", name=spec.strategy.name, seed=spec.seed)
        )

    def make(self, asked: Assignment, log: Path) -> Outcome | None:
        """Run the code as asked; None where it finished."""
        ended = _carry_out(
            self._training,
            self._lease.job.spec.strategy,
            asked,
            log=log,
            slot=self._slot,
            threads=self._threads,
            hear=self._hear,
        )
        match ended.how:
            case "stopped":
                return Stopped(self._lease)
            case "lost":
                return Lost(self._lease, ended.reason)
            case "failed":
                return _failed(self._lease, self.what, ended.reason, log)
        return None

    def _hear(self, message: Any) -> bool:
        match message:
            case {"kind": "progress", "step": step, "lr": lr, "loss": loss}:
                self._last = replace(self._last, step=step, lr=lr, loss=math.nan if loss is None else loss)
            case {"kind": "score", "step": step, "score": score, "loss": loss}:
                look = Evaluation(step, math.nan if loss is None else loss, score)
                self._last = replace(self._last, evaluations=(*self._last.evaluations, look))
            case {"kind": "began" | "looked"}:
                self.reports.append(message)
                return False
        if time.monotonic() - self._said < SAID_SECONDS:
            return False
        self._said = time.monotonic()
        now, self._last = self._last, replace(self._last, evaluations=())
        return self._report(now)


def _assignment(spec: RunSpec, task: OwnTrainingSpec, folder: Path, *, leave: bool) -> Assignment:
    return Assignment(
        strategy=spec.strategy.model_dump_json(),
        seed=spec.seed,
        total_steps=spec.steps,
        steps_per_epoch=spec.steps_per_epoch,
        folder=str(folder.absolute()),
        goal=task.goal,
        unit=task.unit,
        leave=leave,
    )


def first_look(
    task: OwnTrainingSpec, strategy: StrategySpec, *, epochs: float | None, steps: int | None, goal: str, unit: str
) -> Look:
    """A look at the code's first updates, with a strategy at its usual rate."""
    if strategy.lr is None:
        strategy = strategy.at_rate(find_method(strategy.method).usual_rate)
    strategy = strategy.without_horizon()
    asked = Assignment(
        strategy=strategy.model_dump_json(),
        seed=0,
        epochs=epochs,
        steps=steps,
        goal=goal,
        unit=unit,
        look=LOOK_UPDATES,
    )
    # How long its runs are is what the look finds out.
    return Look(RunSpec(workload=task, strategy=strategy, steps=1, steps_per_epoch=1, evaluate_every=1, seed=0), asked)


def _carry_out(
    training: OwnTraining,
    strategy: StrategySpec,
    asked: Assignment,
    *,
    log: Path,
    slot: int,
    threads: int,
    hear: Callable[[Any], bool],
) -> Ended:
    if training.function is None:
        environment = {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        if training.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = training.gpus[slot % len(training.gpus)]
        return supervise(training.command, asked, environment=environment, log=log, hear=hear)
    if training.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = training.gpus[slot % len(training.gpus)]
    # A function's notebook cell or script has no file that would say where it failed but this.
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with _printing_to(log), holding_generators(), active(strategy, asked, hear) as handle:
            with contextlib.suppress(RunOver):
                _call(training.function, handle)
            stopped = handle.stopped
    except UsageError as error:
        return Ended("failed", line_of(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's own code may raise anything
        import traceback

        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(traceback.format_exc())
        return Ended("failed", reason_of(error))
    finally:
        torch.set_num_threads(before)
    return Ended("stopped" if stopped else "finished")


def _call(function: Callable[[Run], object], handle: Run) -> None:
    """The whole function; one that exits with 0 has ended well, as a script has."""
    try:
        function(handle)
    except SystemExit as left:
        if isinstance(left, RunOver) or left.code not in (None, 0):
            raise
    handle.close()


@contextlib.contextmanager
def _printing_to(log: Path) -> Iterator[None]:
    """What the code prints, C code included, goes to its log; in a worker alone: a notebook's own output stays."""
    if "calando.study.workers.server" not in sys.modules and os.environ.get("CALANDO_WORKER") is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        before = os.dup(1), os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, held in zip((1, 2), before, strict=True):
                os.dup2(held, number)
                os.close(held)


def _failed(lease: Lease, what: str, reason: str, log: Path) -> Failed:
    """What failed, with the last lines that it printed."""
    lines: list[str] = []
    if log.is_file():
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LAST_BYTES))
            text = file.read(LAST_BYTES).decode("utf-8", errors="replace")
        lines = [plain(line[:LINE_LETTERS]) for line in text.splitlines() if line.strip()][-LAST_LINES:]
    # That of a look goes with its folder.
    where = "" if isinstance(lease.job, Look) else message("; all that it printed is in {log}", log=log)
    failed = message(
        "{what}: {reason}{where}:" if lines else "{what}: {reason}{where}", what=what, reason=reason, where=where
    )
    return Failed(lease, "user", failed, tuple(lines))


def _seen(lease: Lease, reports: list[Any], log: Path) -> Outcome:
    began = next((one for one in reports if one["kind"] == "began"), None)
    if began is None:
        why = message(
            "the code ended before it called run.follow or run.scheduler; a function in it that returns "
            "calando.workload(…) is named as MODULE:FUNCTION"
        )
        return _failed(lease, message("its first updates"), why, log)
    total, per_epoch = began["total_steps"], began["steps_per_epoch"]
    if per_epoch is None and began["epochs"] and total % began["epochs"] == 0:
        per_epoch = total // began["epochs"]
    looked: Any = next((one for one in reports if one["kind"] == "looked"), {"step": 0, "digest": ""})
    seen = Seen(
        total_steps=total,
        steps_per_epoch=per_epoch,
        goal=began["goal"],
        goal_given=began["goal_given"],
        unit=began["unit"],
        own=began["own"],
        usual_rate=began["usual_rate"],
        step=looked["step"],
        digest=looked["digest"],
    )
    return Finished(lease, seen)


def _record(spec: RunSpec, result: RunResult) -> RunRecord:
    """A run as the store keeps it; a failed run has the worst score there is, and `analysis` says what it counts as."""
    finite = [look for look in result.looks if math.isfinite(look.score)]
    events = [Event(step=step, kind=kind, text=text) for step, kind, text in result.events]
    if result.test is None:
        text = message("the code gives no test score (run.finish(test=…)): its last validation score is compared")
        events.append(Event(step=max(0, result.steps_done - 1), kind="no test", text=text))
    return RunRecord(
        spec=spec,
        outcome=result.outcome,
        steps_done=result.steps_done,
        losses=result.losses,
        rates=result.rates,
        evaluations=tuple(
            Evaluation(look.step, 0.0 if look.loss is None else look.loss, look.score) for look in finite
        ),
        chance=spec.workload.measure.worst,
        events=tuple(events),
        second_passes=result.second_passes,
        seconds=result.seconds,
        host=result.host,
    )


def _piece(record: RunRecord) -> Piece:
    """The same as a tuning keeps it: a stage that is the whole run."""
    return Piece(
        spec=record.spec,
        start=0,
        stop=record.steps_done,
        until=record.spec.steps,
        since=0,
        losses=record.losses,
        evaluations=record.evaluations,
        events=record.events,
        charged=record.updates,
        diverged=record.outcome == "diverged",
        seconds=record.seconds,
    )


def _test_score(result: RunResult) -> TestScore:
    """The test score that the run left; without one, its validation score once more."""
    return TestScore(score=result.looks[-1].score if result.test is None else result.test, loss=0.0, n=0)
