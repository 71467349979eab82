"""Waiting in tests: for what must happen at all, as long as a busy machine may need, and no longer than it takes.

That something is quick, or does not wait, is shown by none of these, but by what is still under way when it is over: a
thread that is held by an event, a process that sleeps for ten minutes.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

PATIENCE = 300
"""Seconds until a test gives up. To import torch takes two of them, and thirty on a machine that does ten things."""

Found = TypeVar("Found")


def until(condition: Callable[[], Found], *, pause: float = 0.05) -> Found:
    """Wait for a condition to hold; what it found."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"it did not come to that in {PATIENCE} s"
        time.sleep(pause)
    return found


def is_alive(process: int) -> bool:
    """Whether a process runs, on Linux; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
