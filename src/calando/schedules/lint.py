"""What is suspicious about a curve, before a step is trained.

    not-finite       a value overflows or is not a number                       error
    negative         a value is below zero                                      error
    never-reached    a milestone that comes after the end                       warning
    long-warmup      the greatest rate comes in the second half of the run      warning
    jump             a leap up where one part hands over to the next            warning
    rises-at-end     the last update has a higher rate than the one before      warning
    short-cool-down  the last fall takes less than 1% of the run                warning
    starts-at-zero   the first update changes nothing                           info

What does not fit a horizon at all (a part longer than the run) never becomes a curve: `bind` refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from calando.schedules.base import Array, Curve
from calando.schedules.checks import spell_number
from calando.schedules.span import spell_steps

__all__ = ["Finding", "lint"]

SHORTEST_COOL_DOWN = 0.01  # of the run
LONGEST_WARMUP = 0.5  # of the run
SMALLEST_JUMP = 0.05  # of the greater of the two values


@final
@dataclass(frozen=True)
class Finding:
    """Something suspicious.

    Args:
        name: what kind; see the top of this file.
        level: "error" (training would break), "warning" (likely a mistake), "info".
        step: the update it is about.
        message: what is the matter, one line.
        remedy: what to do, one line.
    """

    name: str
    level: Literal["error", "warning", "info"]
    step: int
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.level}: {self.name} at step {self.step}: {self.message}; {self.remedy}"


def lint(curve: Curve) -> list[Finding]:
    """What is suspicious about a curve, by step; empty where nothing is.

    Looks at every update, so time and memory grow with the horizon.

    >>> from calando.schedules import linear
    >>> for finding in lint(linear(1, -1).bind(100)):
    ...     print(finding)
    error: negative at step 51: the multiplier is -0.02; raise start or end to 0 or more
    """
    values = curve.sample()
    findings = _not_finite(values)
    if not findings:
        findings = [
            *_negative(values),
            *_never_reached(curve),
            *_long_warmup(values),
            *_jumps(curve),
            *_rises_at_end(values),
            *_short_cool_down(values),
            *_starts_at_zero(values),
        ]
    return sorted(findings, key=lambda finding: (finding.step, finding.name))


def _not_finite(values: Array) -> list[Finding]:
    step = _first(~np.isfinite(values))
    if step is None:
        return []
    message = f"the multiplier is {values[step]}"
    return [Finding("not-finite", "error", step, message, "use factors that do not overflow")]


def _negative(values: Array) -> list[Finding]:
    step = _first(values < 0)
    if step is None:
        return []
    message = f"the multiplier is {_short(values[step])}"
    return [Finding("negative", "error", step, message, "raise start or end to 0 or more")]


def _never_reached(curve: Curve) -> list[Finding]:
    return [
        Finding(
            "never-reached",
            "warning",
            curve.total_steps - 1,
            f"a milestone at {spell_steps(place)} comes after the end of its part or of the run",
            "give milestones as shares of the run, or in epochs if you counted epochs",
        )
        for place in curve.unreached()
    ]


def _long_warmup(values: Array) -> list[Finding]:
    top = int(np.argmax(values))
    if top < LONGEST_WARMUP * values.size or values.size < 2:
        return []
    message = f"the greatest rate comes at {top / values.size:.0%} of the run"
    return [Finding("long-warmup", "warning", top, message, "warm up over some 5% of the run, or train longer")]


def _jumps(curve: Curve) -> list[Finding]:
    findings = []
    for seam in curve.seams():
        if not 0 < seam < curve.total_steps:
            continue
        before, after = curve([max(seam - 1e-3, 0.0), seam])
        if after - before > SMALLEST_JUMP * max(abs(before), abs(after)):
            message = f"the multiplier leaps from {_short(before)} to {_short(after)}"
            step = int(np.ceil(seam - 1e-6))
            findings.append(Finding("jump", "warning", step, message, "start each part where the one before ends"))
    return findings


def _rises_at_end(values: Array) -> list[Finding]:
    if values.size < 2 or not values[-1] > values[-2]:
        return []
    message = f"the multiplier rises from {_short(values[-2])} to {_short(values[-1])} at the last update"
    return [Finding("rises-at-end", "warning", values.size - 1, message, "end with a part that falls, or holds")]


def _short_cool_down(values: Array) -> list[Finding]:
    falls = np.diff(values) < 0
    if falls.all() or not falls[-1]:
        return []
    start = falls.size - int(np.argmin(falls[::-1]))
    share = (values.size - start) / values.size
    if share >= SHORTEST_COOL_DOWN:
        return []
    message = f"the last fall begins at {spell_steps(start)} and takes {share:.2%} of the run"
    return [Finding("short-cool-down", "warning", start, message, "cool down over 10% to 20% of the run")]


def _starts_at_zero(values: Array) -> list[Finding]:
    if values[0] != 0 or not values.any():
        return []
    message = "the first update has rate zero and changes nothing"
    return [Finding("starts-at-zero", "info", 0, message, "start a little above zero, such as 0.01, if that matters")]


def _first(where: np.ndarray) -> int | None:
    return int(np.argmax(where)) if where.any() else None


def _short(value: float) -> str:
    return spell_number(float(f"{value:.4g}"))
