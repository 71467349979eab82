"""The conclusion of a study: the headline, in a few plain sentences, and the strategy to use.

A strategy whose rate is not fully tuned beats no other, and is not beaten. Scores are in percent with
the standard deviation over seeds; differences are left to the comparisons.

Which strategy to use: the best, or, where several are level with it, one of them by a rule that is ours.

    level      the highest and those that the tests do not distinguish from it
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
from statistics import median, median_low

from calando.analysis.results import Advice, Comparison, StrategyResult
from calando.language import joined, message
from calando.records.measure import SHARE, Measure
from calando.records.record import RunRecord

__all__ = ["EQUAL", "Price", "advise", "headline", "listed", "listed_all", "price_of", "share_highest"]


MOST_NAMED = 6
EQUAL = 1e-9
"""Means of the same scores in another order differ by less; scores of any test part that are not equal, by more."""


def headline(
    ranked: Sequence[StrategyResult],
    comparisons: Sequence[Comparison],
    *,
    complete: bool,
    failed: bool,
    best: str | None,
    done: int,
    expected: int,
    measure: Measure = SHARE,
    judged: str = "test",
) -> str:
    """Say what is known.

    Args:
        ranked: best first.
        comparisons: of the others with the first; empty where there is one strategy or one seed.
        complete: whether every run and every test score is there.
        failed: whether no final run of any strategy finished above chance.
        best: name of the first; None before a final run is there.
        done, expected: runs with a record, and as many as there will be.
        measure: measure of the scores.
        judged: what they are of, "test" or "validation".
    """
    first = ranked[0]
    if not complete or first.test is None:
        return _progress(first, best=best, done=done, expected=expected, measure=measure)
    if failed:
        return message(
            "No verdict: every final run diverged or ended at chance level. Try longer runs, other rates, or a warmup."
        )
    n = first.test.n
    score = message("{judged} {score}", judged=message(judged), score=_with_spread(first, measure))
    equal = share_highest(ranked)
    tied = len(equal) > 1
    if len(ranked) == 1:
        return message("{name}: {score}. There is nothing to compare it with.", name=first.name, score=score)
    if n == 1:
        lead = message("{name} scores {first}", name=first.name, first=measure.first)
        return message(
            "One seed decides nothing: {lead} ({score}), but how much scores differ from seed to seed is unknown. Run "
            "at least two seeds, better three to five.",
            lead=message("{names} score the same", names=listed(equal)) if tied else lead,
            score=score,
        )
    beaten, elsewhere = _beaten(first.name, comparisons)
    open_ = [c.strategy for c in comparisons if c.verdict == "cannot distinguish"]
    untuned = [_untuned(ranked), *elsewhere]
    if len(beaten) == len(comparisons) and not first.untuned:
        return message(
            "{name} is best: {score}. It beats {beaten}.", name=first.name, score=score, beaten=listed(beaten)
        )
    fastest = _fastest([result for result in ranked if result.name == first.name or result.name in open_])
    highest, it = message("{name} scores {first}: {score}", name=first.name, first=measure.first, score=score), None
    if tied:
        highest, it = (
            message(
                "{names} tie for the {first} score: {judged} {score} (n = {n})",
                names=listed(equal),
                first=measure.first,
                judged=message(judged),
                score=measure.amount(first.test.mean),
                n=n,
            ),
            first.name,
        )
    stop = message("{sentence}.", sentence=highest)
    if not beaten and not open_:
        return _in_a_row(stop, *untuned)
    if not beaten:
        others = _unclear(it, open_, n)
        if len(open_) > 1 and len(open_) == len(comparisons):
            others = message("no other strategy can be distinguished from {it} at n = {n}", it=it or message("it"), n=n)
        return _in_a_row(message("{highest}, but {others}.", highest=highest, others=others), *untuned, fastest)
    if first.untuned:
        start = stop
        if open_:
            start = message("{highest}, but {others}.", highest=highest, others=_unclear(it, open_, n))
        even_so = message("Even so {beaten} scored {behind}.", beaten=listed(beaten), behind=measure.behind)
        return _in_a_row(start, *untuned, even_so, fastest)
    beats = message("{it} beats {beaten}", it=first.name if tied else message("It"), beaten=listed(beaten))
    if open_:
        beats = message("{one}; {other}", one=beats, other=_unclear(it, open_, n))
    return _in_a_row(stop, message("{sentence}.", sentence=beats), *untuned, fastest)


def _in_a_row(*sentences: str) -> str:
    return joined("{one} {other}", filter(None, sentences))


def _beaten(best: str, comparisons: Sequence[Comparison]) -> tuple[list[str], list[str]]:
    """Which strategies the best beats; and in sentences, those beaten by another that it does not beat itself.

    Where seeds are added, a strategy is settled against the best of its look, and another may come out best.
    """
    of = {one.strategy: one for one in comparisons if one.verdict == "worse"}
    beaten: list[str] = []
    elsewhere: dict[str, list[str]] = {}
    for one in of.values():
        link = one
        # The best of a look is itself settled at a later one, if ever: the chain ends.
        while link.best != best and link.best in of:
            link = of[link.best]
        if link.best == best:
            beaten.append(one.strategy)
        else:
            elsewhere.setdefault(one.best, []).append(one.strategy)
    return beaten, [
        message(
            "{those} is worse than {name}." if len(those) == 1 else "{those} are worse than {name}.",
            those=listed(those),
            name=name,
        )
        for name, those in elsewhere.items()
    ]


def share_highest(ranked: Sequence[StrategyResult]) -> list[str]:
    """Names of the first and of those whose mean test score over as many seeds is the same."""
    best = ranked[0].test
    return [
        one.name
        for one in ranked
        if best and one.test and one.test.n == best.n and abs(one.test.mean - best.mean) < EQUAL
    ]


def _progress(first: StrategyResult, *, best: str | None, done: int, expected: int, measure: Measure) -> str:
    if done == 0:
        return message(
            "Nothing has run yet; {expected} runs are to be made."
            if expected > 1
            else "Nothing has run yet; {expected} run is to be made.",
            expected=expected,
        )
    if done == expected:
        start = message("All {done} runs are done; the test scores are still to be read.", done=done)
    else:
        start = message(
            "{done} of {expected} runs are done; there is no verdict yet."
            if done > 1
            else "{done} of {expected} runs is done; there is no verdict yet.",
            done=done,
            expected=expected,
        )
    if best is None or first.validation is None:
        return start
    leads = message("By validation {best} leads ({score}).", best=best, score=measure.amount(first.validation.mean))
    return _in_a_row(start, leads)


def _untuned(ranked: Sequence[StrategyResult]) -> str:
    """On which strategies there is no verdict, and why; "" where all are fully tuned."""
    of = [result for result in ranked if result.untuned]
    if not of:
        return ""
    reasons = {result.untuned for result in of}
    why = message(" ({why})", why=reasons.pop()) if len(reasons) == 1 else ""
    if len(of) == len(ranked):
        return message("No strategy is fully tuned{why}, so none is called better than another.", why=why)
    if of == [ranked[0]]:
        return message("Its rate is not fully tuned{why}: it may do better still.", why=why)
    if len(of) == 1:
        return message("{name} is not fully tuned{why}: no verdict on it.", name=of[0].name, why=why)
    names = listed([one.name for one in of], "strategies")
    return message("{names} are not fully tuned{why}: no verdict on them.", names=names, why=why)


def _unclear(it: str | None, names: Sequence[str], n: int) -> str:
    return message(
        "{it} cannot be distinguished from {names} at n = {n}", it=it or message("it"), names=listed(names), n=n
    )


def _fastest(tied: Sequence[StrategyResult]) -> str:
    """Which of those that cannot be distinguished reached the target soonest, in the median; "" if none stands out.

    Only strategies that reached it at every seed are ranked: where a seed never arrives, a median is a guess.
    """
    reached = [
        (median_low(step for step in result.steps_to_target if step is not None), result.name)
        for result in tied
        if result.steps_to_target and None not in result.steps_to_target
    ]
    steps = sorted(reached)
    if len(steps) < 2 or steps[0][0] == steps[1][0]:
        return ""
    return message(
        "Of those that reached the target at every seed, {name} did so soonest (median {steps} steps).",
        name=steps[0][1],
        steps=steps[0][0],
    )


def _with_spread(result: StrategyResult, measure: Measure) -> str:
    assert result.test is not None
    mean = measure.amount(result.test.mean)
    if result.test.n == 1:
        return message("{mean}, n = 1", mean=mean)
    sd = measure.spread(result.test.sd, decimals=1)
    return message("{mean} ± {sd} (sd, n = {n})", mean=mean, sd=sd, n=result.test.n)


def listed(names: Sequence[str], many: str = "others") -> str:
    """Names in a sentence; of more than six their number.

    >>> listed(["a", "b", "c"]), listed(list("abcdefg"))
    ('a, b and c', '7 others')
    """
    if len(names) > MOST_NAMED:
        return message("{count} strategies" if many == "strategies" else "{count} others", count=len(names))
    return listed_all(names)


def listed_all(names: Sequence[str]) -> str:
    """Names in a sentence, however many.

    >>> listed_all(["a", "b", "c"]), listed_all(["a"])
    ('a, b and c', 'a')
    """
    *before, last = names
    return message("{one} and {other}", one=joined("{one}, {other}", before), other=last) if before else last


AS_FEW, AS_FAST = 1.01, 1.5


ONE_SEED = message("one seed decides nothing; no other scored higher at that seed")


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
    ranked: Sequence[StrategyResult],
    comparisons: Sequence[Comparison],
    prices: Mapping[str, Price],
    *,
    measure: Measure = SHARE,
) -> Advice | None:
    """The strategy to use, once a study is complete; None where no final run of those it is between finished.

    Args:
        ranked: best first.
        comparisons: of the others with the first; empty where there is one strategy or one seed.
        prices: by strategy name.
        measure: measure of the scores.
    """
    first = ranked[0]
    open_ = {one.strategy: measure.merit(one.difference) for one in comparisons if one.verdict == "cannot distinguish"}
    level = tuple(result.name for result in ranked if result is first or result.name in open_)
    usable = [result for result in ranked if result.name in level and math.isfinite(prices[result.name].updates)]
    if not usable:
        return None
    if not open_:
        alone = len(ranked) == 1 or comparisons
        return Advice(name=first.name, text=first.text, level=(), why="" if alone else ONE_SEED)
    near_enough = measure.near(first.test.mean if first.test is not None else 0.0)
    near = [result for result in usable if open_.get(result.name, 0.0) >= -near_enough - 1e-12] or usable[:1]
    fewest = min(prices[result.name].updates for result in near)
    cheap = [result for result in near if prices[result.name].updates <= AS_FEW * fewest]
    soonest = min(prices[result.name].seconds for result in cheap)
    cheap = [result for result in cheap if prices[result.name].seconds <= AS_FAST * soonest]
    widest = max(map(_width, cheap))
    last = [result for result in cheap if _width(result) == widest]
    chosen = last[0]
    if len(near) == 1:
        why = message("the others score more than {near} {behind}", near=measure.near_words, behind=measure.behind)
    elif len(cheap) == 1:
        why = message("it is the cheapest to train")
    elif len(last) == 1:
        why = message(
            "it has the widest band of good rates ({widest:.1f} decades)"
            if len(cheap) == len(near)
            else "of the cheapest it has the widest band of good rates ({widest:.1f} decades)",
            widest=widest,
        )
    elif abs(open_.get(last[0].name, 0.0) - open_.get(last[1].name, 0.0)) < EQUAL:
        why = message("it comes first of those with equal scores, the lowest cost and the widest band of good rates")
    else:
        why = message(
            "it scores {first} of those with the lowest cost and the widest band of good rates", first=measure.first
        )
    return Advice(
        name=chosen.name,
        text=chosen.text,
        level=level,
        why=why,
        n=max(one.n for one in comparisons),
        apart=max(0.0, *(-difference for difference in open_.values())),
        behind=max(0.0, -open_.get(chosen.name, 0.0)),
        near=near_enough,
    )


def _width(result: StrategyResult) -> float:
    """The band's width in decades; a strategy whose rate was given has none to show."""
    return -1.0 if result.band is None else result.band.decades
