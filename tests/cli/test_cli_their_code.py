"""People's own code prints, exits, forks, raises what no encoding has: the answer is the answer, the error a line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import PATIENCE

import calando

WORKLOAD = """
import atexit, multiprocessing, os, sys
import torch
import calando

{top}

class Net(torch.nn.Sequential):
    def __init__(self, classes):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(16, classes))
        {build}

    def forward(self, x):
        {forward}
        return super().forward(x)

def workload():
    {make}
    x, y = torch.arange(960.0).view(60, 1, 4, 4) / 960, torch.arange(60) % 2
    return calando.workload(train=(x, y), model=Net, batch_size=16)
"""
SMALL = ["--steps", "6", "--seeds", "2", "--lr", "0.1", "--workers", "1", "--json", "--no-page"]


def command(folder: Path, *words: str, **parts: str) -> subprocess.CompletedProcess:
    parts = {"top": "", "build": "pass", "forward": "pass", "make": "pass"} | parts
    (folder / "mine.py").write_text(WORKLOAD.format(**parts))
    found = os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])}
    script = Path(sys.executable).with_name("calando")
    return subprocess.run([script, *words], cwd=folder, env=found, capture_output=True, text=True, timeout=PATIENCE)


LOUD = {
    "top": "print('loud: imported'); atexit.register(print, 'loud: bye'); os.system('echo loud: a child')",
    "build": "print('loud: built')",
    "forward": "os.write(1, b'loud: forward')",
    "make": "print('loud: made')",
}


@pytest.mark.parametrize(
    "words",
    [
        ["compare", "mine:workload", "fixed", "cosine", "--study", "made", *SMALL],
        pytest.param(
            ["compare", "mine:workload", "fixed", "cosine", "--study", "made", "--executor", "inline", *SMALL],
            marks=pytest.mark.torture,
        ),
        ["train", "mine:workload", "fixed", "--steps", "6", "--lr", "0.1", "--json"],
        ["find", "mine:workload", "--steps", "20", "--repeats", "1", "--json"],
    ],
    ids=["processes", "inline", "train", "find"],
)
def test_what_their_code_prints_is_not_in_the_answer(tmp_path, words):
    ended = command(tmp_path, *words, **LOUD)
    assert ended.returncode == 0, ended.stderr
    assert "loud: " not in ended.stdout
    json.loads(ended.stdout)
    for one in ("imported", "a child", "built", "forward", "made", "bye"):
        assert f"loud: {one}" in ended.stderr


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"top": "sys.exit(0)"}, "cannot import 'mine' of 'mine:workload': SystemExit: 0"),
        ({"make": "sys.exit(0)"}, "workload 'mine:workload' failed: SystemExit: 0"),
        ({"forward": "sys.exit(0)"}, "SystemExit: 0"),
        ({"forward": "raise ValueError('no such \\udcff')"}, "ValueError: no such"),
        ({"make": "os.fork()"}, "forked this process; the copy ends here"),
    ],
    ids=["exit at import", "exit when called", "exit in a run", "text without encoding", "fork"],
)
def test_what_their_code_does_to_the_process_is_a_line(tmp_path, parts, reason):
    ended = command(tmp_path, "compare", "mine:workload", "fixed", "cosine", "--study", "made", *SMALL, **parts)
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr
    if "os.fork()" in parts.values():
        # Twice: here, and in a worker, which loads the workload too.
        assert json.loads(ended.stdout)["complete"]
    else:
        assert ended.returncode == 2
        assert ended.stdout == ""


def test_their_code_may_have_a_pool_of_its_own_in_a_worker(tmp_path):
    pool = "global P; P = multiprocessing.get_context('fork').Pool(1); P.map(abs, [1]); P.terminate()"
    ended = command(tmp_path, "compare", "mine:workload", "fixed", "--study", "made", *SMALL, make=pool)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["complete"]


def test_without_docstrings_there_are_numbers_and_no_pictures(tmp_path):
    """PYTHONOPTIMIZE=2 drops them, and altair cannot do without."""
    found = os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1]), "PYTHONOPTIMIZE": "2"}
    script = Path(sys.executable).with_name("calando")
    for words in (
        ["compare", "digits", "fixed", "--study", "made", "--executor", "inline", *SMALL, "--page"],
        ["schedules"],
    ):
        ended = subprocess.run(
            [script, *words], cwd=tmp_path, env=found, capture_output=True, text=True, timeout=PATIENCE
        )
        assert "PYTHONOPTIMIZE" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert ended.returncode == (0 if words[0] == "compare" else 2)
    assert json.loads(subprocess.check_output([script, "show", "made", "--json"], cwd=tmp_path, env=found))["complete"]


def test_a_study_folder_whose_name_no_encoding_has_is_refused_and_a_data_folder_is_not(tmp_path):
    words = ["compare", "digits", "fixed", "--executor", "inline", *SMALL]
    refused = command(tmp_path, *words, "--study", os.fsdecode(b"st\xffudy"))
    assert refused.returncode == 2
    assert (
        refused.stderr == "calando: the study folder's name must be UTF-8, got 'st\\udcffudy'; name another --study\n"
    )
    assert command(tmp_path, *words, "--study", "made", "--data", os.fsdecode(b"d\xff")).returncode == 0


AFTERWARDS = """
import multiprocessing, os, sys, torch, calando

def ask(folder):
    try:
        calando.compare("digits", "fixed", folder=folder, steps=2, seeds=1, lr=0.1, workers=1, page=False)
    except calando.UsageError as error:
        print("refused:", error, flush=True)

if __name__ == "__main__":
    if sys.argv[2] == "fork":
        ask(sys.argv[1] + "/first")
        if os.fork() == 0:
            ask(sys.argv[1] + "/second")
            os._exit(0)
        os.wait()
    else:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            pool.map(ask, [sys.argv[1] + "/second"])
"""


@pytest.mark.parametrize(
    ("how", "reason"),
    [pytest.param("fork", "was forked from one", marks=pytest.mark.torture), ("pool", "is a daemon of")],
)
def test_a_study_asked_for_in_a_process_that_may_start_none_is_refused_in_a_line(tmp_path, how, reason):
    (tmp_path / "script.py").write_text(AFTERWARDS)
    found = os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])}
    words = [sys.executable, "-W", "ignore", "script.py", str(tmp_path), how]
    ended = subprocess.run(words, cwd=tmp_path, env=found, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr
    assert f"refused: this process {reason}" in ended.stdout
    assert 'executor="inline"' in ended.stdout
