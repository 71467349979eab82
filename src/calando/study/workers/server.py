"""What the fork server imports: all that workers need, and a quick end. Imported anywhere else it does nothing."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys

from calando.process_limits import memory_allowed

__all__: list[str] = []


def _become_server() -> None:
    # As Python's documentation of gc.freeze has it: nothing is swept here, so that imports are a quarter faster and
    # what they made stays shared; workers sweep what they make themselves.
    gc.disable()
    # Torch's compiler too: its optimizers import it at their first step.
    try:
        for name in ("torch._dynamo", "calando.study.perform_job"):
            importlib.import_module(name)
    except Exception:
        if memory_allowed() is None:
            raise
        # Who asks it for a worker says what is wrong, in one line.
        os._exit(1)
    gc.freeze()
    # It ends when the command has; until then the reader of a pipe waits, and to take torch down takes a second.
    atexit.register(os._exit, 0)


# How `multiprocessing` starts it: python -c "from multiprocessing.forkserver import main; …".
if any("multiprocessing.forkserver" in word for word in sys.orig_argv):
    _become_server()
