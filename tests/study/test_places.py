"""Where the engine imports from, keeps its sockets and leaves its files: whatever lies in the folder one stands in."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tests.waiting import PATIENCE, is_alive, until

import calando
from calando.errors import DiskFull
from calando.records.files import sweep, write_atomically
from calando.study import perform_job
from calando.study.checkpoint_cache import run_folder
from calando.study.executors.inline import InlineExecutor
from calando.study.executors.process import ProcessExecutor
from calando.study.jobs import Failed, Finished, Train
from calando.testing.executor_trial import ExecutorTrial
from calando.training.checkpoint import drop_checkpoint

MINE = """
import calando, numpy, torch

def workload():
    x, y = torch.arange(960.0).view(60, 1, 4, 4) / 960, torch.arange(60) % 2
    return calando.workload(train=(x, y), model="cnn", batch_size=16)
"""
SMALL = [
    "compare", "digits", "fixed", "cosine", "--steps", "8", "--seeds", "2", "--lr", "0.1", "--workers", "1", "--json",
    "--no-page",
]  # fmt: skip
SHADOWS = ("numpy", "torch", "queue", "random", "pydantic", "calando", "rich", "socket", "altair", "typer")


def command(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """`calando …` as the console script starts it: its own folder, not the current one, is where Python looks."""
    script = Path(sys.executable).with_name("calando")
    found = {**os.environ, "PYTHONPATH": str(Path(calando.__file__).parents[1]), **environment}
    return subprocess.run([script, *arguments], cwd=folder, env=found, capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder as it comes with a download: modules named as those that calando uses."""
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'a').write({name!r})\n")
    return tmp_path


def test_modules_in_the_current_folder_are_not_imported_for_calandos_own(trap):
    made = command(*SMALL, "--study", "made", folder=trap)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["complete"]
    for words in (["show", "made"], ["report", "made"], ["plot", "cosine"], ["--help"]):
        shown = command(*words, folder=trap)
        assert shown.returncode == 0, shown.stderr
    assert not (trap / "sprung").exists(), (trap / "sprung").read_text()


def test_a_module_of_ones_own_is_found_in_the_current_folder_after_all_others(trap):
    (trap / "mine.py").write_text(MINE)
    made = command("compare", "mine:workload", *SMALL[2:], "--study", "made", folder=trap)
    assert made.returncode == 0, made.stderr
    assert not (trap / "sprung").exists(), (trap / "sprung").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the fork server, whose socket has a name")
def test_a_long_tmpdir_is_no_obstacle(tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    made = command(*SMALL, "--study", str(tmp_path / "made"), folder=tmp_path, TMPDIR=str(deep))
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["complete"]


def test_files_have_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_disk_that_fails_is_a_line_and_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"old")

    def fails(handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(DiskFull, match=r"the disk failed at .*file \(Input/output error\)"):
        write_atomically(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_what_kills_left_half_written_is_swept_and_nothing_else(tmp_path):
    for name in (".tensors-8-ab.safetensors.x1", ".state.json.y2", ".tensors-9-cd.safetensors.0a1b2c3d.part"):
        (tmp_path / name).write_bytes(b"half")
    for name in ("state.json", "tensors-8-ab.safetensors", ".seen", ".lock"):
        (tmp_path / name).write_bytes(b"whole")
    assert sweep(tmp_path, tmp_path / "nowhere") == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock", ".seen", "state.json", "tensors-8-ab.safetensors"
    ]  # fmt: skip


def damage(folder: Path) -> None:
    """A checkpoint that fails its checksum."""
    (folder / "state.json").write_text("{}")


def test_a_link_to_a_damaged_checkpoint_is_removed_and_not_what_it_leads_to(tmp_path):
    """A run's folder on another disk."""
    crew = ExecutorTrial(lambda setup, said: InlineExecutor(setup, on_progress=said), tmp_path)
    spec = crew.run("sgd(lr=0.01, momentum=0.9)", seed=1)
    own, elsewhere = run_folder(crew.folder, spec.digest()), tmp_path / "elsewhere"
    elsewhere.mkdir()
    damage(elsewhere)
    own.parent.mkdir()
    own.symlink_to(elsewhere)
    assert isinstance(crew.do(Train(spec))[0], Finished)
    assert not own.is_symlink()
    assert (elsewhere / "state.json").exists()


def test_a_damaged_checkpoint_that_cannot_be_removed_ends_the_job_in_a_line(tmp_path, monkeypatch):
    """A read-only folder, for users who are not root."""
    monkeypatch.setattr(perform_job, "drop_checkpoint", lambda folder: False)
    crew = ExecutorTrial(lambda setup, said: InlineExecutor(setup, on_progress=said), tmp_path)
    spec = crew.run("sgd(lr=0.01, momentum=0.9)", seed=1)
    own = run_folder(crew.folder, spec.digest())
    own.mkdir(parents=True)
    damage(own)
    (failed,) = crew.do(Train(spec))
    assert isinstance(failed, Failed)
    assert failed.fault == "user"
    assert f"make {str(own.parent)!r} writable" in failed.message


WAITING = """
import sys, time
from pathlib import Path
from calando.testing.executor_trial import ExecutorTrial
from calando.study.executors.process import ProcessExecutor
from calando.study.jobs import Train

def make(setup, on_progress):
    return ProcessExecutor(setup, workers=1, on_progress=on_progress)

if __name__ == "__main__":
    crew = ExecutorTrial(make, Path(sys.argv[1]))
    crew.mood.write_text("dawdle 0.5")
    process = crew.process_of(crew.submit(Train(crew.run("sgd(lr=0.01)", seed=1, steps=600))))
    crew.mood.write_text("dawdle 3600")
    print(process, flush=True)
    time.sleep(3600)
"""


def test_a_worker_in_the_midst_of_an_update_ends_when_its_coordinator_is_gone(tmp_path, monkeypatch):
    """Killed outright, with no chance to tell anyone."""
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    found = os.pathsep.join([str(Path(calando.__file__).parents[1]), str(Path(__file__).parents[2])])
    words = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(words, env=os.environ | {"PYTHONPATH": found}, stdout=subprocess.PIPE, text=True) as alone:
        process = int(alone.stdout.readline())
        alone.send_signal(signal.SIGKILL)
    until(lambda: not is_alive(process))


def test_drop_checkpoint_reports_what_stays(tmp_path):
    assert drop_checkpoint(tmp_path / "nowhere")
    (tmp_path / "run").mkdir()
    damage(tmp_path / "run")
    assert drop_checkpoint(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_interrupted_while_it_waits_for_what_is_in_hand_it_ends_all_at_once(tmp_path, monkeypatch):
    """A second Ctrl-C, in the midst of an update that takes an hour, as it would wait for as long."""
    crew = ExecutorTrial(lambda setup, said: ProcessExecutor(setup, workers=1, on_progress=said), tmp_path)
    crew.mood.write_text("dawdle 0.5")
    process = crew.process_of(crew.submit(Train(crew.run("sgd(lr=0.01)", seed=1, steps=600))))
    crew.mood.write_text("dawdle 3600")
    monkeypatch.setattr("calando.study.executors.process.STOP_SECONDS", 3600)
    waited = Connection.poll

    def interrupted(self, timeout=0.0):
        if timeout > 3000:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        return waited(self, timeout)

    monkeypatch.setattr(Connection, "poll", interrupted)
    with pytest.raises(KeyboardInterrupt):
        crew.stop()
    assert not Path(f"/proc/{process}").exists()
