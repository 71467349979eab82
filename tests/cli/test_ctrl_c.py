"""Ctrl-C ends a command with status 130, wherever it came, and without a traceback."""

import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.waiting import PATIENCE

from calando.cli.main import _came_of_ctrl_c

GIGABYTES = 4 * 2**30


def ended(body: str, folder: Path, *, limited: bool) -> subprocess.CompletedProcess:
    """The end of `python -m calando` where its verb does this."""
    program = "import calando.cli.app as app\nfrom calando.cli.main import main\n"
    program += "def run():\n" + textwrap.indent(textwrap.dedent(body), "    ")
    program += "\napp.run = run\nmain()"
    (folder / "interrupted.py").write_text(program)
    limit = (lambda: resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES, GIGABYTES))) if limited else None
    words = [sys.executable, "-m", "interrupted"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, preexec_fn=limit)


@pytest.mark.slow
@pytest.mark.parametrize("limited", [False, True], ids=["alone", "guarded"])
@pytest.mark.parametrize(
    "body",
    [
        # As dataclasses are made by; Python takes note of it and kills a `python -m` by SIGINT, whatever it exits with.
        """
        try:
            exec("raise KeyboardInterrupt")
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            sys.exit(130)
        """,
        "print('stopped', file=sys.stderr); raise KeyboardInterrupt",
        # Code in Rust answers with an error of its own, as when Ctrl-C comes while pydantic builds a class.
        """
        from pydantic_core import SchemaSerializer, core_schema

        class Interrupted:
            def __repr__(self):
                raise KeyboardInterrupt

        print("stopped", file=sys.stderr)
        SchemaSerializer(core_schema.literal_schema([Interrupted()]))
        """,
        """
        print("stopped", file=sys.stderr)
        try:
            raise KeyboardInterrupt
        except BaseException:
            raise ImportError("while importing")
        """,
    ],
    ids=["within exec", "before typer", "in a library's words", "while handled"],
)
def test_the_status_is_130(body, limited, tmp_path):
    answer = ended(f"import sys\n{textwrap.dedent(body)}", tmp_path, limited=limited)
    assert (answer.returncode, answer.stdout, answer.stderr) == (130, "", "stopped\n")


def test_errors_that_name_each_other_as_their_cause_are_errors():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert not _came_of_ctrl_c(one)
