"""What nobody asked for is reported: device, precision, threads and workers; threads that somebody set are kept."""

import subprocess
import sys

import pytest
import torch
from tests.waiting import PATIENCE

import calando as package
from calando.records import Lane
from calando.study.limits import Machine, threads_of

QUICK = {"steps": 4, "batch_size": 32, "device": "cpu"}


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        (3, "2", (3, "")),
        (None, "2", (2, "OMP_NUM_THREADS")),
        (None, "2,4", (2, "OMP_NUM_THREADS")),
        (None, "many", (7, "our rule")),
        (None, "", (7, "our rule")),
        (None, "0", (7, "our rule")),
    ],
)
def test_threads_are_as_asked_else_as_the_environment_says(monkeypatch, given, environment, expected):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr("calando.study.limits.count_processors", lambda: 1)
    monkeypatch.setenv("OMP_NUM_THREADS", environment)
    assert threads_of(given, usual=7, named="our rule") == expected


def test_threads_that_somebody_gave_torch_are_kept(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    assert threads_of(None, usual=1, named="") == (5, "torch.set_num_threads")
    assert threads_of(4, usual=1, named="") == (4, "")
    made = Machine.shared(device="auto", precision="auto", threads=None, workers=None)
    said = made.said(Lane(threads=5), workers=1)
    assert said.endswith(
        "1 worker; chosen: device (auto), precision (auto), threads (torch.set_num_threads), "
        "workers (one a core, by threads)"
    )


def test_a_process_that_set_them_trains_with_them(tmp_path):
    code = (
        "import torch, calando; torch.set_num_threads(3)\n"
        "trained = calando.train('digits', 'fixed', steps=2, batch_size=32, device='cpu')\n"
        "assert trained.record.spec.lane.threads == 3, trained.record.spec.lane"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr
    assert "cpu, fp32, 3 threads a run; chosen: precision (auto), threads (torch.set_num_threads)" in ended.stderr


def test_train_find_and_compare_say_it_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    package.train("digits", "fixed", folder=tmp_path / "run", **QUICK)
    package.find("digits", steps=20, repeats=1, hold=0, batch_size=32, device="cpu")
    package.compare("digits", "fixed", lr=0.1, seeds=1, executor="inline", folder=tmp_path / "study", **QUICK)
    lines = [line for line in capsys.readouterr().err.splitlines() if "chosen: " in line]
    alone = "cpu, fp32, 1 thread a run; chosen: precision (auto), threads (OMP_NUM_THREADS)"
    assert lines[:2] == [f"fixed on digits: {alone}", f"range test of sgd on digits: {alone}"]
    assert lines[2].endswith("chosen: precision (auto), threads (OMP_NUM_THREADS), workers (one a core)")


def test_the_page_says_what_the_command_left_open(tmp_path):
    command = "calando compare digits fixed --device cpu --threads=1"
    options = {"lr": 0.1, "seeds": 1, "executor": "inline", "threads": 1, **QUICK}
    package.compare("digits", "fixed", folder=tmp_path, command=command, **options)
    page = package.write_report(tmp_path).read_text()
    assert "left to calando by the command: precision, workers" in page


def test_a_study_goes_on_with_its_own_threads(tmp_path, monkeypatch):
    options = {"lr": 0.1, "seeds": 1, "executor": "inline", "folder": tmp_path, **QUICK}
    package.compare("digits", "fixed", threads=1, **options)
    monkeypatch.setattr("calando.study.limits.threads_of", lambda given, **_: (given or 2, ""))
    assert package.compare("digits", "fixed", "cosine", **options).spec.lane.threads == 1
