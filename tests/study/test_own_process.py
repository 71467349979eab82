"""How a run of several ranks ended, from what they said and what befell them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from calando.loops.run_channel import Assignment
from calando.study.own_process import supervise

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="connects to a Unix socket")

RANKS = """
import json, os, signal, socket, sys, time

address = json.load(open(os.environ["CALANDO_RUN"]))["address"].partition(":")[2]

def rank():
    made = socket.socket(socket.AF_UNIX)
    made.connect(address)
    return made

def say(rank, status, **others):
    rank.sendall((json.dumps({"kind": "ended", "status": status, **others}) + "\\n").encode())

first, second = rank(), rank()
time.sleep(0.2)
"""


@pytest.mark.parametrize(
    ("what_happens", "how"),
    [
        ("say(first, 'finished'); say(second, 'finished')", "finished"),
        # torn down badly, after the result was left
        ("say(first, 'finished'); say(second, 'finished'); os.abort()", "finished"),
        ("say(first, 'finished'); say(second, 'finished'); sys.exit(1)", "finished"),
        # a rank that was killed takes the others with it
        ("second.close(); say(first, 'failed'); sys.exit(1)", "lost"),
        ("second.close(); time.sleep(0.3); say(first, 'failed'); sys.exit(1)", "lost"),
        ("say(first, 'finished'); second.close()", "lost"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "lost"),
        # the launcher ends the others where one has failed
        ("say(first, 'failed'); time.sleep(0.3); second.close(); sys.exit(1)", "failed"),
        ("say(first, 'stopped'); second.close(); sys.exit(75)", "stopped"),
        # the first rank left a result: the others, which wait for it, are ended
        ("say(first, 'finished', whole=True); time.sleep(60)", "finished"),
    ],
)
def test_what_befell_a_rank_first_says_how_the_run_ended(tmp_path, what_happens, how):
    script = tmp_path / "ranks.py"
    script.write_text(RANKS + what_happens + "\n")
    began = time.monotonic()
    ended = supervise(
        [sys.executable, "-I", str(script)],
        Assignment(strategy="", seed=0),
        environment={},
        log=tmp_path / "log",
        hear=lambda report: False,
    )
    assert ended.how == how, ended
    assert time.monotonic() - began < 10


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_script_that_never_speaks_ends_with_who_started_it(tmp_path):
    """Killed outright, the starter closes no connection, for there is none yet."""
    script, noted = tmp_path / "silent.py", tmp_path / "pid"
    script.write_text(f"import os, time; open({str(noted)!r}, 'w').write(str(os.getpid())); time.sleep(60)\n")
    starter = (
        "import sys; from calando.loops.run_channel import Assignment; "
        "from calando.study.own_process import supervise; "
        f"from pathlib import Path; supervise([sys.executable, {str(script)!r}], Assignment(strategy='', seed=0), "
        f"environment={{}}, log=Path({str(tmp_path / 'log')!r}), hear=lambda report: False)"
    )
    process = subprocess.Popen([sys.executable, "-c", starter])
    until = time.monotonic() + 60
    while time.monotonic() < until and not (noted.exists() and noted.read_text()):
        time.sleep(0.05)
    process.kill()
    process.wait()
    started = int(noted.read_text())
    until = time.monotonic() + 10
    while time.monotonic() < until and Path(f"/proc/{started}").exists():
        time.sleep(0.05)
    assert not Path(f"/proc/{started}").exists()
