"""Every strategy against the best one, and what picking the best by the same scores costs.

Two measures of the spread may find a difference; each has a share of the 5%, and the narrower interval is shown.

The pair's own spread (`paired`), by a step-down correction (Holm's) that knows how the best was picked:

    p_(1) <= … <= p_(m)     two-sided p-values of m = k - 1 comparisons with the best of k strategies
    rank j is rejected while p_(j) charged(k - j + 1, n) <= share of 5%
    charged(g, n) = (g - 1) (g / 2) ** ((n - 1) / (n + 2))        g strategies still in question, n seeds

Holm's own factor is g - 1, the number of comparisons left. It is right when the best is named beforehand; here it
is the one with the highest mean on the very scores that are tested, so it is also the luckiest. Every pair could
have been tested: charging all g (g - 1) / 2 pairs is always enough, yet at few seeds wasteful, for there a small
p-value comes from a small spread more than from a high mean. `charged` lies between the two; its exponent was
fitted to simulation (docs/explanation/several-strategies.md) and tends to 1, all pairs, as n grows.

The spread borrowed from the other strategies (`borrowed`), by one critical value for all comparisons. It
counts from four strategies and three seeds on; below, the pair's own spread has all of the 5%.

A study that is looked at several times (`looks`) gives each look less than 5%; what stands here for 5% is then that.

By its own spread the interval of rank j is at level 1 - share of 5% / charged(its g, n); from the first comparison that
is not rejected on, all share its level. By the borrowed spread all intervals hold together at 95%. Either way an
interval excludes zero exactly where the verdict is "worse".

Source: Holm (1979), "A simple sequentially rejective multiple test procedure".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from calando.analysis.paired import Floats, paired_interval, paired_p
from calando.analysis.pooled_spread import borrowed_sd, critical, own_share
from calando.analysis.results import Comparison
from calando.language import message
from calando.records.measure import SHARE, Measure

__all__ = ["Decided", "against_best", "charged", "decide", "step_down", "withhold_verdicts"]

ALPHA = 0.05


def charged(strategies: int, seeds: int) -> float:
    """For how many comparisons the best of some strategies must pay: (g - 1) (g / 2) ** ((n - 1) / (n + 2)).

    Args:
        strategies: at least 2, the best among them.
        seeds: at least 2.

    >>> charged(2, 3), round(charged(5, 3), 2), round(charged(5, 10), 2)
    (1.0, 5.77, 7.95)
    """
    assert strategies >= 2
    assert seeds >= 2
    return float((strategies - 1) * (strategies / 2) ** ((seeds - 1) / (seeds + 2)))


def step_down(p: ArrayLike, *, seeds: int, alpha: float = ALPHA) -> tuple[Floats, Floats]:
    """Adjusted p-values of the comparisons with the best, and the level of each one's interval.

    Args:
        p: [..., k - 1], two-sided p-values.
        seeds: at least 2.
        alpha: how often any verdict may be false.

    Returns:
        Adjusted p-values (a verdict where at most `alpha`) and confidence levels, each [..., k - 1].

    >>> adjusted, level = step_down([0.001, 0.3], seeds=2)
    >>> adjusted.round(4).tolist(), level.round(4).tolist()
    ([0.0022, 0.3], [0.9774, 0.95])
    """
    values = np.asarray(p, dtype=np.float64)
    m = values.shape[-1]
    price = np.array([charged(m + 1 - rank, seeds) for rank in range(m)])
    order = np.argsort(values, axis=-1, kind="stable")
    adjusted = np.minimum(np.maximum.accumulate(np.take_along_axis(values, order, -1) * price, axis=-1), 1)
    rejected = (adjusted <= alpha).sum(axis=-1, keepdims=True)
    level = 1 - alpha / price[np.minimum(np.arange(m), np.minimum(rejected, m - 1))]
    back = np.argsort(order, axis=-1)
    return np.take_along_axis(adjusted, back, -1), np.take_along_axis(level, back, -1)


class Decided(NamedTuple):
    """Comparisons of many studies with the best of each; arrays [..., k - 1], the best left out."""

    p: Floats
    """Adjusted p-value: "worse" where at most `alpha`."""
    level: Floats
    """Confidence of the interval."""
    low: Floats
    high: Floats


def decide(scores: Floats, best: ArrayLike, *, resolution: float, most: float = 1.0, alpha: float = ALPHA) -> Decided:
    """Compare every strategy with the best one, in one study or many.

    Args:
        scores: [..., k, n] with n >= 2.
        best: [...], index of the strategy with the best mean.
        resolution: step between two possible scores, 1 / (test samples); 0 for scores that are not rounded.
        most: the largest difference that there can be.
        alpha: how often any verdict may be false, at most 5%. The p-values do not depend on it, the intervals do.
    """
    assert 0 < alpha <= ALPHA
    k, n = scores.shape[-2:]
    picked = np.asarray(best)[..., None]
    others = np.arange(k - 1) + (np.arange(k - 1) >= picked)
    chosen = np.take_along_axis(scores, picked[..., None], axis=-2)
    differences = np.take_along_axis(scores, others[..., None], axis=-2) - chosen
    share = own_share(k, n)
    adjusted, level = step_down(paired_p(differences, resolution=resolution), seeds=n, alpha=share * alpha)
    low, high = paired_interval(differences, resolution=resolution, level=level, most=most)
    if share == 1:
        return Decided(adjusted, level, low, high)

    from scipy.special import stdtr, stdtrit

    mean = differences.mean(axis=-1)
    spread = np.take_along_axis(borrowed_sd(scores, picked[..., 0], resolution=resolution), others, axis=-1)
    # Where scores hardly vary, rounding moves a difference by up to one step at every seed alike, and averages nothing.
    half = np.hypot(critical(k, n) * spread / math.sqrt(n), resolution)
    # On the scale of t with n - 1 degrees of freedom, whose tails a pair has whose spread is unlike the others'.
    ratio = np.divide(np.abs(mean), half, out=np.where(mean == 0, 0.0, np.inf), where=half > 0)
    borrowed = 2 * stdtr(n - 1, stdtrit(n - 1, ALPHA / 2) * ratio)
    half = half * (stdtrit(n - 1, alpha / 2) / stdtrit(n - 1, ALPHA / 2))
    return Decided(
        np.minimum(np.minimum(adjusted / share, 1), borrowed),
        np.full_like(level, 1 - alpha),
        np.maximum(low, np.clip(mean - half, -most, most)),
        np.minimum(high, np.clip(mean + half, -most, most)),
    )


def against_best(
    best: str,
    scores: Mapping[str, Sequence[float]],
    *,
    resolution: float,
    measure: Measure = SHARE,
    alpha: float = ALPHA,
) -> tuple[Comparison, ...]:
    """Compare every strategy with the best one, seed by seed.

    Args:
        best: name of the strategy with the best mean among those that get a verdict.
        scores: name -> test scores in seed order, all of one length n; the best among them.
        resolution: step between two possible scores, 1 / (test samples); 0 for scores that are not rounded.
        measure: measure of the scores.
        alpha: how often any verdict may be false, at most 5%; less at each of several looks.

    Returns:
        One comparison for each strategy but the best, in the order of `scores`. With one seed there is no interval
        (nan), and nothing is distinguished.

    >>> print(against_best("a", {"a": [0.95, 0.94], "b": [0.90, 0.90]}, resolution=1e-4)[0].text)
    cannot distinguish at n = 2 (difference -4.50 points, 95% interval -10.85 to 1.85)
    """
    names = list(scores)
    others = [name for name in names if name != best]
    n = len(scores[best])
    assert all(len(values) == n for values in scores.values())
    table = np.array([scores[name] for name in names], dtype=np.float64)
    at = names.index(best)
    if not others:
        return ()
    differences = np.delete(table - table[at], at, axis=0).mean(axis=1)
    if n == 1:
        return tuple(_one_seed(name, best, float(d)) for name, d in zip(others, differences, strict=True))
    decided = decide(table, at, resolution=resolution, most=measure.most, alpha=alpha)
    decimals = 1 if resolution > 1e-3 else 2
    found = []
    for i, name in enumerate(others):
        difference, low, high = float(differences[i]), float(decided.low[i]), float(decided.high[i])
        worse, level = bool(decided.p[i] <= alpha), float(decided.level[i])
        sentence = _worse if worse else _undecided
        found.append(
            Comparison(
                strategy=name,
                best=best,
                n=n,
                difference=difference,
                low=low,
                high=high,
                level=level,
                p=float(decided.p[i]),
                verdict="worse" if worse else "cannot distinguish",
                text=sentence(difference, low, high, level=level, n=n, decimals=decimals, measure=measure),
            )
        )
    return tuple(found)


def withhold_verdicts(
    comparisons: Sequence[Comparison], untuned: Mapping[str, str], *, measure: Measure = SHARE
) -> tuple[Comparison, ...]:
    """The comparisons, with no verdict on strategies that are not fully tuned.

    Args:
        untuned: strategy name -> why it is not fully tuned, or "".
    """
    return tuple(
        _withheld(one, untuned[one.strategy], measure) if untuned[one.strategy] else one for one in comparisons
    )


def _withheld(one: Comparison, why: str, measure: Measure) -> Comparison:
    measured = message("difference {gap} at the rate it has, n = {n}", gap=measure.gap(one.difference), n=one.n)
    return replace(
        one, verdict="no verdict", text=message("no verdict: {why} ({measured})", why=why, measured=measured)
    )


def _one_seed(name: str, best: str, difference: float) -> Comparison:
    nan = float("nan")
    text = message("cannot distinguish at n = 1")
    return Comparison(name, best, 1, difference, nan, nan, 1 - ALPHA, 1.0, "cannot distinguish", text)


def _worse(difference: float, low: float, high: float, *, level: float, n: int, decimals: int, measure: Measure) -> str:
    ends = measure.ends(*sorted((abs(low), abs(high))), decimals=decimals)
    return message(
        "worse by {gap} ({level} interval {ends}, n = {n})",
        gap=measure.gap(abs(difference), decimals=decimals),
        level=_percent(level),
        ends=ends,
        n=n,
    )


def _undecided(
    difference: float, low: float, high: float, *, level: float, n: int, decimals: int, measure: Measure
) -> str:
    inner = message(
        "difference {gap}, {level} interval {ends}",
        gap=measure.gap(difference, decimals=decimals),
        level=_percent(level),
        ends=measure.ends(low, high, decimals=decimals),
    )
    return message("cannot distinguish at n = {n} ({inner})", n=n, inner=inner)


def _percent(level: float) -> str:
    """As many digits as tell the level from certainty: 95%, 99.2%, 99.95%."""
    decimals = 0 if round(100 * level, 6) == round(100 * level) else 1 if level < 0.999 else 2
    return f"{100 * level:.{decimals}f}%"
