"""The answer is printed whatever standard output is: of another encoding, without columns, or closed."""

import io
import subprocess
import sys

import pytest

from calando.cli.app import run

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


@pytest.mark.parametrize(
    ("encoding", "begins"), [("gbk", "用法"), ("utf-8", "用法"), ("cp1252", "Usage"), ("big5", "Usage")]
)
def test_a_language_that_an_encoding_cannot_write_gives_way_to_english(encoding, begins, monkeypatch):
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setenv("CALANDO_LANG", "zh")
    monkeypatch.setattr(sys, "argv", ["calando", "plot", "--help"])
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with pytest.raises(SystemExit) as ended:
        run()
    assert not ended.value.code
    out.flush(), err.flush()
    assert out.buffer.getvalue().decode(encoding).startswith(begins)
    said = err.buffer.getvalue().decode(encoding)
    assert (f"{encoding} cannot write the Chinese texts" in said) == (begins == "Usage")


@pytest.mark.parametrize(
    ("encoding", "has", "has_not"), [("gbk", "┌*", "⠉\\"), ("cp1252", "*", "┌⠉\\"), ("utf-8", "⠉┌", "*\\")]
)
def test_curves_are_drawn_with_what_the_encoding_has(encoding, has, has_not, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "argv", ["calando", "plot", "linear"])
    with pytest.raises(SystemExit):
        run()
    out.flush()
    drawn = out.buffer.getvalue().decode(encoding)
    assert set(has) <= set(drawn)
    assert not set(has_not) & set(drawn)
