"""The answer is printed whatever standard output is: of another encoding, without columns, or closed."""

import subprocess
import sys

import pytest

COMMAND = """
import sys
from pathlib import Path
from calando.cli.output import answer_console, others_on_stderr
with others_on_stderr():
    print("theirs")
answer_console().print("difference ± 0.5")
"""


@pytest.mark.parametrize(
    ("environment", "printed"),
    [
        ({"PYTHONIOENCODING": "ascii"}, rb"difference \xb1 0.5"),
        ({"PYTHONIOENCODING": "latin-1"}, "difference ± 0.5".encode("latin-1")),
        ({"COLUMNS": "0"}, "difference ± 0.5".encode()),
    ],
)
def test_of_any_encoding_and_width(environment, printed, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", COMMAND], capture_output=True, check=True)
    assert done.stdout.strip() == printed
    assert b"Traceback" not in done.stderr


def test_closed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(COMMAND)
    done = subprocess.run(["sh", "-c", f'exec "{sys.executable}" "{script}" >&-'], capture_output=True, check=True)
    assert b"Traceback" not in done.stderr
