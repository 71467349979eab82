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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from calando.errors import UsageError, plain, reason_of
from calando.loops.run_channel import Assignment
from calando.loops.run_handle import RunOver, active
from calando.loops.run_result import RunResult, read_result
from calando.methods import find_method
from calando.records import Evaluation, Event, OwnTrainingSpec, RunRecord, RunSpec, StrategySpec, TestScore
from calando.study.checkpoint_cache import run_folder
from calando.study.jobs import Failed, Finished, Lease, Look, Lost, Outcome, Stopped, TestLook, Train
from calando.study.own_process import Ended, supervise

if TYPE_CHECKING:
    from calando.loops.run_handle import Run

__all__ = ["OwnTraining", "Seen", "perform_own"]

LOOK_UPDATES = 3
SAID_SECONDS = 0.1
LAST_LINES = 12


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
    report: Callable[[int, float, float], bool],
) -> Outcome:
    """Do a job of such a study; as `perform_job.perform`."""
    job, reports, last, said = lease.job, [], (0, math.nan, math.nan), time.monotonic()

    def hear(message: Any) -> bool:
        nonlocal last, said
        match message:
            case {"kind": "progress", "step": step, "lr": lr, "loss": loss}:
                last = step, lr, math.nan if loss is None else loss
            case {"kind": "began" | "looked"}:
                reports.append(message)
                return False
        if time.monotonic() - said < SAID_SECONDS:
            return False
        said = time.monotonic()
        return report(*last)

    if isinstance(job, TestLook):
        return Finished(lease, _test_score(job, study_folder))
    if isinstance(job, Look):
        strategy, asked, log = job.spec.strategy, job.asked, study_folder / "first-look.log"
    else:
        assert isinstance(job, Train)
        folder = run_folder(study_folder, job.spec.digest())
        strategy, asked = job.spec.strategy, _assignment(job.spec, training.spec, folder)
        log = study_folder / "logs" / f"{job.spec.digest()}.log"
        with contextlib.suppress(OSError):
            (folder / "result.json").unlink(missing_ok=True)
    ended = _carry_out(training, strategy, asked, log=log, slot=slot, threads=threads, hear=hear)
    match ended.how:
        case "stopped":
            return Stopped(lease)
        case "lost":
            return Lost(lease, ended.reason)
        case "failed":
            what = "its first updates" if isinstance(job, Look) else f"{strategy.name}, seed {asked.seed}"
            return _failed(lease, what, ended.reason, log)
    if isinstance(job, Look):
        return _seen(lease, reports, log)
    assert isinstance(job, Train)
    result = read_result(run_folder(study_folder, job.spec.digest()))
    if result is None:
        return _failed(lease, strategy.name, "the code left no result; does it call calando.run?", log)
    return Finished(lease, _record(job.spec, training.spec, result))


def _assignment(spec: RunSpec, task: OwnTrainingSpec, folder: Path) -> Assignment:
    return Assignment(
        strategy=spec.strategy.model_dump_json(),
        seed=spec.seed,
        total_steps=spec.steps,
        steps_per_epoch=spec.steps_per_epoch,
        folder=str(folder.absolute()),
        goal=task.goal,
        unit=task.unit,
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
    try:
        with _printing_to(log), active(strategy, asked, hear) as handle:
            try:
                training.function(handle)
                handle.close()
            except RunOver:
                pass
            stopped = handle.stopped
    except UsageError as error:
        return Ended("failed", plain(str(error)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's own code may raise anything
        import traceback

        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(traceback.format_exc())
        return Ended("failed", reason_of(error))
    return Ended("stopped" if stopped else "finished")


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
        text = log.read_text(encoding="utf-8", errors="replace")
        lines = [plain(line) for line in text.splitlines() if line.strip()][-LAST_LINES:]
    # That of a look goes with its folder.
    where = "" if isinstance(lease.job, Look) else f"; all that it printed is in {log}"
    return Failed(lease, "user", f"{what}: {reason}{where}{':' if lines else ''}", tuple(lines))


def _seen(lease: Lease, reports: list[Any], log: Path) -> Outcome:
    began = next((one for one in reports if one["kind"] == "began"), None)
    if began is None:
        why = "the code ended before it called run.follow or run.scheduler"
        return _failed(lease, "its first updates", why, log)
    total, per_epoch = began["total_steps"], began["steps_per_epoch"]
    if per_epoch is None and began["epochs"] and total % began["epochs"] == 0:
        per_epoch = total // began["epochs"]
    looked: Any = next((one for one in reports if one["kind"] == "looked"), {"step": 0, "digest": ""})
    seen = Seen(
        total_steps=total,
        steps_per_epoch=per_epoch,
        goal=began["goal"],
        unit=began["unit"],
        own=began["own"],
        usual_rate=began["usual_rate"],
        step=looked["step"],
        digest=looked["digest"],
    )
    return Finished(lease, seen)


def _record(spec: RunSpec, task: OwnTrainingSpec, result: RunResult) -> RunRecord:
    """A run as the store keeps it; a failed run has the worst score there is, and `analysis` says what it counts as."""
    finite = [look for look in result.looks if math.isfinite(look.score)]
    return RunRecord(
        spec=spec,
        outcome=result.outcome,
        steps_done=result.steps_done,
        losses=result.losses,
        rates=result.rates,
        evaluations=tuple(
            Evaluation(step=look.step, loss=0.0 if look.loss is None else look.loss, score=look.score)
            for look in finite
        ),
        chance=task.measure.worst,
        events=tuple(Event(step=step, kind=kind, text=text) for step, kind, text in result.events),
        second_passes=result.second_passes,
        seconds=result.seconds,
        host=result.host,
    )


def _test_score(job: TestLook, study_folder: Path) -> TestScore:
    """The test score that the run left; without one, its validation score once more."""
    task = job.spec.workload
    if job.diverged:
        return TestScore(score=task.measure.worst, loss=math.inf, n=0)
    result = read_result(run_folder(study_folder, job.spec.digest()))
    assert result is not None
    score = result.looks[-1].score if result.test is None else result.test
    return TestScore(score=score, loss=0.0, n=0)
