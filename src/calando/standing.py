"""How a study, a tuning or a run stands: the words and counts that the terminal and the page show alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import final

from calando.language import message

__all__ = ["ETA", "Standing", "time_left"]

UNKNOWN = message("unknown yet")


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """How far something is.

    Args:
        words: the terminal's line.
        done, expected, queued: runs made, to be made in all, and ready but without a worker.
        eta_s: seconds left; None: unknown yet.
    """

    words: str
    done: int = 0
    expected: int = 1
    queued: int = 0
    eta_s: float | None = None


@final
class ETA:
    """Estimates the time left from the updates made since the first one was reported: workers take a while to start.

    Where more are asked for on the way, as the seeds of a next look, those that were made still count.
    """

    def __init__(self) -> None:
        self.began: float | None = None
        self.asked, self.left = 0, 0  # since it began, and of them at the last report
        self.seconds: float | None = None  # the last estimate

    def estimate(self, left: int, *, begun: bool = True) -> float | None:
        """Seconds for `left` updates; `begun`: some are being made. None: unknown yet."""
        now = time.monotonic()
        self.seconds = None
        if self.began is None:
            if begun:
                self.began, self.asked, self.left = now, left, left
            return None
        self.asked += max(0, left - self.left)
        self.left = left
        made = self.asked - left
        if made > 0 and now - self.began >= 1:
            self.seconds = left * (now - self.began) / made
        return self.seconds

    def remaining(self, left: int, *, begun: bool = True) -> str:
        """The same in words."""
        return time_left(self.estimate(left, begun=begun))


def time_left(seconds: float | None) -> str:
    """As "42 s", "3 min 20 s" or "2 h 5 min": with units, so that nobody takes it for a time of the day."""
    if seconds is None:
        return UNKNOWN
    whole = round(seconds)
    if whole < 60:
        return message("{seconds} s", seconds=whole)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return message("{minutes} min {seconds} s", minutes=minutes, seconds=rest)
    return message("{hours} h {minutes} min", hours=minutes // 60, minutes=minutes % 60)
