"""How a run's processes ended: by themselves, by their own fault, or killed."""

import socket
import sys

import pytest
from tests.study.test_own_process import Hearing

from calando.loops.run_channel import Assignment
from calando.study.own_process import supervise

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="its ranks connect by a file")

RANKS = """
import json, os, socket, sys, time
from pathlib import Path
address = json.load(open(os.environ["CALANDO_RUN"]))["address"].partition(":")[2]

def heard():
    Path("said").touch()
    while Path("said").exists():
        time.sleep(0.01)

class Rank:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(address)
        self.socket.sendall(b'{"kind": "hello"}\\n')

    def ends(self, status):
        self.socket.sendall(json.dumps({"kind": "ended", "status": status}).encode() + b"\\n")
        self.goes()

    def goes(self):
        self.socket.close()
        if EACH_HEARD:
            heard()

a, b = Rank(), Rank()
heard()
"""
TORCHRUN = "print('rank : 1 (local_rank: 1)  exitcode  : -9 (pid: 7)'); sys.exit(1)"


@pytest.mark.parametrize("each_heard", ["False", "True"])
@pytest.mark.parametrize(
    ("what", "how", "reason"),
    [
        ("a.ends('finished'); b.ends('finished')", "finished", ""),
        ("a.ends('finished'); b.goes()", "lost", "a rank of it was killed"),
        ("a.goes(); b.ends('failed'); sys.exit(1)", "lost", "a rank of it was killed"),  # its gloo saw the other go
        ("a.ends('failed'); heard(); b.goes(); sys.exit(1)", "failed", "its code raised an error"),
        ("a.ends('failed'); b.ends('failed'); sys.exit(1)", "failed", "its code raised an error"),
        ("a.ends('stopped'); b.goes()", "stopped", ""),
        ("os.kill(os.getpid(), 9)", "lost", "killed by SIGKILL (out of memory?)"),
    ],
)
def test_what_befell_the_first_rank_is_how_a_run_ended(tmp_path, monkeypatch, what, how, reason, each_heard):
    monkeypatch.chdir(tmp_path)
    assert ended_of(tmp_path, RANKS.replace("EACH_HEARD", each_heard) + what) == (how, reason)


@pytest.mark.parametrize(
    ("what", "how"),
    [(TORCHRUN, "lost"), ("print('exitcode: 1'); sys.exit(1)", "failed"), ("print('exit -9')", "finished")],
)
def test_a_rank_that_is_killed_before_it_connects_is_lost(tmp_path, what, how):
    log = tmp_path / "log"
    log.write_text("exitcode : -9 of a try before\n")
    assert ended_of(tmp_path, "import sys\n" + what)[0] == how
    assert log.read_text().startswith("exitcode : -9 of a try before\n")


def ended_of(folder, code: str) -> tuple[str, str]:
    ended = supervise(
        [sys.executable, "-c", code],
        Assignment(strategy="", seed=0),
        environment={},
        log=folder / "log",
        hear=Hearing(folder / "said"),
    )
    return ended.how, ended.reason
