"""Why a range test should not be believed.

    noise     e  standard error of the smoothed mean curve, the larger of two estimates:
                   from the repeats       sd over smoothed repeats / sqrt(repeats), its median up to the minimum
                   from update to update  1.4826 median |l_{i+1} - l_i| / sqrt(2), over the sqrt of the updates averaged

    flat              the loss does not fall
    noise             D < CLEAR e
    nothing learned   as one of these two, but the loss falls by more than CLEAR e from the start: to chance, not below
    diverged at once  as one of the first two, and the loss is lost for good within the first decade; or it is lowest
                      within the first HEAD decades
    fell at once      the fall is half done within the first HEAD decades: the start is not known
    barely learned    D is less than BARELY of the chance loss: the sweep was over before the network had begun
    never diverged    at the highest rate less than half of the fall is lost
    disagree          valley and minimum are more than a factor of RULES_APART apart
    repeats disagree  the valleys of single repeats are more than a factor of REPEATS_APART apart

    works its rate out  of the method, whatever the curve: `suggest`
    does not live       a training at the rate keeps less than three quarters of the fall: `calando.range_test.found`

A name may be acted on by a program; the words are for people.

`explain` says what too small and too large a rate look like on the curve at hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from calando.analysis.range_curves import HEAD, WIDTH, Landmarks, RangeCurves, capped, points, smooth
from calando.language import joined, message

__all__ = ["doubts", "explain"]


CLEAR = 6.0  # the lowest of some 40 independent points of noise is 2.5 standard errors down; correlated noise more
RULES_APART = 5.0  # three, the first choice, doubts one in ten of the widest valleys, where the answer is safest
REPEATS_APART = 10.0
BARELY = 0.05  # what is seen of such a curve is when learning begins, which differs from seed to seed


def doubts(
    curves: RangeCurves, *, start: float, top: float, pooled: Landmarks, single: Sequence[Landmarks]
) -> Mapping[str, str]:
    """Name -> one sentence without its full stop, the gravest first; none: the test is reliable."""
    rates = curves.rates
    if not math.isfinite(start):
        return {
            "diverged at once": message(
                "the loss is lost from the lowest rate, {rate:.2g}, on: start lower", rate=rates[0]
            )
        }
    error = standard_error(curves, start=start)
    if pooled.depth <= CLEAR * error or pooled.depth <= 1e-9 * abs(top):
        return dict([_without_fall(curves, start=start, top=top, depth=pooled.depth, error=error)])
    if pooled.minimum <= rates[0] * 10**HEAD:
        return {
            "diverged at once": message(
                "the loss is lowest at once, at {minimum:.2g}, and only rises: start lower", minimum=pooled.minimum
            )
        }
    found: dict[str, str] = {}
    if not pooled.half > rates[0] * 10**HEAD:
        found["fell at once"] = message(
            "the loss falls from the lowest rate, {rate:.2g}, on: start lower", rate=rates[0]
        )
    if curves.chance is not None and pooled.depth < BARELY * curves.chance:
        found["barely learned"] = message(
            "the loss falls only to {bottom:.3g}, from the {top:.3g} of a network that knows nothing: it "
            "has barely begun to learn; make the sweep of more updates",
            bottom=pooled.bottom,
            top=top,
        )
    if math.isnan(pooled.lost):
        found["never diverged"] = message(
            "up to the highest rate, {rate:.2g}, less than half of what was gained is lost: go on to higher rates",
            rate=rates[-1],
        )
    elif not 1 / RULES_APART <= pooled.valley / pooled.minimum <= RULES_APART:
        found["disagree"] = message(
            "the rules disagree: the middle of the valley is at {valley:.2g}, its lowest point at "
            "{minimum:.2g}, more than a factor of {factor:g} apart",
            valley=pooled.valley,
            minimum=pooled.minimum,
            factor=RULES_APART,
        )
    valleys = [marks.valley for marks in single if math.isfinite(marks.valley)]
    if valleys and max(valleys) > REPEATS_APART * min(valleys):
        found["repeats disagree"] = message(
            "single repeats speak for {low:.2g} to {high:.2g}, more than a factor of "
            "{factor:g} apart: make more repeats",
            low=min(valleys),
            high=max(valleys),
            factor=REPEATS_APART,
        )
    return found


def standard_error(curves: RangeCurves, *, start: float) -> float:
    """e, up to the lowest loss; in units of the loss."""
    repeats = len(curves.losses)
    known = np.where(np.isnan(curves.losses), np.inf, curves.losses)
    lowest = int(smooth(curves.rates, np.minimum(known, start).mean(axis=0)).argmin())
    upto = slice(0, max(lowest + 1, math.ceil(points(curves.rates, 2 * HEAD))))
    ceiling = start + 2 * abs(start - float(np.median(known, axis=0).min()))
    rows = np.minimum(known, ceiling)
    unit = float(np.abs(rows).max()) or 1.0  # squares of losses of any size are numbers
    rows = rows / unit
    averaged = 2 * math.sqrt(math.pi) * max(1.0, points(curves.rates, WIDTH))
    single = 1.4826 * float(np.median(np.abs(np.diff(rows[:, upto], axis=1)))) / math.sqrt(2)
    errors = [single / math.sqrt(repeats * averaged)]
    if repeats > 1:
        apart = smooth(curves.rates, rows)[:, upto].std(axis=0, ddof=1)
        errors.append(float(np.median(apart)) / math.sqrt(repeats))
    return unit * max(errors)


def _without_fall(curves: RangeCurves, *, start: float, top: float, depth: float, error: float) -> tuple[str, str]:
    known = np.where(np.isnan(curves.losses), np.inf, curves.losses)
    middle = smooth(curves.rates, np.minimum(np.median(known, axis=0), start + 100 * max(error, 1e-9 * abs(start))))
    high = np.flatnonzero(middle > start + CLEAR * error + 1e-9 * abs(start))
    if len(high) and high[0] < points(curves.rates, 1.0) and (middle[high[0] :] > start + CLEAR / 2 * error).all():
        return "diverged at once", message(
            "the loss only rises, from {rate:.2g} on: start lower", rate=curves.rates[high[0]]
        )
    fall = start - float(middle.min())
    if top < start and fall > CLEAR * error:
        return (
            "nothing learned",
            message(
                "the loss falls to {low:.3g}, that of a network that knows nothing ({top:.3g}), not below",
                low=float(middle.min()),
                top=top,
            ),
        )
    if depth <= 1e-9 * abs(top) or error == 0:
        return "flat", message("the loss falls at no rate")
    return "noise", message(
        "the loss falls by {depth:.2g} at most, which is no more than its noise makes of nothing", depth=depth
    )


AT_CHANCE = 0.25  # of the depth: this near to the top, a loss is back where it began


def explain(curves: RangeCurves, *, start: float, top: float, marks: Landmarks, fell: bool) -> str:
    """One paragraph of plain sentences.

    Args:
        start, top: as in `range_curves`.
        fell: whether the fall is more than noise; if not, there is little to explain.
    """
    low, high = curves.rates[0], curves.rates[-1]
    if not math.isfinite(start):
        return message(
            "Even at {low:.2g} the loss is lost within a few updates: every rate that was tried is too large.", low=low
        )
    if not fell:
        none = message(
            "From {low:.2g} to {high:.2g} the loss does not fall clearly below {top:.3g}: no rate here can be "
            "distinguished from one that is too small",
            low=low,
            high=high,
            top=top,
        )
        if ending := _ending(curves, start, top, marks):
            none = message("{one}; {other}", one=none, other=ending)
        return message("{sentence}.", sentence=none)
    sentences = []
    if marks.begins > low and marks.half > low * 10**HEAD:
        sentences.append(
            message(
                "Below {begins:.2g} the rate is too small: the loss stays at about {top:.3g}.",
                begins=marks.begins,
                top=top,
            )
        )
    else:
        sentences.append(message("At {low:.2g} the loss already falls: where too small begins was not seen.", low=low))
    sentences.append(
        message(
            "From there it falls, fastest at {steepest:.2g}, to {bottom:.3g} at {minimum:.2g}.",
            steepest=marks.steepest,
            bottom=marks.bottom,
            minimum=marks.minimum,
        )
    )
    if math.isfinite(marks.stable) and (math.isnan(marks.lost) or marks.stable < 0.9 * marks.lost):
        sentences.append(
            message("Past {stable:.2g} it gives back more than a fifth of what was gained.", stable=marks.stable)
        )
    if math.isfinite(marks.lost):
        sentences.append(
            message(
                "From {lost:.2g} on the rate is too large, and more than half is lost: {ending}.",
                lost=marks.lost,
                ending=_ending(curves, start, top, marks),
            )
        )
    else:
        sentences.append(
            message("Up to {high:.2g} most of the gain is kept: where too large begins was not seen.", high=high)
        )
    return joined("{one} {other}", sentences)


def _ending(curves: RangeCurves, start: float, top: float, marks: Landmarks) -> str:
    """How the curves end: exploding, not finite, or dead; "" where there is no loss that ends."""
    repeats = len(curves.losses)
    finite = [row[np.isfinite(row)] for row in curves.losses]
    ends = np.array([row[-1] if len(row) else math.inf for row in finite])
    wild = int(sum(reason == "not finite" for reason in curves.stopped))
    room = max(marks.depth, 1e-3 * abs(start), 1e-12)
    if wild > repeats / 2:
        return message("the loss grows until it is no longer finite")
    if float(np.median(ends)) > start + room or curves.stopped.count("diverged") > repeats / 2:
        return message("the loss explodes")
    last = float(smooth(curves.rates, capped(curves.losses, top).mean(axis=0))[-1])
    if last > top - AT_CHANCE * room and marks.depth > 0 and math.isfinite(marks.lost):
        return message(
            "the loss goes back to that of a network that knows nothing, {top:.3g}, and stays: the network dies rather "
            "than explodes"
            if curves.chance is not None
            else "the loss goes back to that it began with, {top:.3g}, and stays: the network dies rather than "
            "explodes",
            top=top,
        )
    return message("the loss neither explodes nor comes back") if math.isfinite(marks.lost) else ""
