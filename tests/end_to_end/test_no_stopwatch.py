"""No test depends on how busy the machine is: it compares no wall clock, and waits as `tests.waiting` does."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CLOCKS = {"monotonic", "perf_counter", "time"}
# Kills at random moments until there were enough, run by `make torture` alone.
BY_THE_CLOCK = {"waiting.py", "study/test_ray.py", "study/test_own_training_kills.py"}


def reads_a_clock(node: ast.AST) -> bool:
    return any(
        isinstance(one, ast.Call)
        and isinstance(one.func, ast.Attribute)
        and one.func.attr in CLOCKS
        and ast.unparse(one.func.value) == "time"
        for one in ast.walk(node)
    )


def faults(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare) and reads_a_clock(node):
            found.append(ast.unparse(node))
        if isinstance(node, ast.Call):
            found += [
                f"timeout={one.value.value}"
                for one in node.keywords
                if one.arg == "timeout" and isinstance(one.value, ast.Constant) and one.value.value is not None
            ]
    return found


@pytest.mark.parametrize(
    "text",
    ["assert time.monotonic() - began < 0.1", "while time.time() < end: pass", "process.wait(timeout=5)"],
)
def test_what_depends_on_the_clock_is_found(text):
    assert faults(text)


def test_no_test_depends_on_the_clock():
    files = {str(path.relative_to(TESTS)): path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py")}
    assert files.keys() >= BY_THE_CLOCK
    found = {name: faults(text) for name, text in files.items() if name not in BY_THE_CLOCK}
    assert {name: each for name, each in found.items() if each} == {}
