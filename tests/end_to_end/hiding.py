"""Python processes in which modules and attributes are not there, as on a smaller install or another system."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import calando

__all__ = ["environment"]

SITE = """
import importlib, sys

for name in {modules!r}:
    sys.modules[name] = None
for name in {attributes!r}:
    module, attribute = name.rsplit(".", 1)
    module = importlib.import_module(module)
    if hasattr(module, attribute):
        delattr(module, attribute)
"""


def environment(
    folder: Path, *, modules: Sequence[str] = (), attributes: Sequence[str] = (), more: str = ""
) -> Mapping[str, str]:
    """What a process, and each that it starts, is to be started with.

    Args:
        folder: where the file that does it is written.
        modules: cannot be imported.
        attributes: of modules, "os.fork", are not there.
        more: Python that is run before and may use what is hidden afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = more + SITE.format(modules=list(modules), attributes=list(attributes))
    (folder / "sitecustomize.py").write_text(text)
    source = str(Path(calando.__file__).parents[1])
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), source]), "PYTHONWARNINGS": "ignore"}


def calling(*lines: Sequence[str]) -> list[str]:
    """A command that runs calando's command lines one after another, each answer and error after the status."""
    script = (
        "import contextlib, io, json, sys\n"
        "from calando.cli.main import main\n"
        f"for words in {[list(line) for line in lines]!r}:\n"
        "    sys.argv = ['calando', *words]\n"
        "    out, err = io.StringIO(), io.StringIO()\n"
        "    try:\n"
        "        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):\n"
        "            main()\n"
        "    except SystemExit as ended:\n"
        "        status = ended.code or 0\n"
        "    print(json.dumps([status, out.getvalue(), err.getvalue()]))\n"
    )
    return [sys.executable, "-c", script]
