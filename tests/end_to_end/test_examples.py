"""The examples: short, and each does what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import calando

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
LONGEST = 40


def test_there_are_some():
    assert len(EXAMPLES) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_is_short(example, tmp_path):
    assert len(example.read_text().splitlines()) < LONGEST
    found = os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-W", "error", example], cwd=tmp_path, env=found, capture_output=True, text=True, timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout
