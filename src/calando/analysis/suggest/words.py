"""What too small and too large a rate look like on the curve at hand, in one paragraph."""

from __future__ import annotations

import math

import numpy as np

from calando.analysis.suggest.curves import RangeCurves
from calando.analysis.suggest.rules import HEAD, Landmarks, capped, smooth

__all__ = ["explain"]

AT_CHANCE = 0.25  # of the depth: this near to the top, a loss is back where it began


def explain(curves: RangeCurves, *, start: float, top: float, marks: Landmarks, fell: bool) -> str:
    """One paragraph of plain sentences.

    Args:
        start, top: as in `rules`.
        fell: whether the fall is more than noise; if not, there is little to explain.
    """
    low, high = curves.rates[0], curves.rates[-1]
    if not math.isfinite(start):
        return f"Even at {low:.2g} the loss is lost within a few updates: every rate that was tried is too large."
    if not fell:
        return (
            f"From {low:.2g} to {high:.2g} the loss does not fall clearly below {top:.3g}: no rate here can be told "
            f"from one that is too small{_ending(curves, start, top, marks, prefix='; ')}"
        )
    said = []
    if marks.begins > low and marks.half > low * 10**HEAD:
        said.append(f"Below {marks.begins:.2g} the rate is too small: the loss stays at about {top:.3g}.")
    else:
        said.append(f"At {low:.2g} the loss already falls: where too small begins was not seen.")
    said.append(f"From there it falls, fastest at {marks.steepest:.2g}, to {marks.bottom:.3g} at {marks.minimum:.2g}.")
    if math.isfinite(marks.stable) and (math.isnan(marks.lost) or marks.stable < 0.9 * marks.lost):
        said.append(f"Past {marks.stable:.2g} it gives back more than a fifth of what was gained.")
    if math.isfinite(marks.lost):
        ending = _ending(curves, start, top, marks, prefix=": ")
        said.append(f"From {marks.lost:.2g} on the rate is too large, and more than half is lost{ending}")
    else:
        said.append(f"Up to {high:.2g} most of the gain is kept: where too large begins was not seen.")
    return " ".join(said)


def _ending(curves: RangeCurves, start: float, top: float, marks: Landmarks, *, prefix: str) -> str:
    """How the curves end: exploding, not finite, or dead; with the full stop."""
    repeats = len(curves.losses)
    finite = [row[np.isfinite(row)] for row in curves.losses]
    ends = np.array([row[-1] if len(row) else math.inf for row in finite])
    wild = int(sum(reason == "not finite" for reason in curves.stopped))
    room = max(marks.depth, 1e-3 * abs(start), 1e-12)
    if wild > repeats / 2:
        return f"{prefix}the loss grows until it is no longer finite."
    if float(np.median(ends)) > start + room or curves.stopped.count("diverged") > repeats / 2:
        return f"{prefix}the loss explodes."
    last = float(smooth(curves.rates, capped(curves.losses, top).mean(axis=0))[-1])
    if last > top - AT_CHANCE * room and marks.depth > 0 and math.isfinite(marks.lost):
        what = "of a network that knows nothing" if curves.chance is not None else "it began with"
        return (
            f"{prefix}the loss goes back to that {what}, {top:.3g}, and stays: the network dies rather than explodes."
        )
    return f"{prefix}the loss neither explodes nor comes back." if math.isfinite(marks.lost) else "."
