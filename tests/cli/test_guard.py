"""Where memory is limited, whatever a command dies of is one line, and whatever it answers passes as it is."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.waiting import PATIENCE, is_alive, until

import calando

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere RLIMIT_AS limits nothing")

GIGABYTE = 2**30
FOUND = os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])}


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTE, GIGABYTE))


def start(body: str) -> subprocess.Popen:
    """A guarded command that does this."""
    script = "import os, sys, time\nfrom calando.cli.ending import Ending\nfrom calando.cli.guard import guarded\n"
    script += "def command():\n"
    script += textwrap.indent(textwrap.dedent(body), "    ") + "\nguarded(command)"
    words = [sys.executable, "-c", script]
    return subprocess.Popen(
        words, env=FOUND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limited
    )


def ended(body: str) -> tuple[int, str, str]:
    process = start(body)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def is_line_about_memory(err: str) -> bool:
    return err.startswith("calando: out of memory (") and "1,074 MB" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "death",
    [
        "os.write(2, b\"terminate called\\n  what():  std::bad_alloc\\n\"); os.abort()",
        "os.kill(os.getpid(), 11)",
        "os.write(2, b'OpenBLAS error: Memory allocation still failed after 10 retries\\n'); os._exit(1)",
        "raise MemoryError",
        "bytearray(2 ** 40)",
        "hoard = bytearray(980 * 2**20); import scipy.special",  # without a look before, it spins for ever
        "os.write(2, b'libgomp: Thread creation failed: Resource temporarily unavailable\\n'); os._exit(1)",
        "os.write(2, b'MemoryError\\n'); return Ending(2, 'worker processes end before they are ready')",
        "return Ending(2, 'cosine failed with MemoryError: no message')",
    ],
)  # fmt: skip
def test_a_death_is_a_line_that_says_how_much_is_allowed(death):
    status, out, err = ended(death)
    assert (status, out) == (1, "")
    assert is_line_about_memory(err)


def test_an_answer_and_what_others_print_pass():
    assert ended("print('answer'); os.write(2, b'theirs\\n'); sys.exit(0)") == (0, "answer\n", "theirs\n")
    assert ended("return Ending(2, 'unknown strategy')") == (2, "", "calando: unknown strategy\n")
    status, out, err = ended("1 / 0")
    assert (status, out) == (1, "")
    assert "ZeroDivisionError" in err  # a bug of ours is not blamed on memory


def test_an_answer_stands_where_the_end_of_the_process_does_not():
    status, out, err = ended("import atexit; atexit.register(os.abort); print('answer'); sys.exit(0)")
    assert (status, out, err) == (0, "answer\n", "")


def test_signals_reach_the_command_and_its_death_is_the_guards():
    process = start("print('there', flush=True); time.sleep(3600)")
    assert process.stdout.readline() == "there\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (-signal.SIGTERM, "")


def test_a_killed_guard_takes_its_command_along():
    process = start("print(os.getpid(), flush=True); time.sleep(3600)")
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    assert until(lambda: not is_alive(child))
    process.communicate()


def test_a_command_that_prints_without_end_is_read_on():
    status, out, err = ended("os.write(2, b'x' * 3_000_000 + b'end\\n'); print('answer'); sys.exit(0)")
    assert (status, out) == (0, "answer\n")
    assert err.endswith("xend\n")
    assert len(err) == 2**20


def test_too_few_open_files_are_a_line(tmp_path):
    script = Path(sys.executable).with_name("calando")
    words = ["compare", "digits", "fixed", "--steps", "4", "--seeds", "1", "--lr", "0.1", "--workers", "2", "--no-page"]
    one = subprocess.run(
        [script, *words],
        cwd=tmp_path,
        env=FOUND,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (one.returncode, one.stdout) == (1, "")
    last = one.stderr.splitlines()[-1]
    assert last.startswith("calando: too many open files (")
    assert "may have 16 open here" in last
    assert "`ulimit -n 256`" in last
    assert "Traceback" not in one.stderr
