"""Every strategy against the best one: a step-down correction (Holm's) that knows how the best was picked.

    p_(1) <= … <= p_(m)     two-sided p-values of m = k - 1 comparisons with the best of k strategies
    rank j is rejected while p_(j) charged(k - j + 1, n) <= 5%
    charged(g, n) = (g - 1) (g / 2) ** ((n - 1) / (n + 2))        g strategies still in question, n seeds

Holm's own factor is g - 1, the number of comparisons left. It is right when the best is named beforehand; here it
is the one with the highest mean on the very scores that are tested, so it is also the luckiest. Every pair could
have been tested: charging all g (g - 1) / 2 pairs is always enough, yet at few seeds wasteful, for there a small
p-value comes from a small spread more than from a high mean. `charged` lies between the two; its exponent was
fitted to simulation (docs/guides/statistics.md) and tends to 1, all pairs, as n grows.

The interval of rank j is at level 1 - 5% / charged(its g, n); from the first comparison that is not rejected on, all
share its level. So an interval excludes zero exactly where the verdict is "worse".

Source: Holm (1979), "A simple sequentially rejective multiple test procedure".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from calando.analysis.paired import Floats, paired_interval, paired_p
from calando.analysis.results import Comparison

__all__ = ["against_best", "charged", "step_down"]

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


def step_down(p: ArrayLike, *, seeds: int) -> tuple[Floats, Floats]:
    """Adjusted p-values of the comparisons with the best, and the level of each one's interval.

    Args:
        p: [..., k - 1], two-sided p-values.
        seeds: at least 2.

    Returns:
        Adjusted p-values (a verdict where at most 5%) and confidence levels, each [..., k - 1].

    >>> adjusted, level = step_down([0.001, 0.3], seeds=2)
    >>> adjusted.round(4).tolist(), level.round(4).tolist()
    ([0.0022, 0.3], [0.9774, 0.95])
    """
    values = np.asarray(p, dtype=np.float64)
    m = values.shape[-1]
    price = np.array([charged(m + 1 - rank, seeds) for rank in range(m)])
    order = np.argsort(values, axis=-1, kind="stable")
    adjusted = np.minimum(np.maximum.accumulate(np.take_along_axis(values, order, -1) * price, axis=-1), 1)
    rejected = (adjusted <= ALPHA).sum(axis=-1, keepdims=True)
    level = 1 - ALPHA / price[np.minimum(np.arange(m), np.minimum(rejected, m - 1))]
    back = np.argsort(order, axis=-1)
    return np.take_along_axis(adjusted, back, -1), np.take_along_axis(level, back, -1)


def against_best(best: str, scores: Mapping[str, Sequence[float]], *, resolution: float) -> tuple[Comparison, ...]:
    """Compare every strategy with the best one, seed by seed.

    Args:
        best: name of the strategy with the highest mean.
        scores: name -> test scores in seed order, all of one length n; the best among them.
        resolution: step between two possible scores, 1 / (test samples).

    Returns:
        One comparison a strategy but the best, in the order of `scores`. With one seed there is no interval (nan), and
        nothing is told apart.

    >>> print(against_best("a", {"a": [0.95, 0.94], "b": [0.90, 0.90]}, resolution=1e-4)[0].text)
    cannot distinguish at n = 2 (difference -4.50 points, 95% interval -10.85 to 1.85)
    """
    others = [name for name in scores if name != best]
    table = {name: np.asarray(values, dtype=np.float64) for name, values in scores.items()}
    n = table[best].size
    assert all(values.shape == (n,) for values in table.values())
    assert all(values.mean() <= table[best].mean() + 1e-12 for values in table.values()), f"{best} is not the best"
    if not others:
        return ()
    differences = np.stack([table[name] - table[best] for name in others])
    if n == 1:
        return tuple(_one_seed(name, best, float(d)) for name, d in zip(others, differences[:, 0], strict=True))
    adjusted, levels = step_down(paired_p(differences, resolution=resolution), seeds=n)
    lows, highs = paired_interval(differences, resolution=resolution, level=levels)
    found = []
    for i, name in enumerate(others):
        difference, low, high = float(differences[i].mean()), float(lows[i]), float(highs[i])
        worse, level = bool(adjusted[i] <= ALPHA), float(levels[i])
        say = _say_worse if worse else _say_unclear
        found.append(
            Comparison(
                strategy=name,
                best=best,
                n=n,
                difference=difference,
                low=low,
                high=high,
                level=level,
                p=float(adjusted[i]),
                verdict="worse" if worse else "cannot distinguish",
                text=say(difference, low, high, level=level, n=n, decimals=1 if resolution > 1e-3 else 2),
            )
        )
    return tuple(found)


def _one_seed(name: str, best: str, difference: float) -> Comparison:
    nan = float("nan")
    text = "cannot distinguish at n = 1"
    return Comparison(name, best, 1, difference, nan, nan, 1 - ALPHA, 1.0, "cannot distinguish", text)


def _say_worse(difference: float, low: float, high: float, *, level: float, n: int, decimals: int) -> str:
    # An end that excludes zero must not be printed as zero.
    while decimals < 6 and float(f"{100 * high:.{decimals}f}") == 0:
        decimals += 1
    by, least, most = (f"{-100 * x:.{decimals}f}" for x in (difference, high, low))
    return f"worse by {by} points ({_percent(level)} interval {least} to {most}, n = {n})"


def _say_unclear(difference: float, low: float, high: float, *, level: float, n: int, decimals: int) -> str:
    mean, least, most = (f"{100 * x:z.{decimals}f}" for x in (difference, low, high))
    inner = f"difference {mean} points, {_percent(level)} interval {least} to {most}"
    return f"cannot distinguish at n = {n} ({inner})"


def _percent(level: float) -> str:
    """As many digits as tell the level from certainty: 95%, 99.2%, 99.95%."""
    decimals = 0 if round(100 * level, 6) == round(100 * level) else 1 if level < 0.999 else 2
    return f"{100 * level:.{decimals}f}%"
