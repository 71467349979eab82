"""People's own training code under `calando.compare`: functions and scripts, what goes wrong, what is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from tests.waiting import PATIENCE
from torch import nn

import calando
from calando.errors import UsageError
from calando.records import Store
from calando.study import own_look
from calando.study.limits import Machine

QUESTION = {"seeds": 2, "lr": 0.05, "check_repeats": True}


def regression(run, *, goal_says: bool = True) -> None:
    """Ten updates on a straight line."""
    x = torch.randn(40, 3)
    y = x.sum(1, keepdim=True)
    model = nn.Linear(3, 1)
    epochs = run.epochs(2)
    training = run.follow(model, total_steps=len(epochs) * 5, steps_per_epoch=5)
    run.keep(model=model, training=training)
    for _ in epochs:
        for batch in torch.arange(40).split(8):
            nn.functional.mse_loss(model(x[batch]), y[batch]).backward()
            training.optimizer.step()
            training.optimizer.zero_grad()
        run.report(nn.functional.mse_loss(model(x), y))
    run.finish(test=nn.functional.mse_loss(model(x), y))


def scores(answer) -> dict[str, tuple[float, ...]]:
    return {one.name: one.test.values for one in answer.results}


def test_a_function_is_compared_here_and_in_workers_to_the_same_numbers(tmp_path):
    here = calando.compare(
        regression, "fixed", "cosine", folder=tmp_path / "here", executor="inline", goal="min", unit="MSE", **QUESTION
    )
    there = calando.compare(
        regression, "fixed", "cosine", folder=tmp_path / "there", workers=2, goal="min", unit="MSE", **QUESTION
    )
    assert scores(here) == scores(there)
    assert here.spec.workload.measure.unit == "MSE"
    assert here.spec.steps == 10
    with Store.open(tmp_path / "there", read_only=True) as store:
        record = next(iter(store.runs().values()))
    assert (record.steps_done, len(record.evaluations), len(record.rates)) == (10, 2, 10)


@pytest.mark.parametrize("says_epoch", [True, False])
def test_epochs_reach_code_whose_default_is_another(tmp_path, says_epoch):
    """An epoch's length is what the look shows, not what the code's default number of epochs would make it."""

    def train(run):
        epochs = run.epochs(4)
        model = nn.Linear(1, 1)
        training = run.follow(model, total_steps=len(epochs) * 10, **({"steps_per_epoch": 10} if says_epoch else {}))
        for _ in epochs:
            for _ in range(10):
                model(torch.ones(2, 1)).square().mean().backward()
                training.optimizer.step()
            run.report(float(run.step))

    answer = calando.compare(train, "fixed", epochs=8, folder=tmp_path, executor="inline", **QUESTION)
    assert (answer.spec.steps, answer.spec.steps_per_epoch) == (80, 10)
    assert answer.results[0].test.values == (80.0, 80.0)


def test_lengths_reach_the_code_and_are_strategies_of_their_own(tmp_path):
    answer = calando.compare(regression, "fixed", epochs=(1, 3), folder=tmp_path, executor="inline", **QUESTION)
    assert answer.spec.lengths == (5, 15)


def test_rates_are_chosen_round_that_of_the_codes_own_optimizer(tmp_path):
    def train(run):
        model = nn.Linear(2, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.004)
        run.scheduler(optimizer, total_steps=4, steps_per_epoch=2)
        for _ in run.epochs(2):
            for _ in range(2):
                model(torch.ones(4, 2)).square().mean().backward()
                optimizer.step()
            run.report(-model(torch.ones(1, 2)).square())

    answer = calando.compare(train, "fixed", "own(lr=auto) | linear(1, 0)", folder=tmp_path, executor="inline", rates=3)
    grid = next(iter(answer.spec.rate_grids.values()))
    assert grid[1] == pytest.approx(0.004)
    assert answer.spec.workload.own_optimizer
    assert {one.method for one in answer.spec.strategies} == {"own"}


@pytest.mark.parametrize(
    ("code", "strategies", "options", "message"),
    [
        (lambda run: 1 / 0, ["fixed"], {}, "ZeroDivisionError"),
        (lambda run: None, ["fixed"], {}, "ended before it called run.follow"),
        (lambda a, b: None, ["fixed"], {}, "called with the run alone"),
        (regression, ["fixed"], {"lr": "find"}, "calando.find_lr"),
        (regression, ["own(lr=0.1)"], {}, "is for an optimizer of your own"),
        (regression, ["fixed"], {"model": "cnn"}, "model is an option of workloads"),
        (regression, ["fixed"], {"arguments": ["--x"]}, "arguments after -- are for a script"),
        ("nowhere/train.py", ["fixed"], {}, "no script"),
        ("digits", ["fixed"], {"goal": "min"}, "goal is for your own training code"),
        (regression, ["fixed"], {"steps": 7}, "asked to have 7 updates"),
    ],
)
def test_what_is_wrong_is_said_before_a_study_begins(tmp_path, code, strategies, options, message):
    with pytest.raises(UsageError, match=message):
        calando.compare(code, *strategies, folder=tmp_path / "study", executor="inline", **{"lr": 0.1, **options})
    assert not (tmp_path / "study").exists()


def test_code_that_does_not_repeat_itself_is_said_to(tmp_path, capsys):
    def train(run):
        model = nn.Linear(2, 1)
        model.weight.data = torch.tensor([[time.perf_counter_ns() % 1e6, 0.0]])
        training = run.follow(model, total_steps=3)
        for _ in run.steps(3):
            model(torch.ones(4, 2)).square().mean().backward()
            training.optimizer.step()
        run.report(1.0)

    calando.compare(train, "fixed", folder=tmp_path, executor="inline", **QUESTION)
    assert "not repeatable" in capsys.readouterr().err


def test_a_run_that_diverges_is_a_failed_run_and_the_worst(tmp_path):
    def train(run):
        model = nn.Linear(2, 1)
        training = run.follow(model, total_steps=4, steps_per_epoch=2)
        for _ in run.epochs(2):
            for _ in range(2):
                model(torch.ones(4, 2)).square().mean().backward()
                training.optimizer.step()
            run.report(float("nan") if run.lr > 0.5 else run.lr)

    answer = calando.compare(
        train, "sane = sgd(lr=0.1)", "wild = sgd(lr=1.0)", folder=tmp_path, executor="inline", seeds=2
    )
    by_name = {one.name: one for one in answer.results}
    assert (by_name["sane"].diverged, by_name["wild"].diverged) == (0, 2)
    assert answer.best == "sane"


SCRIPT = """
import argparse, os, sys, time, torch
import calando
parser = argparse.ArgumentParser()
parser.add_argument("--width", type=int)
parser.add_argument("--slow", type=float, default=0)
options = parser.parse_args()
run = calando.run("cosine", lr=0.1, goal="min", unit="MSE")
x = torch.randn(32, 3); y = x.sum(1, keepdim=True)
model = torch.nn.Sequential(torch.nn.Linear(3, options.width), torch.nn.ReLU(), torch.nn.Linear(options.width, 1))
epochs = run.epochs(4)
training = run.follow(model, total_steps=len(epochs) * 4, steps_per_epoch=4)
run.keep(model=model, training=training)
for epoch in epochs:
    for batch in torch.randperm(32).split(8):
        torch.nn.functional.mse_loss(model(x[batch]), y[batch]).backward()
        training.optimizer.step(); training.optimizer.zero_grad()
        time.sleep(options.slow)
    print("epoch", epoch, "of", run.seed, flush=True)
    run.report(torch.nn.functional.mse_loss(model(x), y))
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("script")
    (folder / "train.py").write_text(SCRIPT)
    return folder


def command(folder: Path, *words: str) -> list[str]:
    return [
        sys.executable,
        "-c",
        "from calando.cli.main import main; main()",
        "compare",
        str(folder / "train.py"),
        "--no-page",
        *words,
    ]


def asked_of(folder: Path, *words: str) -> dict:
    ended = subprocess.run(command(folder, *words), cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def values(answer: dict) -> dict[str, list[float]]:
    return {one["name"]: one["test"]["values"] for one in answer["results"]}


@pytest.mark.slow
def test_a_script_is_compared_with_arguments_of_its_own(script):
    words = ("fixed", "cosine", "--seeds", "1", "--lr", "0.05", "--json", "--study", "whole")
    answer = asked_of(script, *words, "--", "--width", "4")
    assert answer["spec"]["workload"]["goal"] == "min"
    assert answer["spec"]["workload"]["code"].endswith("train.py --width 4")
    assert all(len(one) == 1 for one in values(answer).values())
    logs = [path.read_text() for path in (script / "whole" / "logs").iterdir()]
    assert [log.count("epoch") for log in logs] == [4, 4]
    assert not [*(script / "whole").glob("checkpoints/*/kept*")]
    # Asked again, from Python: nothing is trained, and it is the same study.
    again = calando.compare(
        str(script / "train.py"),
        "fixed",
        "cosine",
        seeds=1,
        lr=0.05,
        folder=script / "whole",
        check_repeats=False,
        arguments=["--width", "4"],
    )
    assert {one.name: list(one.test.values) for one in again.results} == values(answer)


def slowly(run) -> None:
    """`regression`, long enough to be killed."""
    folder = Path(run.asked.folder) if run.asked.folder else None
    if folder and not (folder / "seen").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "seen").write_text("")
        x = torch.randn(40, 3)
        model = nn.Linear(3, 1)
        training = run.follow(model, total_steps=10, steps_per_epoch=5)
        run.keep(model=model, training=training)
        for _ in run.epochs(2):
            for batch in torch.arange(40).split(8):
                nn.functional.mse_loss(model(x[batch]), x[batch].sum(1, keepdim=True)).backward()
                training.optimizer.step()
                training.optimizer.zero_grad()
            run.report(nn.functional.mse_loss(model(x), x.sum(1, keepdim=True)))
            if (folder / "kept.json").exists():
                os.kill(os.getpid(), signal.SIGKILL)
    regression(run)


@pytest.mark.slow
def test_a_killed_run_goes_on_in_another_process_to_the_same_numbers(tmp_path):
    """Each run kills itself once, after its first checkpoint."""
    heard = []
    killed = calando.compare(
        slowly,
        "fixed",
        folder=tmp_path / "killed",
        workers=2,
        listen=lambda status: heard.append(tuple(status.notes)),
        **QUESTION,
    )
    whole = calando.compare(regression, "fixed", folder=tmp_path / "whole", executor="inline", **QUESTION)
    assert scores(killed) == scores(whole)
    assert sum("worker was lost" in note for note in heard[-1]) == 2


@pytest.mark.slow
def test_a_script_that_fails_shows_its_last_lines(tmp_path):
    (tmp_path / "train.py").write_text(
        "import calando\nrun = calando.run()\nprint('so far')\nraise KeyError('colour')\n"
    )
    ended = subprocess.run(command(tmp_path, "fixed", "--lr", "0.1"), cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "so far" in ended.stderr
    assert "KeyError: 'colour'" in ended.stderr
    assert "Traceback" not in ended.stderr.splitlines()[0]


def test_a_thread_of_the_code_does_not_hold_the_end(tmp_path):
    """Whatever the function leaves running, its run is over when it returns."""
    left, over = [], threading.Event()

    def train(run):
        left.append(threading.Thread(target=over.wait))
        left[-1].start()
        regression(run)

    try:
        calando.compare(train, "fixed", folder=tmp_path, executor="inline", **QUESTION)
        assert left
        assert all(one.is_alive() for one in left)
    finally:
        over.set()


def test_what_the_process_lends_comes_back(tmp_path):
    """Generators, threads and the working folder are as they were, after success and after failure."""

    def failing(run):
        torch.manual_seed(5)
        raise RuntimeError("no")

    torch.manual_seed(11)
    before = torch.get_rng_state(), torch.get_num_threads(), Path.cwd()
    calando.compare(regression, "fixed", folder=tmp_path / "a", executor="inline", threads=1, **QUESTION)
    with pytest.raises(UsageError):
        calando.compare(failing, "fixed", folder=tmp_path / "b", executor="inline", **QUESTION)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), Path.cwd()) == before[1:]


@pytest.mark.parametrize(
    ("visible", "workers", "device", "expected"),
    [
        (None, 2, "auto", ("0", "1", "2")),
        ("2,0", 2, "auto", ("2", "0")),
        ("1", 2, "auto", ()),
        (None, 1, "auto", ()),
        (None, 2, "cpu", ("",)),
    ],
)
def test_gpus_are_handed_out_one_a_worker(monkeypatch, visible, workers, device, expected):
    """One worker sees them all, as a launcher of several ranks needs them."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert own_look.gpus_for(Machine(device=device, workers=workers)) == expected


@pytest.mark.parametrize(("code", "ends_well"), [(0, True), (None, True), (3, False), ("no data", False)])
def test_a_function_that_exits_ends_as_a_script_does(tmp_path, code, ends_well):
    def train(run):
        regression(run)
        sys.exit(code)

    if ends_well:
        answer = calando.compare(train, "fixed", folder=tmp_path, executor="inline", **QUESTION)
        assert answer.complete
        return
    with pytest.raises(UsageError, match="SystemExit"):
        calando.compare(train, "fixed", folder=tmp_path, executor="inline", **QUESTION)
