"""The critical ratio: how the rate of an update stands to the least one at which it would raise the batch's loss.

    f(s)    the batch's loss at  w + s d,  d the update that was made: f(0) before it, f(1) after it
    s*      the least s, on a grid of factors 4 and then halved twice, with f(s) > f(0)
    ratio   1 / s*, between 1/256 and 64

On a quadratic loss along a descent direction f falls up to s*/2 and is back at f(0) at s*, so 0.5 is the step that
lowers this batch's loss most, and 1 and more the step that raises it. Batches differ: what this says of a whole run is
in `calando.analysis.reading`, measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["LEAST_RATIO", "MOST_RATIO", "Along", "critical_ratio"]

FACTOR = 4.0
MOST_RATIO, LEAST_RATIO = 64.0, 1 / 256
HALVINGS = 2

Along = Callable[[float], float]
"""The batch's loss at `w + s d`; inf or nan where it is not finite."""


def critical_ratio(along: Along, *, before: float | None = None, after: float | None = None) -> float:
    """The ratio, from five to seven forward passes.

    Args:
        along: the loss at each s.
        before, after: of s = 0 and 1, if they are known.

    On 50 (w - 1)² from w = 0, updates at the rate η have d = 100 η, and return to where they began at η = 0.02,
    which the grid finds to a factor of 1.2:

    >>> for rate in (0.001, 0.02, 0.2):
    ...     print(round(critical_ratio(lambda s: 50 * (s * 100 * rate - 1) ** 2), 2))
    0.05
    0.84
    9.51
    """
    start = along(0.0) if before is None else before
    first = along(1.0) if after is None else after
    low, high = 1.0, 1.0  # steps known to lower, to raise the loss
    if _rises(first, start):
        low = 1 / FACTOR
        while _rises(along(low), start):
            high, low = low, low / FACTOR
            if high <= 1 / MOST_RATIO:
                return MOST_RATIO
    else:
        high = FACTOR
        while not _rises(along(high), start):
            low, high = high, high * FACTOR
            if low >= 1 / LEAST_RATIO:
                return LEAST_RATIO
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _rises(along(middle), start) else (middle, high)
    return 1 / math.sqrt(low * high)


def _rises(loss: float, start: float) -> bool:
    return not loss <= start  # nan rises
