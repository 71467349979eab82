"""Whole studies, in real worker processes: killed, resumed, interrupted, compared bit by bit."""

import dataclasses
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.study.study_kit import decided, processes_under, workers_under
from tests.waiting import PATIENCE, is_alive, until

import calando
from calando.errors import DiskFull, UsageError, WorkerLost
from calando.records import Store
from calando.records.command_log import CommandLog
from calando.report import write_page
from calando.study.build_spec import build_study
from calando.study.conduct import conduct
from calando.study.executors.process import ProcessExecutor
from calando.study.jobs import Lease, Lost, Train
from calando.study.limits import Budget, Machine
from calando.study.plan import Plan
from calando.study.workers.messages import Setup
from calando.tasks.catalog import resolve
from calando.training import checkpoint

STRATEGIES = ("fixed", "step", "adam")  # the first two share a past
OPTIONS = {"seeds": 2, "rates": 2, "steps": 24}


def ask(*strategies: str, **changes):
    options = {**OPTIONS, **changes}
    return build_study(
        resolve("digits", batch_size=32),
        strategies or STRATEGIES,
        budget=Budget(steps=options.pop("steps")),
        machine=Machine(device="cpu"),
        **options,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The study of this page, made inline and left alone."""
    folder = tmp_path_factory.mktemp("undisturbed") / "study"
    asked = ask()
    summary = conduct(folder, asked.study, asked.task, executor="inline")
    return folder, summary


def test_a_study_ends_complete_and_keeps_what_others_may_start_from(undisturbed):
    folder, summary = undisturbed
    assert summary.complete
    assert {result.name for result in summary.results} == set(STRATEGIES)
    with Store.open(folder, read_only=True) as store:
        runs, study = store.runs(), store.study
    plan = Plan(study, runs=runs, tests=store_tests(folder), ranges={})
    assert plan.trained
    assert not plan.looks()
    assert {path.name for path in (folder / "checkpoints").iterdir()} == runs.keys()
    assert len(store_tests(folder)) == len(STRATEGIES) * OPTIONS["seeds"]
    for result in summary.results:
        extended = len(result.trials) - OPTIONS["rates"]
        assert 0 <= extended <= summary.spec.beyond == 4
        assert result.steps_trials == OPTIONS["steps"] * len(result.trials)
        assert result.steps_final == OPTIONS["steps"] * (OPTIONS["seeds"] - 1)


def store_tests(folder: Path):
    with Store.open(folder, read_only=True) as store:
        return store.tests()


def test_the_plan_trains_first_and_reads_the_test_part_once_at_the_end():
    study = ask().study
    plan = Plan(study, runs={}, tests={}, ranges={})
    assert len(plan.wanted) == len(STRATEGIES) * OPTIONS["rates"]
    assert all(one.trial and one.spec.seed == 0 for one in plan.wanted.values())
    assert not plan.looks()
    assert plan.expected == len(STRATEGIES) * (OPTIONS["rates"] + OPTIONS["seeds"] - 1)


@given(order=st.randoms(use_true_random=False))
def test_a_plan_told_of_results_one_by_one_is_the_plan_made_anew(undisturbed, order):
    """Whatever the order in which runs end."""
    with Store.open(undisturbed[0], read_only=True) as store:
        study, records, tests = store.study, store.runs(traces=False), store.tests()
    made = {}
    plan = Plan(study, runs=made, tests=tests, ranges={})
    while plan.wanted:
        digest = order.choice(sorted(plan.wanted))
        made[digest] = records[digest]
        news = plan.took(digest)
        anew = Plan(study, runs=made, tests=tests, ranges={})
        assert plan.wanted == anew.wanted
        assert plan.rates == anew.rates
        assert plan.trained == anew.trained
        assert all(one.spec.digest() in plan.wanted for one in news)
    assert made == records
    assert plan.trained


def test_worker_processes_give_the_same_bits_as_inline(undisturbed, tmp_path):
    folder, summary = undisturbed
    asked = ask()
    again = conduct(tmp_path / "study", asked.study, asked.task, executor="process", workers=2)
    assert decided(tmp_path / "study") == decided(folder)
    assert again.headline == summary.headline
    assert [r.test for r in again.results] == [r.test for r in summary.results]


def test_killed_workers_are_replaced_and_the_study_ends_with_the_same_bits(undisturbed, tmp_path):
    """SIGKILL to a worker, several times, at moments when it is training."""
    asked = ask()
    killed: set[int] = set()

    def murder(status) -> None:
        if status.running and len(killed) < 3:
            for process in workers_under(os.getpid()):
                if process not in killed:
                    killed.add(process)
                    os.kill(process, signal.SIGKILL)
                    return

    conduct(tmp_path / "study", asked.study, asked.task, executor="process", workers=2, listen=murder)
    assert len(killed) == 3
    assert decided(tmp_path / "study") == decided(undisturbed[0])


COMMAND = """
import sys, time
from calando.cli.main import main
from calando.records import Store
folder, holds = sys.argv[1], sys.argv[2:]
sys.argv = ["calando", "compare", "digits", "fixed", "step", "adam", "--seeds", "2", "--rates", "2", "--steps", "24",
            "--batch-size", "32", "--device", "cpu", "--workers", "2", "--study", folder]
if holds:
    put = Store.put_run
    def held(self, *given, **named):
        # Here the study stands after so many runs, its workers at the next ones, until it is killed.
        put(self, *given, **named)
        if holds and len(self.runs(traces=False)) >= int(holds[0]):
            holds.clear()
            time.sleep(3600)
    Store.put_run = held
if __name__ == "__main__":
    main()
"""


@pytest.fixture
def command(tmp_path):
    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    return [sys.executable, str(script), str(tmp_path / "study")]


def wait_until_training(folder: Path, process: subprocess.Popen, *, runs: int) -> None:
    def has_made_them() -> bool:
        assert process.poll() is None, process.communicate()
        if not (folder / "study.sqlite").exists():
            return False
        with Store.open(folder, read_only=True) as store:
            return len(store.runs()) >= runs

    until(has_made_them)


def test_a_killed_command_goes_on_where_it_stood(undisturbed, tmp_path, command):
    """The coordinator killed outright, then Ctrl-C, then left to end: nothing lost, nothing made twice.

    Its workers and their server end with it.
    """
    folder = tmp_path / "study"
    for runs, sign in ((1, signal.SIGKILL), (4, signal.SIGINT)):
        process = subprocess.Popen(
            [*command, str(runs)],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        wait_until_training(folder, process, runs=runs)
        workers, all_under = workers_under(process.pid), processes_under(process.pid)
        process.send_signal(sign)
        _, err = process.communicate(timeout=PATIENCE)
        if runs == 1:
            assert set(workers) < set(all_under)
            assert len(workers) == 2
        if sign == signal.SIGKILL:
            assert_ended(all_under)
        if sign == signal.SIGINT:
            assert process.returncode == 130
            assert "nothing is lost" in err
            assert "Traceback" not in err
        before = decided(folder)["runs"]
        assert len(before) >= runs
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "report.html" in ended.stdout
    assert decided(folder) == decided(undisturbed[0])
    assert (folder / "report.html").stat().st_size > 10_000


def assert_ended(pids: list[int]) -> None:
    until(lambda: not any(map(is_alive, pids)))


def test_damaged_checkpoints_are_trained_again(undisturbed, tmp_path):
    """All checkpoints ruined before the test part is read: same scores, from retrained weights."""
    asked = ask("fixed", "step")
    stop = StopBeforeLooks()
    with pytest.raises(KeyboardInterrupt):
        conduct(tmp_path / "study", asked.study, asked.task, executor="inline", listen=stop)
    for path in (tmp_path / "study" / "checkpoints").glob("*/tensors-*"):
        path.write_bytes(b"ruined")
    conduct(tmp_path / "study", asked.study, asked.task, executor="inline")
    expected = decided(undisturbed[0])["tests"]
    found = decided(tmp_path / "study")["tests"]
    assert found
    assert found.items() <= expected.items()


class StopBeforeLooks:
    """A listener that presses Ctrl-C once training is over."""

    def __call__(self, status) -> None:
        if status.looks:
            raise KeyboardInterrupt


def test_a_finished_study_starts_no_worker(undisturbed, monkeypatch):
    folder, summary = undisturbed
    asked = ask()
    monkeypatch.setattr("calando.study.executors.process.ProcessExecutor.__init__", None)
    assert conduct(folder, asked.study, asked.task, executor="process").headline == summary.headline


def test_a_stop_that_nobody_was_there_to_hear_stops_nothing_later(undisturbed, tmp_path):
    """The page's button, pressed when the command had ended already."""
    asked = ask()
    Store.create(tmp_path, asked.study, fingerprint=asked.task.fingerprint).__exit__(None, None, None)
    with CommandLog.open(tmp_path) as log:
        log.ask("stop", key="late")
    assert conduct(tmp_path, asked.study, asked.task, executor="inline").complete


def test_another_question_in_the_same_folder_is_refused(undisturbed):
    folder, _ = undisturbed
    asked = ask(steps=25)
    with pytest.raises(UsageError, match=r"whose runs have 24 updates, here 25; .* name another --study"):
        conduct(folder, asked.study, asked.task, executor="inline")


def test_changed_data_are_refused(tmp_path):
    images, labels = torch.randint(0, 255, (60, 1, 8, 8), dtype=torch.uint8), torch.arange(60) % 3
    folder = tmp_path / "study"

    def compare(pixels):
        mine = calando.workload(train=(pixels, labels), test=(pixels, labels), model="cnn", batch_size=16)
        return calando.compare(mine, "fixed", folder=folder, lr=0.1, steps=3, seeds=1, executor="inline")

    compare(images)
    images[0, 0, 0, 0] ^= 1
    with pytest.raises(UsageError, match="data has changed"):
        compare(images)


def test_a_full_disk_stops_cleanly_with_what_was_finished_intact(tmp_path, monkeypatch):
    """Space runs out after some checkpoints; with space again, the study ends as if nothing had been."""
    asked = ask("fixed", "step")
    write, written = checkpoint.write_atomically, []

    def filling(path, data, **options):
        written.append(path)
        if len(written) > 12:
            raise DiskFull(f"no space left for {path}; free some and run the same command again")
        write(path, data, **options)

    folder = tmp_path / "study"
    monkeypatch.setattr(checkpoint, "write_atomically", filling)
    with pytest.raises(DiskFull, match="no space left"):
        conduct(folder, asked.study, asked.task, executor="inline")
    assert 0 < len(decided(folder)["runs"]) < 4
    monkeypatch.setattr(checkpoint, "write_atomically", write)
    assert conduct(folder, asked.study, asked.task, executor="inline").complete


def test_a_worker_that_always_dies_is_not_tried_for_ever(tmp_path):
    images, labels = torch.randint(0, 255, (60, 1, 8, 8), dtype=torch.uint8), torch.arange(60) % 3
    mine = calando.workload(train=(images, labels), test=(images, labels), model="cnn", batch_size=16)
    deadly = dataclasses.replace(mine, loss=deadly_loss)
    with pytest.raises(WorkerLost, match=r"lost its worker 4 times .*SIGKILL"):
        calando.compare(deadly, "fixed", folder=tmp_path / "study", lr=0.1, steps=3, seeds=1, workers=1)


def deadly_loss(outputs, targets):
    """In a worker alone: the look at the loss before training is made in this process."""
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return torch.nn.functional.cross_entropy(outputs, targets)


def failing_loss(outputs, targets):
    raise RuntimeError("my own mistake\nwith two lines")


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_mistake_in_the_users_code_is_one_line_and_a_log(tmp_path, executor):
    images, labels = torch.randint(0, 255, (60, 1, 8, 8), dtype=torch.uint8), torch.arange(60) % 3
    mine = calando.workload(
        train=(images, labels), test=(images, labels), model="cnn", batch_size=16, loss=failing_loss
    )
    folder = tmp_path / "study"
    with pytest.raises(UsageError, match="RuntimeError: my own mistake; the traceback is in") as caught:
        calando.compare(mine, "fixed", folder=folder, lr=0.1, steps=3, seeds=1, executor=executor, workers=1)
    assert "\n" not in str(caught.value)
    assert "failing_loss" in (folder / "error.log").read_text()


def test_an_executor_says_lost_when_its_worker_dies(tmp_path):
    asked = ask("fixed")
    study = asked.study
    setup = Setup(task=study.workload, given=None, data_dir=None, folder=tmp_path, threads=1)
    crew = ProcessExecutor(setup, workers=1, on_progress=lambda progress: None)
    try:
        spec = study.run(study.strategies[0].at_rate(0.1), seed=0)
        crew.submit(Lease(1, Train(spec)))
        os.kill(crew.process_ids[0], signal.SIGKILL)
        (outcome,) = crew.poll(seconds=60)
        assert outcome == Lost(Lease(1, Train(spec)), "killed by SIGKILL (out of memory?)")
        crew.submit(Lease(2, Train(spec)))
        outcomes = []
        while not outcomes:
            outcomes = crew.poll(seconds=60)
        assert outcomes[0].result.steps_done == study.steps
    finally:
        assert crew.stop() == []


def test_diverged_final_runs_get_chance_without_a_look(tmp_path):
    asked = ask("sgd(lr=1e30)", seeds=2)
    summary = conduct(tmp_path, asked.study, asked.task, executor="inline")
    assert summary.results[0].diverged == 2
    assert summary.results[0].test.values == (asked.task.chance.score,) * 2


@pytest.mark.parametrize("rate", ["1e30", "1e12"])
def test_a_study_of_runs_that_diverged_is_read_whole_and_reported(rate, tmp_path):
    asked = ask(f"sgd(lr={rate})", seeds=1)
    summary = conduct(tmp_path, asked.study, asked.task, executor="inline")
    with Store.open(tmp_path, read_only=True) as store:
        runs = store.runs()
    for record in runs.values():
        assert record.outcome == "diverged"
        # The loss that ended it was seen, though no update followed.
        assert len(record.losses) == len(record.rates) == record.steps_done + 1
        assert np.isfinite(record.losses).tolist() == [True] * record.steps_done + [False]
    assert write_page(tmp_path, summary, runs, {}, fingerprint="f", command="", figures=()).is_file()


@pytest.mark.torture
def test_fifty_random_kills_change_nothing(undisturbed, tmp_path, command):
    """SIGKILL to any process of a study, at random moments; every study that ends is the undisturbed one."""
    rng, kills, ended = random.Random(0), 0, 0
    folder = tmp_path / "study"
    while kills < 50 or not ended:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        while process.poll() is None and kills < 50:
            try:
                process.wait(timeout=rng.uniform(1, 10))
            except subprocess.TimeoutExpired:
                os.kill(rng.choice([process.pid, *processes_under(process.pid)]), signal.SIGKILL)
                kills += 1
        _, error = process.communicate(timeout=2 * PATIENCE)
        # Killed itself, or with one run's workers killed four times: the study goes on at the next command.
        assert process.returncode in (0, -signal.SIGKILL) or "lost its worker" in error, error
        if process.returncode == 0:
            assert decided(folder) == decided(undisturbed[0])
            shutil.rmtree(folder)
            ended += 1
