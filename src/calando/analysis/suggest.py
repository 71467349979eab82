"""Which learning rate a range test speaks for, and whether it can be trusted.

    valley     sqrt(half * lost)
    decayed    valley * clip(sqrt(usual / valley), 1 / MOST_DRAWN, MOST_DRAWN): for a schedule that decays to zero or
               nearly so; the valley itself where no rate is usual for the method
    constant   decayed / CONSTANT

`half` is the rate by which half of the loss's fall is made and `lost` that from which on half of it is lost again:
`calando.analysis.range_curves`. A short sweep is uncertain by a factor of two or three, and so is the rate that a
method usually takes; the middle between the two is better than each, and where they are far apart the measurement is
believed. That this is what is recommended was decided by measurement, `benchmarks/finders.py`, docs/LOG.md.
Arrays in, values out; nothing here knows of torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from calando.analysis.range_curves import RULES, Landmarks, RangeCurves, Rule, capped, landmarks, smooth, start_of
from calando.analysis.range_doubts import doubts, explain
from calando.language import joined, message

__all__ = ["Smoothed", "Suggestion", "suggest"]


MOST_DRAWN = 2.0  # unlimited is a little better on the workloads chosen on, and worse where a method is not at home
CONSTANT = 2.0  # measured on five workloads: 1.5 to 2 cost least, 0.05 to 0.45 points
NO_RATE = {"works its rate out", "flat", "noise", "nothing learned", "diverged at once"}
OWN_RATE = message(
    "the method works its step size out by itself and the rate only multiplies it, so that a curve over rates says "
    "nothing: train at lr=1"
)


@dataclass(frozen=True, eq=False)
class Smoothed:
    """What is drawn: float64[n] each; nan from where more than half of the repeats had stopped.

    Args:
        rates: all of them.
        median: over the smoothed repeats.
        low, high: the lowest and highest of these.
    """

    rates: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Suggestion:
    """The judgement of a range test.

    Args:
        rules: "steepest", "valley", "minimum / 10", "largest stable" -> the rate by that rule.
        decayed: the peak rate for a schedule that decays to zero or nearly so; where a usual rate was given, the
            valley drawn towards it.
        constant: the rate for training at a constant one.
        reliable: whether to act on it.
        doubts: why not, a name each (`calando.analysis.range_doubts`), the gravest first; a program may act on them.
        reasons: the same in words, in the same order; empty when reliable.
        diverged_at: the rate from which on half or more of what was gained is lost; None: not up to the highest.
        explanation: a paragraph: what too small and too large a rate look like on this curve.
        smoothed: for drawing.
    """

    rules: Mapping[str, Rule]
    decayed: Rule
    constant: Rule
    reliable: bool
    doubts: tuple[str, ...]
    reasons: tuple[str, ...]
    diverged_at: float | None
    explanation: str
    smoothed: Smoothed = field(repr=False)

    @property
    def marks(self) -> dict[str, float]:
        """Name -> rate of what a drawing marks: the recommended rates, those of the rules, and where half is lost.

        The valley's middle is what is recommended where no rate is usual, and is not marked twice.
        """
        rates: dict[str, float | None] = {"decayed": self.decayed.rate, "constant": self.constant.rate}
        rates |= {name: rule.rate for name, rule in self.rules.items() if rule.rate != self.decayed.rate}
        rates["half is lost"] = self.diverged_at
        return {name: rate for name, rate in rates.items() if rate is not None}

    def doubted(self, name: str, reason: str) -> Suggestion:
        """The same, not to be acted on, for one more reason than the curves give."""
        return replace(self, reliable=False, doubts=(*self.doubts, name), reasons=(*self.reasons, reason))


def suggest(curves: RangeCurves, *, usual: float | None = None, own_rate: bool = False) -> Suggestion:
    """The judgement of one range test.

    Where the loss falls, rates are named also if they should not be relied on; where it does not, none is.

    Args:
        usual: the rate that the method usually takes; None: the measurement stands alone.
        own_rate: the method works its step size out by itself, and the rate only multiplies that: no rate is named.

    >>> rates = np.geomspace(1e-5, 10, 80)
    >>> loss = 2 / (1 + rates / 0.01) + 2 * rates
    >>> found = suggest(RangeCurves.from_arrays(rates, loss))
    >>> found.reliable, 0.03 < found.decayed.rate < 0.3
    (True, True)

    >>> suggest(RangeCurves.from_arrays(rates, np.full(80, 2.3))).reasons
    ('the loss falls at no rate',)
    """
    rates = curves.rates
    start = start_of(rates, curves.losses)
    top = start if curves.chance is None else min(start, curves.chance)
    if math.isfinite(start):
        each = smooth(rates, capped(curves.losses, top))
        pooled = landmarks(rates, each.mean(axis=0), top)
        single = [landmarks(rates, row, top) for row in each]
    else:
        pooled, single = landmarks(rates, np.zeros(len(rates)), 0.0), []
    doubted = doubts(curves, start=start, top=top, pooled=pooled, single=single)
    if own_rate:
        doubted = {"works its rate out": OWN_RATE, **doubted}
    fell = not NO_RATE & doubted.keys()
    marks = [pooled, *single] if fell else [landmarks(rates, np.zeros(len(rates)), 0.0)]
    valleys = [one.valley for one in marks]
    decayed = valleys if usual is None else [_drawn(rate, usual) for rate in valleys]
    explanation = "" if own_rate else explain(curves, start=start, top=top, marks=pooled, fell=fell)
    if usual is not None and math.isfinite(decayed[0]):
        drawn = message(
            "The curve alone speaks for {valley:.2g}; the recommendation is drawn half way towards the "
            "{usual:.2g} that "
            "is usual for the method, by a factor of {most:g} at most.",
            valley=valleys[0],
            usual=usual,
            most=MOST_DRAWN,
        )
        explanation = joined("{one} {other}", [explanation, drawn])
    return Suggestion(
        rules={name: _rule([one.rules[name] for one in marks]) for name in RULES},
        decayed=_rule(decayed),
        constant=_rule([rate / CONSTANT for rate in decayed]),
        reliable=not doubted,
        doubts=tuple(doubted),
        reasons=tuple(doubted.values()),
        diverged_at=marks[0].lost if math.isfinite(marks[0].lost) else None,
        explanation=explanation,
        smoothed=_smoothed(curves, start=start, pooled=pooled),
    )


def _drawn(rate: float, usual: float) -> float:
    return rate * min(max(math.sqrt(usual / rate), 1 / MOST_DRAWN), MOST_DRAWN)


def _rule(rates: Sequence[float]) -> Rule:
    """Of the rate of all repeats together, which comes first, and those of each."""
    found = [rate for rate in rates if math.isfinite(rate)]
    if not math.isfinite(rates[0]):
        return Rule(None, math.nan, math.nan)
    return Rule(rates[0], min(found), max(found))


def _smoothed(curves: RangeCurves, *, start: float, pooled: Landmarks) -> Smoothed:
    """With room above the start for a loss that explodes."""
    if not math.isfinite(start):
        nothing = np.full(len(curves.rates), np.nan)
        return Smoothed(curves.rates, nothing, nothing, nothing)
    ceiling = start + max(pooled.depth, 1e-3 * abs(start))
    each = smooth(curves.rates, capped(curves.losses, ceiling))
    each = np.where(np.isnan(curves.losses).mean(axis=0) > 0.5, np.nan, each)
    return Smoothed(curves.rates, np.median(each, axis=0), each.min(axis=0), each.max(axis=0))
