"""When a sweep of rising rates has seen enough, from the losses so far; shift of the loss changes nothing.

    start    S   median of the first half decade of rates
    smooth   s   running median of 5 losses: two of them may be outliers
    best     B   lowest s so far, at most S
    noise    σ   robust standard deviation of one loss: the larger of
                     1.4826 median |l_i - l_{i-1}| / sqrt(2), up to the best, and
                     1.4826 median |l_i - median l|, in the first decade (losses of neighbours may be alike)
    level    C   where a network that knows nothing stands: min(S, chance)

    diverged   s > S + max(6 σ, (S - B) / 2)
    died       C - B > 4 σ, and since the best either
                   s >= C - (C - B) / 10 throughout half a decade: back at chance, or
                   s >= C - (C - B) / 2 throughout a decade: half of what was gained is lost and does not come back

A network without normalisation often does not explode at too large a rate: its units go dark, the loss returns to
chance and stays there. A rule that waits for an explosion walks on to a rate ten times too large.
"""

from __future__ import annotations

import numpy as np

__all__ = ["begins_too_high", "stop_reason"]

WINDOW = 5
FEWEST = 10  # losses before a sweep may end
ABOVE_NOISE, ABOVE_GAIN = 6.0, 0.5
FALLEN = 4.0
SMALLEST = 1e-5  # of |S|: rounding of a loss that does not change is no noise
EARLY = 0.15  # share of the whole fall


def stop_reason(losses: np.ndarray, *, per_decade: float, chance: float | None) -> str | None:
    """Why a sweep should end here: "diverged", "died" or None.

    >>> fall_and_die = np.r_[np.full(20, 2.3), np.linspace(2.3, 0.5, 20), np.full(12, 2.3)]
    >>> stop_reason(fall_and_die, per_decade=10, chance=None)
    'died'
    >>> print(stop_reason(fall_and_die[:40], per_decade=10, chance=None))
    None

    Args:
        losses: float64[updates so far], finite.
        per_decade: updates in which the rate rises tenfold.
        chance: loss of a network that knows class shares alone; None if not known.
    """
    if len(losses) < FEWEST:
        return None
    half, whole = max(WINDOW, round(per_decade / 2)), max(2 * WINDOW, round(per_decade))
    start, smooth = _smoothed(losses, half)
    lowest = int(smooth.argmin())
    best = float(smooth[lowest])
    noise = max(_jumps(losses[: max(FEWEST, lowest + 1)]), _spread(losses[:whole]))
    if smooth[-1] > start + max(ABOVE_NOISE * noise, ABOVE_GAIN * (start - best), SMALLEST * abs(start)):
        return "diverged"
    level = start if chance is None else min(start, chance)
    gain, since = level - best, len(losses) - 1 - lowest
    if gain <= max(FALLEN * noise, SMALLEST * abs(start)):
        return None
    for length, lost in ((half, 0.9), (whole, 0.5)):
        if since >= length and smooth[-length:].min() >= best + lost * gain:
            return "died"
    return None


def begins_too_high(losses: np.ndarray, *, per_decade: float, stopped: str | None) -> bool:
    """Whether what is of interest may lie below the first rate.

    True where the sweep stopped in its first decade, or where the smoothed loss has already changed there by more
    than noise and by more than EARLY of its whole fall.

    >>> rates = np.geomspace(1e-3, 10, 41)
    >>> begins_too_high(2 / (1 + rates / 0.001), per_decade=10, stopped=None)
    True
    """
    whole = max(2 * WINDOW, round(per_decade))
    if stopped is not None and len(losses) <= whole:
        return True
    if len(losses) < whole:
        return False
    first = float(np.median(losses[:WINDOW]))
    _, smooth = _smoothed(losses, WINDOW)
    noise = _jumps(losses)
    change, fall = abs(float(smooth[whole - 1]) - first), first - float(smooth.min())
    return change > max(FALLEN * noise, SMALLEST * abs(first), EARLY * fall)


def _smoothed(losses: np.ndarray, head: int) -> tuple[float, np.ndarray]:
    """The level of the start, and the running median, which is that level until there is a full window."""
    start = float(np.median(losses[:head]))
    windows = np.lib.stride_tricks.sliding_window_view(losses, WINDOW)
    return start, np.r_[np.full(WINDOW - 1, start), np.median(windows, axis=1)]


def _jumps(losses: np.ndarray) -> float:
    return 1.4826 * float(np.median(np.abs(np.diff(losses)))) / 2**0.5


def _spread(losses: np.ndarray) -> float:
    return 1.4826 * float(np.median(np.abs(losses - np.median(losses))))
