"""Which strategy to use: the best, or, where several are level with it, one of them by a rule that is ours.

    level      the highest and those that the tests do not tell from it
    near       of these, all within one point of the highest score
    cheapest   fewest updates charged a run, or a hundredth more; of those, least time an update, or half more
    then       the widest band of rates (rates within one point of the best trial, in decades)
    then       the higher test score

The tests decide nothing between strategies that are level. Updates charged count second passes, and are the same on
every machine; times are not, so only a large difference in them counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from calando.analysis.results import Advice, Comparison, StrategyResult
from calando.records.record import RunRecord

__all__ = ["Price", "advise", "price_of"]

NEAR, AS_FEW, AS_FAST = 0.01, 1.01, 1.5


ONE_SEED = "one seed decides nothing; it has the highest score of it"


@dataclass(frozen=True)
class Price:
    """What a run of a strategy costs at its rate.

    Args:
        updates: charged, mean over its finished final runs; inf where none finished.
        seconds: an update, median over these.
    """

    updates: float
    seconds: float


def price_of(finals: Sequence[RunRecord]) -> Price:
    """The price of a strategy whose final runs these are."""
    ended = [record for record in finals if record.outcome == "finished"]
    if not ended:
        return Price(updates=math.inf, seconds=math.inf)
    return Price(
        updates=sum(record.updates for record in ended) / len(ended),
        seconds=median(record.seconds / max(1, record.updates) for record in ended),
    )


def advise(
    ranked: Sequence[StrategyResult], comparisons: Sequence[Comparison], prices: Mapping[str, Price]
) -> Advice | None:
    """The strategy to use, once a study is complete; None where no final run of those it is between finished.

    Args:
        ranked: best first.
        comparisons: of the others with the first; empty where there is one strategy or one seed.
        prices: by strategy name.
    """
    first = ranked[0]
    open_ = {one.strategy: one.difference for one in comparisons if one.verdict == "cannot distinguish"}
    level = tuple(result.name for result in ranked if result is first or result.name in open_)
    usable = [result for result in ranked if result.name in level and math.isfinite(prices[result.name].updates)]
    if not usable:
        return None
    if not open_:
        alone = len(ranked) == 1 or comparisons
        return Advice(name=first.name, text=first.text, level=(), why="" if alone else ONE_SEED)
    near = [result for result in usable if open_.get(result.name, 0.0) >= -NEAR - 1e-12] or usable[:1]
    fewest = min(prices[result.name].updates for result in near)
    cheap = [result for result in near if prices[result.name].updates <= AS_FEW * fewest]
    soonest = min(prices[result.name].seconds for result in cheap)
    cheap = [result for result in cheap if prices[result.name].seconds <= AS_FAST * soonest]
    widest = max(map(_width, cheap))
    chosen = next(result for result in cheap if _width(result) == widest)
    if len(near) == 1:
        why = "the others score more than a point lower"
    elif len(cheap) == 1:
        why = "it is the cheapest to train"
    elif [_width(result) for result in cheap].count(widest) == 1:
        band = f"band of good rates ({widest:.1f} decades)"
        why = f"it has the widest {band}" if len(cheap) == len(near) else f"of the cheapest it has the widest {band}"
    else:
        why = "it scores highest of those with the lowest cost and the widest band of good rates"
    return Advice(name=chosen.name, text=chosen.text, level=level, why=why)


def _width(result: StrategyResult) -> float:
    """The band's width in decades; a strategy whose rate was given has none to show."""
    return -1.0 if result.band is None else result.band.decades
