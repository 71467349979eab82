"""The examples: short, and each does what it says."""

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import PATIENCE

import calando

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
LONGEST = 40
FRAMEWORKS = sorted((Path(__file__).parents[2] / "examples" / "frameworks").glob("*.py"))
LONGEST_OF_FRAMEWORK = 15
# These start processes: tests/loops/test_launchers.py.
LAUNCHED = ("with_accelerate", "with_ddp")


def test_there_are_some():
    assert len(EXAMPLES) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_is_short(example, tmp_path):
    assert len(example.read_text().splitlines()) < LONGEST
    found = os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-W", "error", example],
        cwd=tmp_path,
        env=found,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


@pytest.mark.parametrize("example", FRAMEWORKS, ids=lambda path: path.stem)
def test_an_example_of_a_framework_is_short(example):
    text = example.read_text()
    not_counted: set[int] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            not_counted.update(range(node.lineno, node.end_lineno + 1))
    code = [line for number, line in enumerate(text.splitlines(), 1) if line.strip() and number not in not_counted]
    assert len(code) <= LONGEST_OF_FRAMEWORK


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the frameworks' own
@pytest.mark.parametrize(
    "example", [path for path in FRAMEWORKS if path.stem not in LAUNCHED], ids=lambda path: path.stem
)
def test_an_example_of_a_framework_is_compared(example, tmp_path, monkeypatch):
    package = {"ignite": "ignite", "lightning": "pytorch_lightning"}.get(example.stem[5:], example.stem[5:])
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    answer = calando.compare(
        lambda run: runpy.run_path(str(example), run_name="__main__"),
        *("fixed", "cosine"),
        folder=tmp_path / "study",
        executor="inline",
        seeds=1,
        lr=0.05,
    )
    assert [len(one.test.values) for one in answer.results] == [1, 1]
    assert answer.spec.workload.measure.goal == "min"
