"""The ride: the winner of a race goes on to the end of its run, and what a tuning comes to.

Where the run dies (back at chance after it had learned, or not finite) it goes on from two checkpoints before the first
sign, at FACTOR of its rate; what was lost is charged. Where the budget then ends before the run does, the rate falls to
zero earlier, so that a run always ends with a rate of zero.

Larger budgets buy more arms to the end: those nearest to the winner go on, too, as long as their way can be paid, and
the best on the validation part is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from calando.analysis.arms import USUAL, Arm, Book, Leg, Question, Rules, Traced, Training
from calando.analysis.race import Race
from calando.language import message

__all__ = ["Settled", "race", "settle"]


@final
@dataclass(frozen=True, kw_only=True)
class Settled:
    """How it ended.

    Args:
        leg: the arm that was trained to the end; its weights are the answer.
        arms: in the order in which they began.
        race, ride, back, looks: what was charged, in updates: for arms that lost; for the run itself; for what a death
            made void; for evaluations.
        also: likewise, for runs with other hyper-parameters; where one of them is the answer, `ride` is for the run at
            the strategy's own.
        begun: the update at which learning was seen to have begun; None: it never was.
        judged: the update at which arms were judged.
        low, high: rates that could not be told from the winner's.
        edge: the winner is the highest or lowest rate that was tried.
        died: the run ended at chance, not finite, or before its end.
        unpaid: it ended before its end for want of budget alone.
    """

    leg: Leg
    arms: tuple[Arm, ...]
    race: float
    ride: float
    back: float
    looks: float
    begun: int | None
    judged: int
    low: float
    high: float
    edge: bool
    died: bool
    unpaid: bool = False
    notes: tuple[str, ...] = ()
    also: float = 0.0

    @property
    def charged(self) -> float:
        return self.race + self.ride + self.back + self.looks + self.also


@final
@dataclass(frozen=True)
class _Ridden:
    """An arm at its end: the leg that was trained last, what it had made void, and its score."""

    arm: Arm
    leg: Leg
    trace: Traced
    died: bool
    unpaid: bool = False

    @property
    def merit(self) -> float:
        """Higher is better; a run that died is worse than any."""
        return -math.inf if self.died or self.trace.score is None else self.trace.score


def race(question: Question, rules: Rules = USUAL) -> Training[Settled]:
    """The race alone; the winner's run is not trained to its end."""
    book = Book(question, rules)
    run = Race(book)
    leader = yield from run.winner()
    leg = Leg(leader.rate, leader.step, question.steps)
    return _settled(book, run.judged, _Ridden(leader, leg, leader.trace, False), back=0.0)


def settle(question: Question, rules: Rules = USUAL) -> Training[Settled]:
    """The whole race and ride: yields legs to be trained, is sent their losses, returns how it ended."""
    book = Book(question, rules)
    run = Race(book)
    leader = yield from run.winner()
    ride = _Ride(book, learned=book.begun is not None)
    best = yield from ride.to_the_end(leader)
    while (arm := ride.next_one(best)) is not None:
        ridden = yield from ride.to_the_end(arm)
        if ridden.merit > best.merit:
            best.arm.ending = "lost"
            best.arm.why = message("at its end behind {rate:.3g} on the validation part", rate=arm.rate)
            best = ridden
            arm.ending, arm.why = "won", message("the best at its end on the validation part")
        else:
            arm.why = message("at its end not ahead of {rate:.3g} on the validation part", rate=best.arm.rate)
    return _settled(book, run.judged, best, back=ride.back)


class _Ride:
    """Arms on their way to the end."""

    def __init__(self, book: Book, *, learned: bool) -> None:
        self.book, self.question, self.rules, self.learned = book, book.question, book.rules, learned
        self.back = 0.0
        self.ridden: set[float] = set()

    def to_the_end(self, leader: Arm) -> Training[_Ridden]:
        """Train an arm to the end of its run, going back where it dies."""
        q, rules = self.question, self.rules
        n = q.steps
        book, length = self.book, max(1, round(rules.leg * n))
        self.ridden.add(leader.rate)
        arm, stops = leader, dict(leader.stops)
        leg = self.way(Leg(leader.rate, leader.step, n), origin=leader.step, factor=1.0)
        if leg.steps < n:
            book.notes.append(
                message(
                    "the budget allows {steps} updates of {n}: the rate falls to zero earlier", steps=leg.steps, n=n
                )
            )
        while leg.until < leg.steps and not (arm.trace.diverged and leg.until == arm.step):
            until = min(leg.until + length, leg.steps)
            while until > leg.until and book.charged + book.cost(leg.until, until) > q.budget * n + 1e-9:
                until -= 1
            if until == leg.until:
                book.notes.append(
                    message("the budget ended at update {until} of {steps}", until=leg.until, steps=leg.steps)
                )
                break
            leg = replace(leg, until=until)
            answers = yield from book.advance([leg], {leg.rate: arm.trace})
            arm = replace(arm, trace=answers[leg])
            stops[arm.step] = arm.trace.cost
            if not self.learned and book.has_begun(arm):
                self.learned, book.begun = True, arm.step
            if not (arm.trace.diverged or (self.learned and book.level(arm) >= rules.at_chance)):
                continue
            origin = self.go_back_to(arm, list(stops), tries=len(leg.cuts))
            factor = (leg.cuts[-1][1] if leg.cuts else 1.0) * rules.factor
            made = self.way(leg, origin=origin, factor=factor)
            unpaid = book.charged + book.cost(origin, made.steps) > q.budget * n + 1e-9
            if unpaid or made.steps - origin < 2 * book.rung or len(leg.cuts) >= rules.tries:
                break
            book.notes.append(
                message(
                    "{rate:.3g}: not finite at update {step}: back to update {origin}, at {share:g} of the rate"
                    if arm.trace.diverged
                    else "{rate:.3g}: back at chance at update {step}: back to update {origin}, at {share:g} of "
                    "the rate",
                    rate=leader.rate,
                    step=arm.step,
                    origin=origin,
                    share=made.cuts[-1][1],
                )
            )
            before = stops.get(origin, 0.0)
            self.back += arm.trace.cost - before
            leg, stops = made, {stop: cost for stop, cost in stops.items() if stop <= origin}
            arm = Arm(leg.rate, Traced(arm.trace.losses[:origin], charged=before))
        leader.trace = arm.trace
        lost = arm.trace.diverged or book.level(arm) >= rules.at_chance
        short = leg.until < leg.steps
        return _Ridden(leader, leg, arm.trace, lost or short, unpaid=short and not lost)

    def next_one(self, best: _Ridden) -> Arm | None:
        """The arm next to the best that can be paid to its end; None: there is none."""
        q = self.question
        if not self.learned:
            return None
        waiting = [
            arm
            for arm in self.book.arms.values()
            if arm.rate not in self.ridden and arm.ending != "dead" and not arm.trace.diverged and arm.step
        ]
        for arm in sorted(waiting, key=lambda arm: (abs(math.log(arm.rate / best.arm.rate)), -arm.rate)):
            if self.book.charged + self.book.cost(arm.step, q.steps) <= q.budget * q.steps + 1e-9:
                return arm
        return None

    def go_back_to(self, arm: Arm, stops: Sequence[int], *, tries: int) -> int:
        """The second stop before the first sign, which follows the stop of the lowest level; earlier at each try."""
        levels = [self.book.level(arm, stop) for stop in stops]
        before = [0, *stops[: levels.index(min(levels)) + 1]]
        return before[max(0, len(before) - 2 - tries)]

    def way(self, leg: Leg, *, origin: int, factor: float) -> Leg:
        """The way on from an update at a share of the planned rate, as long as the budget allows."""
        q = self.question
        steps = leg.steps
        if q.open and origin <= q.steps // 2:
            while steps > origin and self.book.charged + self.book.cost(origin, steps) > q.budget * q.steps + 1e-9:
                steps -= 1
        if factor == 1.0 and steps == leg.steps:
            return leg
        cuts = (*(cut for cut in leg.cuts if cut[0] < origin), (origin, factor))
        return Leg(leg.rate, origin, steps, cuts)


def _settled(book: Book, judged: int, best: _Ridden, *, back: float) -> Settled:
    leader, tried = best.arm, sorted(book.arms)
    close = _close_to(book, leader, judged)
    return Settled(
        leg=best.leg,
        arms=tuple(book.arms.values()),
        race=book.trained - best.trace.cost - back,
        ride=best.trace.cost,
        back=back,
        looks=book.looked,
        begun=book.begun,
        judged=judged,
        low=min(close),
        high=max(close),
        edge=len(tried) > 1 and leader.rate in (tried[0], tried[-1]),
        died=best.died,
        unpaid=best.unpaid,
        notes=tuple(book.notes),
    )


def _close_to(book: Book, leader: Arm, judged: int) -> list[float]:
    """Rates whose arms were judged and not told from the leader's."""
    found, rules = [leader.rate], book.rules
    for arm in book.arms.values():
        if arm is not leader and arm.step >= judged:
            gap, error = book.behind(arm, leader, judged)
            if abs(gap) <= max(rules.tie, rules.sure * error):
                found.append(arm.rate)
    return found
