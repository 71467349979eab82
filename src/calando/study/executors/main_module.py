"""Whether a worker may import the script that is run, as `multiprocessing` does with each process that it starts.

    guarded     `if __name__ == "__main__":` stands over the running call: importing the script defines things, no more
    unguarded   importing it would run it again, in every worker; it is left alone
    none        a notebook, standard input, `python -c`: there is no file to import

What a worker is sent does not depend on it (see `by_value`): the import is only for what else a guarded script sets up
at its top, such as a data set's reader that it registers somewhere.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType

__all__ = ["can_be_imported", "left_alone"]


def can_be_imported() -> bool:
    """Whether there is a main script whose import would not run again what is running."""
    path, line = _running_line() or (getattr(sys.modules["__main__"], "__file__", None), None)
    try:
        tree = ast.parse(Path(path or "").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    return line is None or any(_holds(branch, line) for branch in ast.walk(tree) if isinstance(branch, ast.If))


@contextmanager
def left_alone() -> Iterator[None]:
    """A process started meanwhile does not import the main script."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _running_line() -> tuple[str, int] | None:
    """Of the main module's own code, what is being run now: its file and line."""
    namespace = vars(sys.modules["__main__"])
    frame: FrameType | None = sys._getframe()
    found = None
    while frame is not None:
        if frame.f_globals is namespace and frame.f_code.co_name == "<module>":
            found = frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return found


def _holds(branch: ast.If, line: int) -> bool:
    """Whether `branch` asks for the module's name, and the line is in it."""
    asks = any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(branch.test))
    return asks and branch.lineno <= line <= (branch.end_lineno or branch.lineno)
