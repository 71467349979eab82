"""Standard output that the caller has closed, `calando show study >&-`: nothing is printed, and nothing is raised."""

import subprocess
import sys

import pytest
from tests.waiting import PATIENCE

from calando.cli import main


def test_at_the_end_nothing_is_flushed_that_is_not_there(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    main._answered()
    assert sys.stdout is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["show", "{study}"], ["strategies"], ["plot", "cosine(1, 0)"], ["--help"]], ids=" ".join
)
def test_a_command_ends_in_silence(words, finished_study):
    filled = [one.format(study=finished_study) for one in words]
    shell = ["sh", "-c", 'exec "$0" "$@" >&-', sys.executable, "-m", "calando"]
    ended = subprocess.run([*shell, *filled], capture_output=True, text=True, timeout=PATIENCE)
    assert "Traceback" not in ended.stderr
    assert "Error" not in ended.stderr
