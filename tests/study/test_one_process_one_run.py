"""A script's process: what it starts is not taken for the run, and what fails leaves no result."""

import sys

import pytest

import calando
from calando.errors import UsageError
from calando.loops.run_channel import Assignment
from calando.loops.run_result import read_result
from calando.strategy import read_strategy
from calando.study.own_process import supervise
from calando.study.own_training import LAST_LINES, LINE_LETTERS

BEGIN = """
import os, sys, torch, calando
run = calando.run("cosine", lr=0.1)
"""
TRAIN = """
model = torch.nn.Linear(1, 1)
training = run.follow(model, total_steps=4, steps_per_epoch=4)
for _ in run.epochs(1):
    for x in loader:
        model(x).mean().backward()
        training.optimizer.step()
    run.report(1.0)
run.finish(test=0.5)
"""


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (f"{BEGIN}\nif os.fork() == 0:\n    sys.exit(0)\nos.wait()\nloader = torch.ones(4, 1, 1){TRAIN}", "finished"),
        (
            f"{BEGIN}\nif __name__ == '__main__':\n    loader = torch.utils.data.DataLoader("
            "torch.ones(4, 1), num_workers=1, multiprocessing_context='spawn')" + TRAIN.replace("\n", "\n    "),
            "finished",
        ),
        (f"{BEGIN}loader = torch.ones(4, 1, 1){TRAIN}calando.run('cosine', lr=0.1)", "failed"),
    ],
    ids=["forks", "spawns", "a second run"],
)
def test_one_process_is_one_run(tmp_path, code, how):
    (tmp_path / "train.py").write_text(code)
    asked = Assignment(
        strategy=read_strategy("fixed").at_rate(0.1).model_dump_json(),
        seed=0,
        total_steps=4,
        steps_per_epoch=4,
        folder=str(tmp_path / "run"),
    )
    command = [sys.executable, str(tmp_path / "train.py")]
    log = tmp_path / "log"
    ended = supervise(command, asked, environment={}, log=log, hear=lambda report: False)
    assert ended.how == how, log.read_text()
    if how == "finished":
        assert read_result(tmp_path / "run").test == 0.5
    else:
        assert "one run, and it has made it" in log.read_text()


def finish_and_raise(run) -> None:
    training = run.follow(linear(), total_steps=1, steps_per_epoch=1)
    training.network.weight.sum().backward()
    training.optimizer.step()
    run.report(1.0)
    run.finish(test=1.0)
    raise ValueError("after the end")


def linear():
    import torch

    return torch.nn.Linear(1, 1)


def test_code_that_fails_after_its_end_fails_again(tmp_path):
    for _ in range(2):
        with pytest.raises(UsageError, match="fixed, seed 0: ValueError: after the end"):
            calando.compare(finish_and_raise, "fixed", lr=0.1, seeds=2, folder=tmp_path, executor="inline")


def test_a_goal_is_one_of_two(tmp_path):
    with pytest.raises(UsageError, match="goal must be"):
        calando.compare(finish_and_raise, "fixed", goal="up", folder=tmp_path, executor="inline")


def test_a_study_folder_is_no_file(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "study"):
        with pytest.raises(UsageError, match="is a file or lies in one"):
            calando.compare("digits", "fixed", lr=0.1, steps=10, seeds=1, folder=folder, executor="inline")


def test_of_what_failing_code_prints_the_last_lines_are_shown(tmp_path):
    def prints(run) -> None:
        raise ValueError("x" * 100_000)

    with pytest.raises(UsageError) as caught:
        calando.compare(prints, "fixed", lr=0.1, folder=tmp_path, executor="inline")
    assert max(map(len, caught.value.printed)) <= LINE_LETTERS
    assert len(caught.value.printed) <= LAST_LINES
