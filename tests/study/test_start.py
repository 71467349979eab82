"""How worker processes start on Linux: early, from one server, in the world as it then is."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.study.study_kit import processes_under, workers_under
from tests.waiting import PATIENCE, until

from calando.errors import WorkerLost
from calando.study.executors.process import ProcessExecutor
from calando.study.jobs import Lost, OnProgress, Train
from calando.study.workers import start
from calando.study.workers.messages import Setup
from calando.study.workers.start import start_early, start_worker
from calando.testing.executor_trial import ExecutorTrial, alone, same

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each worker imports for itself")

COMMAND = """
import sys
from calando.cli.main import main
sys.argv = ["calando", "compare", "digits", "fixed", "cosine", "--no-page", "--study", sys.argv[1]]
if __name__ == "__main__":
    main()
"""


def servers_under(process: int) -> list[int]:
    """The fork servers among the processes it started, without what those forked."""
    forked = workers_under(process)
    named = {one: Path(f"/proc/{one}/cmdline").read_bytes() for one in processes_under(process) if one not in forked}
    return [one for one, words in named.items() if b"forkserver" in words]


class Noting:
    """Unpickled in a worker, it writes down what that sees."""

    def __reduce__(self):
        return note, ()


def note() -> None:
    seen = (os.environ[name] for name in ("CALANDO_TEST_WORD", "OMP_NUM_THREADS", "MKL_NUM_THREADS"))
    Path(os.environ["CALANDO_TEST_NOTE"]).write_text(" ".join([*seen, str("torch" in sys.modules), str(os.getppid())]))


def test_a_worker_sees_the_environment_as_it_is_when_it_starts(tmp_path, monkeypatch):
    """The server is older, and stays the same."""
    found = []
    for word, threads in (("first", 1), ("second", 3)):
        monkeypatch.setenv("CALANDO_TEST_WORD", word)
        monkeypatch.setenv("CALANDO_TEST_NOTE", str(tmp_path / word))
        before = dict(os.environ)
        process, connection = start_worker(threads=threads)
        assert dict(os.environ) == before
        connection.send((Noting(), 0))
        process.join(PATIENCE)
        found.append((tmp_path / word).read_text().split())
    assert [one[:4] for one in found] == [["first", "1", "1", "True"], ["second", "3", "3", "True"]]
    assert found[0][4] == found[1][4] == str(servers_under(os.getpid())[0])


def process(setup: Setup, on_progress: OnProgress) -> ProcessExecutor:
    return ProcessExecutor(setup, workers=1, on_progress=on_progress)


def test_a_server_that_is_killed_takes_no_run_along_and_another_takes_its_place(tmp_path):
    crew = ExecutorTrial(process, tmp_path)
    try:
        spec = crew.run("sgd(lr=0.01, momentum=0.9)", seed=1)
        crew.mood.write_text("dawdle 0.1")
        lease = crew.submit(Train(spec))
        worker = crew.process_of(lease)
        (old,) = servers_under(os.getpid())
        os.kill(old, signal.SIGKILL)
        crew.mood.write_text("calm")
        (word,) = crew.hear(lease)
        assert same(word.result, alone(spec, crew.workload, tmp_path)[0])
        assert crew.executor.process_ids == [worker]
        os.kill(worker, signal.SIGKILL)
        (lost,) = crew.hear(crew.submit(Train(crew.run("sgd(lr=0.02)", seed=1))))
        assert isinstance(lost, Lost)
        (word,) = crew.do(Train(crew.run("sgd(lr=0.02)", seed=1)))
        assert word.result.outcome == "finished"
        assert servers_under(os.getpid()) not in ([], [old])
    finally:
        crew.stop()


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_a_server_that_is_killed_before_it_answers_is_replaced(seconds):
    """While it still imports torch, and is asked for a worker."""
    olds = servers_under(os.getpid())
    for old in olds:
        os.kill(old, signal.SIGKILL)
    while not (found := [one for one in servers_under(os.getpid()) if one not in olds]):
        start_early()
        time.sleep(0.05)
    (young,) = found
    killing = threading.Timer(seconds, os.kill, (young, signal.SIGKILL))
    killing.start()
    process, connection = start_worker(threads=1)
    killing.join()
    assert servers_under(os.getpid()) not in ([], [young])
    connection.close()
    process.join(PATIENCE)
    assert process.exitcode == 0


def test_a_server_that_is_stopped_is_replaced(monkeypatch):
    """By a debugger, or by a person's `kill -STOP`. Its successor has the time that every server has."""
    start_worker(threads=1)[0].kill()
    (old,) = servers_under(os.getpid())
    usual = start._killed_if_silent
    monkeypatch.setattr(
        start, "_killed_if_silent", lambda seconds: usual(1.0 if old in servers_under(os.getpid()) else seconds)
    )
    os.kill(old, signal.SIGSTOP)
    process, connection = start_worker(threads=1)
    connection.close()
    process.join(PATIENCE)
    assert old not in servers_under(os.getpid())


def test_a_server_that_always_dies_stops_the_study(monkeypatch):
    def dies(*args) -> None:
        raise EOFError("unexpected EOF")

    monkeypatch.setattr("multiprocessing.forkserver.connect_to_new_process", dies)
    with pytest.raises(WorkerLost, match=r"no worker can be started \(EOFError: unexpected EOF\); is there memory"):
        start_worker(threads=1)


@pytest.mark.parametrize("seconds", [pytest.param(0.1, marks=pytest.mark.torture), 1.0])
def test_ctrl_c_while_everything_is_imported_is_one_line(tmp_path, seconds):
    """Pressed on a terminal it reaches the server too."""
    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    running = subprocess.Popen(
        [sys.executable, script, tmp_path / "study"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: servers_under(running.pid))
    time.sleep(seconds)
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=PATIENCE)
    assert running.returncode != 0
    assert "Traceback" not in out + err
    assert len(err.strip().splitlines()) <= 1, err
