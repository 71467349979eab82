"""How a run of several ranks ended, from what they said and what befell them."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import is_alive, until

from calando.loops.run_channel import Assignment
from calando.study.own_process import supervise

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="connects to a Unix socket")

RANKS = """
import json, os, signal, socket, sys, time
from pathlib import Path

address = json.load(open(os.environ["CALANDO_RUN"]))["address"].partition(":")[2]

def rank():
    made = socket.socket(socket.AF_UNIX)
    made.connect(address)
    return made

def say(rank, status, **others):
    rank.sendall((json.dumps({"kind": "ended", "status": status, **others}) + "\\n").encode())

def heard():
    Path("said").touch()
    while Path("said").exists():
        time.sleep(0.01)

first, second = rank(), rank()
heard()
"""


class Hearing:
    """Lets the script go on from `heard()` when all that it sent before has been taken in: two rounds later."""

    def __init__(self, said: Path) -> None:
        self.said, self.rounds = said, 0

    def __call__(self, report) -> bool:
        self.rounds = self.rounds + 1 if self.said.exists() else 0
        if self.rounds == 6:
            self.rounds = 0
            self.said.unlink()
        return False


@pytest.mark.parametrize(
    ("what_happens", "how"),
    [
        ("say(first, 'finished'); say(second, 'finished')", "finished"),
        # torn down badly, after the result was left
        ("say(first, 'finished'); say(second, 'finished'); os.abort()", "finished"),
        ("say(first, 'finished'); say(second, 'finished'); sys.exit(1)", "finished"),
        # a rank that was killed takes the others with it
        ("second.close(); say(first, 'failed'); sys.exit(1)", "lost"),
        ("second.close(); heard(); say(first, 'failed'); sys.exit(1)", "lost"),
        ("say(first, 'finished'); second.close()", "lost"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "lost"),
        # the launcher ends the others where one has failed
        ("say(first, 'failed'); heard(); second.close(); sys.exit(1)", "failed"),
        ("say(first, 'stopped'); second.close(); sys.exit(75)", "stopped"),
        # the first rank left a result: the others, which wait for it, are ended
        ("say(first, 'finished', whole=True); time.sleep(3600)", "finished"),
    ],
)
def test_what_befell_a_rank_first_says_how_the_run_ended(tmp_path, monkeypatch, what_happens, how):
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "ranks.py"
    script.write_text(RANKS + what_happens + "\n")
    ended = supervise(
        [sys.executable, "-I", str(script)],
        Assignment(strategy="", seed=0),
        environment={},
        log=tmp_path / "log",
        hear=Hearing(tmp_path / "said"),
    )
    assert ended.how == how, ended


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_rank_that_came_and_went_while_nobody_listened_is_heard(tmp_path, monkeypatch):
    """On a busy machine a study's process may be held up for as long as that takes."""
    monkeypatch.chdir(tmp_path)
    begin, gone = tmp_path / "begin", tmp_path / "gone"
    waits = "while not Path('begin').exists(): time.sleep(0.01)"
    script = tmp_path / "ranks.py"
    ranks = RANKS.replace("first, second = rank(), rank()\nheard()\n", f"{waits}\nfirst = rank()\n")
    script.write_text(f"{ranks}say(first, 'finished'); Path('gone').write_text(str(os.getpid())); sys.exit(1)\n")

    def held_up(report) -> bool:
        begin.touch()
        until(lambda: gone.exists() and gone.read_text() and not is_alive(int(gone.read_text())))
        return False

    words = [sys.executable, "-I", str(script)]
    ended = supervise(words, Assignment(strategy="", seed=0), environment={}, log=tmp_path / "log", hear=held_up)
    assert ended.how == "finished", ended


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_script_that_never_speaks_ends_with_who_started_it(tmp_path):
    """Killed outright, the starter closes no connection, for there is none yet."""
    script, noted = tmp_path / "silent.py", tmp_path / "pid"
    script.write_text(f"import os, time; open({str(noted)!r}, 'w').write(str(os.getpid())); time.sleep(3600)\n")
    starter = (
        "import sys; from calando.loops.run_channel import Assignment; "
        "from calando.study.own_process import supervise; "
        f"from pathlib import Path; supervise([sys.executable, {str(script)!r}], Assignment(strategy='', seed=0), "
        f"environment={{}}, log=Path({str(tmp_path / 'log')!r}), hear=lambda report: False)"
    )
    process = subprocess.Popen([sys.executable, "-c", starter])
    until(lambda: noted.exists() and noted.read_text())
    process.kill()
    process.wait()
    started = int(noted.read_text())
    until(lambda: not is_alive(started))
