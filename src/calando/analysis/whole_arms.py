"""Whole runs as arms: the rate of a training that cannot be forked, such as a person's own code.

An arm is a run from its start to its end, known by its last validation score. On rates r_k = r_0 2^k, r_0 being the
method's usual one:

1. Start: k = 0, +2, -2.
2. Climb: while the best lies at the edge of what was tried, the rate 2 further on that side. Where every run failed,
   the rate 2 below the lowest. Where scores do not tell rates apart, all within ALIKE of the best one and of what they
   were at their first evaluations (as at chance): the rate 2 below the lowest and that 2 above the highest in turn,
   or, where a run failed, the lower alone.
3. Refine: once the best lies between others, the rates half as far from it on both sides, the better side first; again
   and again, until neighbours are 2^(1/4) apart.

A run that diverged, or whose score is not a number, has failed: it is charged what it made, and is worse than any
other. So has one whose code raised an error, which is charged as a whole run, since how far it came is not known. The
best is that of the highest score, then of the lowest validation loss, then the one that was tried first.

Which rate comes next depends on the arms before alone: the budget says where the sequence ends. So with a larger
budget it goes on from there, and arms that are asked for together may be trained in any order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import final

from calando.analysis.arms import Arm, Ending, Leg, Question, Traced, Training
from calando.analysis.grids import written
from calando.analysis.ride import Settled
from calando.errors import UsageError
from calando.language import message
from calando.records.fields import check
from calando.records.measure import SHARE, Measure
from calando.records.tuning import TuneSpec

__all__ = ["LEAST_RUNS", "check_runs", "failed", "settle_whole"]

LEAST_RUNS = 3.0
"""A best rate lies between two others: three runs are the least that can show it."""
APART = 2.0
CLOSEST = 0.25
ALIKE = 0.1
"""Of the best score."""
UNTOLD = message(
    "scores are within {alike:.0%} of each other and of the first evaluations: perhaps nothing was learned", alike=ALIKE
)


def check_runs(budget: float, *, seed: int) -> None:
    """Nothing, where so many runs can say which rate is best.

    Raises:
        UsageError: they cannot.
    """
    check(TuneSpec, budget=budget, seed=seed)
    if budget < LEAST_RUNS:
        raise UsageError(
            message(
                "your own training code cannot be forked at any update, so each rate takes a whole run, and "
                "{least_runs:g} are the least between which a best one can lie: give a budget= of "
                "{least_runs:g} or more, got {budget:g}",
                least_runs=LEAST_RUNS,
                budget=budget,
            )
        )


def settle_whole(question: Question, measure: Measure = SHARE) -> Training[Settled]:
    """Yields whole runs to be made, is sent what they are known by, returns how it ended.

    Args:
        measure: what scores are; those within its `near` of the best count as about as good.
    """
    arms = _Arms(question, measure)
    for group in arms.groups():
        waiting = list(group)
        while waiting:
            # So many as can be paid if each runs to its end; one that failed early leaves more for the next.
            paid = min(len(waiting), arms.affordable())
            if not paid:
                return arms.settled()
            now, waiting = waiting[:paid], waiting[paid:]
            legs = {place: Leg(arms.rate(place), question.steps, question.steps) for place in now}
            answers = yield list(legs.values())
            for place, leg in legs.items():
                arms.add(place, answers[leg])
    return arms.settled()


@final
class _Arms:
    """The arms so far, by k."""

    def __init__(self, question: Question, measure: Measure) -> None:
        self.question, self.measure, self.charged = question, measure, 0.0
        self.made: dict[float, Arm] = {}

    def rate(self, place: float) -> float:
        rate = self.question.rate
        return rate if place == 0 else written(rate * 2.0**place)

    def within(self, place: float) -> bool:
        rate: float = self.question.rate * 2.0**place
        return self.question.least <= rate <= self.question.most

    def affordable(self) -> int:
        """How many more runs the budget has room for."""
        q = self.question
        until = q.steps if q.per_until is None else min(q.per_until, q.steps)
        most = q.per_update * until + q.per_later * (q.steps - until)
        return int((q.budget * q.steps - self.charged + 1e-9) // most)

    def add(self, place: float, trace: Traced) -> None:
        self.made[place] = Arm(self.rate(place), trace)
        self.charged += trace.cost

    # Which comes next

    def groups(self) -> Iterator[Sequence[float]]:
        """Which arms are made next, together; asked again when they have been."""
        apart = APART
        yield [place for place in (0.0, apart, -apart) if self.within(place)]
        while True:
            best, low, high = self.best(), min(self.made), max(self.made)
            lost = any(failed(arm.trace) for arm in self.made.values())
            if self.distinct():
                further = [high + apart] if best == high else [low - apart] if best == low else []
            elif lost:
                further = [low - apart]
            else:
                further = [low - apart, high + apart]
                further = further if -low <= high else further[::-1]
            further = [place for place in further if self.within(place)]
            if not further:
                if not self.distinct():
                    return
                break
            yield further[:1]
        while apart > CLOSEST:
            apart /= 2
            best = self.best()
            sides = [best - apart, best + apart]
            if self.merit(best + 2 * apart) > self.merit(best - 2 * apart):
                sides.reverse()
            yield [place for place in sides if self.within(place) and place not in self.made]

    # Which is best

    def distinct(self) -> bool:
        """Whether scores tell rates apart, as far as that is known."""
        alive = [arm for arm in self.made.values() if not failed(arm.trace)]
        if not alive:
            return False
        scores = [_score(arm) for arm in alive]
        alike = ALIKE * abs(max(scores))
        return max(scores) - min(scores) > alike or any(
            arm.trace.rise is None or abs(arm.trace.rise) > alike for arm in alive
        )

    def merit(self, place: float) -> tuple[bool, float, float]:
        """Higher is better."""
        arm = self.made.get(place)
        if arm is None or failed(arm.trace):
            return False, -math.inf, -math.inf
        return True, _score(arm), -arm.trace.loss

    def best(self) -> float:
        """Of equal ones the first that was made; where all failed, the lowest."""
        if all(failed(arm.trace) for arm in self.made.values()):
            return min(self.made)
        return max(self.made, key=self.merit)  # the first of equal ones, in the order in which they were made

    def settled(self) -> Settled:
        best = self.best()
        winner, worked = self.made[best], not failed(self.made[best].trace)
        for arm in self.made.values():
            arm.ending, arm.why = self.ending(arm, winner)
        ordered = sorted(self.made)
        at = ordered.index(best)
        close = [winner.rate]
        for way in (-1, 1):
            place = at + way
            while 0 <= place < len(ordered) and self.is_near(self.made[ordered[place]], winner):
                close.append(self.made[ordered[place]].rate)
                place += way
        cost = winner.trace.cost
        return Settled(
            leg=Leg(winner.rate, self.question.steps, self.question.steps),
            arms=tuple(self.made.values()),
            race=self.charged - cost,
            ride=cost,
            back=0.0,
            looks=0.0,
            begun=0 if worked else None,
            judged=self.question.steps,
            low=min(close),
            high=max(close),
            edge=best in (ordered[0], ordered[-1]),
            died=not worked,
            notes=() if self.distinct() or not worked else (UNTOLD,),
        )

    def is_near(self, arm: Arm, best: Arm) -> bool:
        """Whether it is about as good as the best."""
        if failed(arm.trace) or failed(best.trace):
            return False
        ours, most = _score(arm), _score(best)
        return ours >= most - self.measure.near(most)

    def ending(self, arm: Arm, best: Arm) -> tuple[Ending, str]:
        """How an arm ended, and why, in words."""
        measure = self.measure
        if failed(arm.trace):
            no_score = message("it has no score at update {step}", step=arm.step)
            why = message("failed: {why}", why=arm.trace.why or no_score)
            return ("won", message("every run failed; {why}", why=why)) if arm is best else ("dead", why)
        reached = message("validation {score}", score=measure.amount(measure.merit(_score(arm)), decimals=2))
        if arm is best:
            return "won", message("{reached}, the {first}", reached=reached, first=measure.first)
        gap = _score(best) - _score(arm)
        if gap > 0:
            return "lost", message(
                "{reached}, {gap} {behind} than that of {rate:.3g}",
                reached=reached,
                gap=measure.gap(gap),
                behind=measure.behind,
                rate=best.rate,
            )
        return "lost", message(
            "{reached}, the same as that of {rate:.3g}, whose loss is lower"
            if best.trace.loss < arm.trace.loss
            else "{reached}, the same as that of {rate:.3g}, which was tried first",
            reached=reached,
            rate=best.rate,
        )


def _score(arm: Arm) -> float:
    assert arm.trace.score is not None
    return arm.trace.score


def failed(trace: Traced) -> bool:
    """Whether a whole run has no score to be judged by."""
    return trace.diverged or trace.score is None or not math.isfinite(trace.score)
