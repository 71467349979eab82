"""What the live picture costs a training; measured and kept by live.py.

Processor time of `calando.train` with the picture by that without it, in pairs that take turns;
and the share of it that is spent in the follower.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from runs import Row

import calando

TRAINED, PAIRS = 600, 8


def trained(folder: Path, *, picture: bool) -> tuple[float, float]:
    """Seconds of the processor for a training, and those within the follower."""
    from calando.records import live
    from calando.records.follower import Followers

    inside, each = 0.0, Followers._each

    def timed(self: Followers, call: Callable[[Any], None]) -> None:
        nonlocal inside
        began = time.thread_time()
        each(self, call)
        inside += time.thread_time() - began

    with contextlib.ExitStack() as patched:
        patched.enter_context(patch.object(Followers, "_each", timed))
        if not picture:
            patched.enter_context(patch.object(live, "live_in", lambda *_, **__: ((), ())))
        began = time.thread_time()
        calando.train(
            "digits", "cosine", lr=0.1, steps=TRAINED, threads=1, folder=folder, device="cpu", listen=lambda _: None
        )
        return time.thread_time() - began, inside


def training() -> Row:
    """What the picture costs a training."""
    ratios, shares = [], []
    with tempfile.TemporaryDirectory() as name:
        trained(Path(name) / "warm", picture=True)
        for pair in range(PAIRS):
            found = {}
            for picture in (pair % 2 == 0, pair % 2 == 1):
                found[picture] = trained(Path(name) / f"{pair}-{picture}", picture=picture)
            ratios.append(found[True][0] / found[False][0])
            shares.append(100 * found[True][1] / found[True][0])
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "ratio": round(middle, 4),
        "quartiles": [round(low, 4), round(high, 4)],
        "share_percent": round(statistics.median(shares), 3),
        "most_percent": round(max(shares), 3),
    }
