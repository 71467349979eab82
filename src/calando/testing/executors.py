"""The kit for executors; each check stands alone, by name, in `EXECUTOR_CHECKS`.

bits        records and weights are those of the run alone; so are those of runs that start from a fork, or from one
            that is damaged or gone
reports     every lease ends with one outcome; progress names the slot and ascends; forks are reported on the way
failures    the user's own exception and a full disk are one line; the next job is done all the same
stopping    loses nothing: another executor goes on from there, to the same bits
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from calando.records import RangeRecord, TestScore
from calando.study.checkpoint_cache import fork_folder, run_folder
from calando.study.jobs import (
    Failed,
    Find,
    Outcome,
    TestLook,
    Train,
)
from calando.study.stages import RunPath
from calando.testing.executor_trial import CONSTANT, PATIENCE_SECONDS, STEPS, ExecutorTrial, Make, result_of
from calando.testing.require import require
from calando.training.checkpoint import load_weights
from calando.training.evaluate import evaluate
from calando.training.lane import holding_lane
from calando.training.loop import Interrupted, execute
from calando.training.state import start

__all__ = ["EXECUTOR_CHECKS", "check_executor"]

FALLING = "sgd(lr=0.01, momentum=0.9) | constant(1, over='50%') >> linear(1, 0)"
RISING = "sgd(lr=0.01, momentum=0.9) | constant(1, over='75%') >> linear(1, 2)"


def check_executor(make: Make) -> None:
    """Check an executor against what every executor must do: all of `EXECUTOR_CHECKS`, in about a minute.

    Args:
        make: builds it: (setup, on_progress) -> executor. What the executor trains and calls can be pickled.

    Raises:
        AssertionError: a requirement is not met; the message is one line that says which.

    >>> from calando.study.executors.inline import InlineExecutor
    >>> check_executor(lambda setup, on_progress: InlineExecutor(setup, on_progress=on_progress))
    """
    with tempfile.TemporaryDirectory() as folder:
        trial = ExecutorTrial(make, Path(folder))
        try:
            for check in EXECUTOR_CHECKS.values():
                check(trial)
        finally:
            trial.stop()


def records_and_weights_are_those_of_the_run_alone(trial: ExecutorTrial) -> None:
    specs = [trial.run(text, seed=seed) for text in (CONSTANT, "adam(lr=0.01) | cosine(1, 0)") for seed in (0, 1)]
    for spec, end in zip(specs, trial.do(*map(Train, specs)), strict=True):
        trial.require_as_alone(spec, end)


def all_slots_work_at_a_time_and_report_how_far_they_are(trial: ExecutorTrial) -> None:
    trial.mood.write_text("dawdle 0.05")
    leases = [trial.submit(Train(trial.run(CONSTANT, seed=10 + slot))) for slot in range(trial.executor.slots)]
    trial.hear(*leases)
    trial.mood.write_text("calm")
    slots = {progress.slot for progress in trial.progress}
    require(slots == set(range(trial.executor.slots)), f"progress of slots {slots}, of {trial.executor.slots}")
    for lease in leases:
        reports = [(one.now.step, one.now.lr) for one in trial.progress if one.lease == lease]
        require(len(reports) >= 2 and reports == sorted(reports), f"progress does not ascend: {reports}")
        require(all(0 < step <= STEPS and lr == 0.01 for step, lr in reports), f"no progress of this run: {reports}")


def a_fork_is_reported_and_other_leases_start_from_it(trial: ExecutorTrial) -> None:
    """Left by one run while it goes on; taken up by two others, which leave one of their own."""
    carrying, first, second = (trial.run(text, seed=2) for text in (CONSTANT, FALLING, RISING))
    early, late = RunPath(first).fork(8, seed=2), RunPath(second).fork(16, seed=2)
    assert early == RunPath(carrying).fork(8, seed=2)
    trial.forks.clear()
    (end,) = trial.do(Train(carrying, leaves=(early, late)))
    left = [(one.lease, one.fork) for one in trial.forks]
    require(left == [(end.lease, early), (end.lease, late)], f"forks reported: {left}, not {early} and {late}")
    for fork in (early, late):
        require((fork_folder(trial.folder, fork) / "state.json").is_file(), f"{fork} is not in the study's folder")
    ends = trial.do(Train(first, origin=early), Train(second, origin=late))
    for spec, end, inherited in zip((first, second), ends, (8, 16), strict=True):
        trial.require_as_alone(spec, end, inherited=inherited)


def a_job_whose_fork_is_damaged_is_done_all_the_same(trial: ExecutorTrial) -> None:
    """Trained from the start; what is damaged is removed, so that no other job meets it."""
    carrying, spec = trial.run(CONSTANT, seed=3), trial.run(FALLING, seed=3)
    fork = RunPath(spec).fork(8, seed=3)
    trial.do(Train(carrying, leaves=(fork,)))
    folder = fork_folder(trial.folder, fork)
    (file,) = folder.glob("tensors-*")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    trial.require_as_alone(spec, trial.do(Train(spec, origin=fork))[0])
    require(not folder.exists(), f"the damaged fork is still in {folder}")


def a_fork_that_is_gone_is_done_without(trial: ExecutorTrial) -> None:
    spec = trial.run(FALLING, seed=4)
    trial.require_as_alone(spec, trial.do(Train(spec, origin=RunPath(spec).fork(8, seed=4)))[0])


def looks_and_range_tests_are_jobs_too(trial: ExecutorTrial) -> None:
    spec = trial.run(CONSTANT, seed=5)
    trial.do(Train(spec))
    look, found = map(result_of, trial.do(TestLook(spec, diverged=False), Find(spec)))
    with holding_lane(spec.lane):
        network = start(spec, trial.workload).network  # laid out as the lane has it
    load_weights(network, run_folder(trial.folder, spec.digest()))
    loss, score = evaluate(network, trial.workload, trial.workload.test, lane=spec.lane)
    require(look == TestScore(score=score, loss=loss, n=30), f"the test look gives {look}, not {score}, {loss}")
    require(isinstance(found, RangeRecord) and found.updates > 0, f"the range test gives {found}")


def weights_that_are_gone_before_the_look_are_made_again(trial: ExecutorTrial) -> None:
    spec = trial.run(CONSTANT, seed=5)
    trial.do(Train(spec))
    before, look = trial.weights(spec), TestLook(spec, diverged=False)
    (expected,) = map(result_of, trial.do(look))
    shutil.rmtree(run_folder(trial.folder, spec.digest()))
    (found,) = map(result_of, trial.do(look))
    require(found == expected, f"the test look gives {found}, and {expected} before the weights were lost")
    require(trial.weights(spec) == before, "the weights made again are others")


def weights_that_are_not_of_the_end_are_not_looked_at(trial: ExecutorTrial) -> None:
    """What a worker saved that had been given up, after another had finished its run."""
    spec = trial.run(CONSTANT, seed=5)
    trial.do(Train(spec))
    folder, look = run_folder(trial.folder, spec.digest()), TestLook(spec, diverged=False)
    (expected,) = map(result_of, trial.do(look))
    shutil.rmtree(folder)
    with contextlib.suppress(Interrupted):
        execute(spec, trial.workload, folder=folder, keep=True, watch=lambda state: state.step == 10)
    (found,) = map(result_of, trial.do(look))
    require(found == expected, f"the test look gives {found} with weights of update 10, {expected} with the last")


def what_cannot_be_done_is_reported_in_a_line(trial: ExecutorTrial) -> None:
    log = trial.folder / "error.log"
    for mood, fault, words in (
        ("mistaken", "user", f"RuntimeError: my own mistake; the traceback is in {log}"),
        ("full", "disk", "no space left for"),
    ):
        spec = trial.run(CONSTANT, seed=len(mood))
        trial.mood.write_text(mood)
        (end,) = trial.do(Train(spec))
        trial.mood.write_text("calm")
        if not isinstance(end, Failed):
            raise AssertionError(f"a job that cannot be done ended with {end}")
        require(end.fault == fault, f"the fault is the {end.fault}'s, not the {fault}'s")
        require(words in end.message and "\n" not in end.message, f"{end.message!r} is no line with {words!r}")
        trial.require_as_alone(spec, trial.do(Train(spec))[0])
    require("my own mistake\nwith two lines" in log.read_text(), f"{log} has no traceback")


def stopping_loses_nothing(trial: ExecutorTrial) -> None:
    """A second executor on the same folder goes on from what the first saved, to the same bits."""
    specs = [trial.run(CONSTANT, seed=20 + slot) for slot in range(trial.executor.slots)]
    trial.mood.write_text("dawdle 0.1")
    leases = [trial.submit(Train(spec)) for spec in specs]
    seen, until = len(trial.progress), time.monotonic() + PATIENCE_SECONDS
    ends: list[Outcome] = []
    while not ends and len(trial.progress) == seen and time.monotonic() < until:
        ends += trial.executor.poll(seconds=0.2)
    ends += trial.stop()
    require(trial.stop() == [], "a second stop reports something")
    numbers = [end.lease.number for end in ends]
    require(len(set(numbers)) == len(numbers), f"leases {numbers} ended, one of them twice")
    require(set(numbers) <= {lease.number for lease in leases}, f"leases {numbers} ended, which were not all out")
    trial.mood.write_text("calm")
    trial.start()
    for spec, end in zip(specs, trial.do(*map(Train, specs)), strict=True):
        trial.require_as_alone(spec, end)


EXECUTOR_CHECKS: Mapping[str, Callable[[ExecutorTrial], None]] = MappingProxyType(
    {
        check.__name__: check
        for check in (
            records_and_weights_are_those_of_the_run_alone,
            all_slots_work_at_a_time_and_report_how_far_they_are,
            a_fork_is_reported_and_other_leases_start_from_it,
            a_job_whose_fork_is_damaged_is_done_all_the_same,
            a_fork_that_is_gone_is_done_without,
            looks_and_range_tests_are_jobs_too,
            weights_that_are_gone_before_the_look_are_made_again,
            weights_that_are_not_of_the_end_are_not_looked_at,
            what_cannot_be_done_is_reported_in_a_line,
            stopping_loses_nothing,
        )
    }
)
"""Requirement -> its check: (trial) -> None."""
