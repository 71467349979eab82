"""macOS and Windows, as far as Linux can play them: what they lack is hidden, and calando does its work."""

import json
import subprocess
import sys

import pytest
from tests.end_to_end.hiding import calling, environment
from tests.waiting import PATIENCE

from calando.errors import UsageError
from calando.host import count_processors, free_bytes, lock, sync_folder

# What Windows has in the place of fcntl, over fcntl's own locks; subprocess takes it for Windows, and so comes first.
LOCKS_BYTES = """
import fcntl, multiprocessing.context, multiprocessing.reduction, os, subprocess, sys, types

def locking(handle, mode, length, lockf=fcntl.lockf, flags=fcntl.LOCK_EX | fcntl.LOCK_NB):
    lockf(handle, flags, length, os.lseek(handle, 0, os.SEEK_CUR))

sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
multiprocessing.reduction.HAVE_SEND_HANDLE = False
"""
MODULES = ["fcntl", "resource", "multiprocessing.forkserver", "termios", "tty", "pwd", "grp"]
DRAWING = ["vl_convert"]  # takes long, and has no say here
# Not os.register_at_fork, os.getuid, signal.SIGKILL and socket.AF_UNIX: torch, platformdirs and Python's own modules
# take them to be there where sys.platform is "linux".
ATTRIBUTES = [
    "os.fork",
    "os.sched_getaffinity",
    "os.statvfs",
    "os.fchmod",
    "os.mkfifo",
    "os.killpg",
    "os.setsid",
    "os.sync",
    "os.O_DIRECTORY",
    "os.O_NONBLOCK",
    "signal.SIGHUP",
    "signal.SIGALRM",
    "signal.setitimer",
    "signal.pthread_sigmask",
]
EVERY_MODULE = """
import importlib, pkgutil, calando
for found in pkgutil.walk_packages(calando.__path__, "calando."):
    if not found.name.endswith((".ray", ".server", ".__main__")):
        importlib.import_module(found.name)
        print(found.name)
"""
STUDY = ["--lr", "0.1", "--steps", "4", "--seeds", "2"]


@pytest.fixture
def elsewhere(tmp_path):
    """What a process is started with where none of this is."""
    return environment(tmp_path / "site", modules=MODULES + DRAWING, attributes=ATTRIBUTES, more=LOCKS_BYTES)


def test_every_module_is_imported_without_what_posix_has(tmp_path, elsewhere):
    ended = subprocess.run(
        [sys.executable, "-c", EVERY_MODULE],
        cwd=tmp_path,
        env=elsewhere,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stderr
    assert "calando.study.executors.process" in ended.stdout


@pytest.mark.slow
def test_every_verb_does_its_work_without_what_posix_has(tmp_path, elsewhere):
    lines = [
        ["compare", "digits", "fixed", "cosine", "--executor", "inline", "--study", "inline", "--json", *STUDY],
        ["compare", "digits", "fixed", "cosine", "--workers", "1", "--study", "spawned", "--json", *STUDY],
        ["show", "spawned", "--json"],
        ["train", "digits", "fixed", "--lr", "0.1", "--steps", "4", "--json"],
        ["find", "digits", "--steps", "40", "--repeats", "1", "--json"],
    ]
    ended = subprocess.run(
        calling(*lines), cwd=tmp_path, env=elsewhere, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stderr
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [status for status, _, _ in answers] == [0] * len(lines), answers
    inline, spawned, shown, _, _ = (json.loads(out) for _, out, _ in answers)
    scores = [[(one["validation"], one["test"]) for one in each["results"]] for each in (inline, spawned, shown)]
    assert scores[0] == scores[1] == scores[2]


def test_a_lock_keeps_a_second_process_out_and_goes_with_its_holder(tmp_path, elsewhere):
    holds = (
        "import sys; from pathlib import Path; from calando.records.store import sole_coordinator\n"
        "with sole_coordinator(Path('study')): print('held', flush=True); sys.stdin.readline()"
    )
    words = [sys.executable, "-c", holds]
    options = {"cwd": tmp_path, "env": elsewhere, "text": True}
    first = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
    try:
        assert first.stdout.readline() == "held\n"
        second = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, **options)
        assert f"is being run by process {first.pid};" in second.stderr
    finally:
        first.kill()
        first.communicate()
    third = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, **options)
    assert third.stdout == "held\n"


def test_what_the_system_is_asked_for(tmp_path, monkeypatch):
    assert count_processors() >= 1
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert count_processors() == 3
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert count_processors() == 1
    assert free_bytes(tmp_path) > 0
    sync_folder(tmp_path)
    with (tmp_path / "lock").open("a+") as one, (tmp_path / "lock").open("a+") as other:
        assert lock(one)
        assert not lock(other)
    monkeypatch.setattr(sys, "platform", "win32")
    sync_folder(tmp_path / "cannot be opened there")


def test_ray_is_refused_on_windows_in_a_line(monkeypatch):
    from calando.study.workers.ray_cluster import join

    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UsageError, match="needs Linux or macOS"):
        join(None, cpus=1)


def test_this_test_hides_what_it_says(elsewhere):
    script = (
        "import os, multiprocessing; print(hasattr(os, 'fork'), multiprocessing.get_all_start_methods())\nimport fcntl"
    )
    ended = subprocess.run([sys.executable, "-c", script], env=elsewhere, capture_output=True, text=True)
    assert ended.stdout.startswith("False ['fork', 'spawn']")
    assert "ModuleNotFoundError" in ended.stderr
