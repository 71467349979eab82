"""Standard output is the answer's alone, so that `--json` is JSON whatever people's own code prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

__all__ = ["others_on_stderr"]


@contextmanager
def others_on_stderr() -> Iterator[None]:
    """What is printed meanwhile, from Python, from C or by a process started meanwhile, goes to standard error."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:
        # There is no standard output, and nothing to keep clean.
        yield
        return
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 1)
        os.close(kept)
