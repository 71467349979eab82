"""The race: the rate of a run from short arms, from one start on the same batches (`calando.analysis.arms`).

1. Start: three arms, at the method's usual rate and SPACING times lower and higher, until one has begun to learn,
   l < BEGUN. Nothing is judged before. The clock of the race is that moment b: arms are judged at update
   max(JUDGED n, LATER b) of a run of n.
2. Climb: SPACING, then FINE times higher and lower rates than the leader's are tried; each follows the leader's past
   until it has lost or is judged. With k = min(1, (1 - l) / FAR), how much of what can be told the leader shows, it is
   dead where it is at chance while the leader learns, and has lost where
   d > k (TIE + PATIENCE (1 - t / judged)) and d > SURE se.
3. Ties go to the higher rate, since short views favour low rates: a higher one wins unless it is worse by more than
   k TIE and SURE se, a lower one where the leader is.

The rules are a generator: it yields legs (this arm up to that update) and is sent their losses, so that they are a pure
function of what was trained, whoever trained it, and in what order.
"""

from __future__ import annotations

import math
from typing import final

from calando.analysis.arms import Arm, Book, Ending, Training
from calando.language import message

__all__ = ["Race"]


def _share(gap: float) -> str:
    return message("{gap:.1%} of chance" if gap < 10 else "{gap:.3g} times chance", gap=gap)


@final
class Race:
    """The rules of the race, on the accounts of `book`."""

    def __init__(self, book: Book) -> None:
        self.book, self.question, self.rules = book, book.question, book.rules

    def winner(self) -> Training[Arm]:
        """The arm that won; the update at which arms were judged is `judged`."""
        leader = yield from self.start()
        self.judged = self.judged_at()
        if self.book.begun is not None:
            leader = yield from self.climb(leader, self.judged)
        leader.ending, leader.why = "won", message("the highest rate that is as good as any")
        if self.book.begun is None:
            leader.why = message("nothing was learned; the lowest loss so far")
            for arm in self.book.arms.values():
                if arm.ending == "races":
                    arm.why = message("nothing was learned by update {step}", step=arm.step)
            if leader.trace.diverged:
                leader.why = message("not finite at update {step}", step=leader.step)
        return leader

    def judged_at(self) -> int:
        n = self.question.steps
        begun = n if self.book.begun is None else self.book.begun
        wanted = max(round(self.rules.judged * n), round(self.rules.later * begun), 2 * self.book.rung)
        return min(n, -(-wanted // self.book.rung) * self.book.rung)

    def start(self) -> Training[Arm]:
        """Three arms side by side until one has begun to learn; the best of them."""
        q, rules = self.question, self.rules
        rates = [q.rate, q.rate * rules.spacing, q.rate / rules.spacing]
        rates = [rate for rate in rates if q.least <= rate <= q.most]
        paid = self.book.can_pay((len(rates) - 1) * self.book.cost(0, 2 * self.book.rung), leader=0)
        running = [self.book.arm(rate) for rate in (rates if paid else rates[:1])]
        latest, at = round(rules.patience_at_chance * q.steps), 0
        while at < latest:
            at = min(at + self.book.rung, q.steps)
            extra = self.book.beyond(running, at, leader=running[0])
            if (len(running) > 1 or not q.ride) and not self.book.can_pay(extra, leader=running[0].step):
                self.book.notes.append(message("the budget ended before any arm had begun to learn"))
                break
            yield from self.book.go(running, at)
            for arm in running:
                if arm.trace.diverged:
                    arm.ending, arm.why = "dead", message("too high: not finite at update {step}", step=arm.step)
            running = [arm for arm in running if arm.ending == "races"]
            if not running:
                lower = min(self.book.arms) / rules.spacing
                if lower < q.least or not self.book.can_pay(self.book.cost(0, at), leader=0):
                    break
                running = [self.book.arm(lower)]
                yield from self.book.go(running, at)
                continue
            running.sort(key=self.book.level)
            if at >= self.book.window and any(self.book.has_begun(arm) for arm in running):
                self.book.begun = at
                break
            if len(running) == 1 and at >= latest:
                break
        if not running:
            running = [min(self.book.arms.values(), key=lambda arm: arm.rate)]
        return running[0]

    def climb(self, leader: Arm, judged: int) -> Training[Arm]:
        """Try rates next to the leader until none is left to try, or to pay."""
        # Those of the start first: they stand where the leader does.
        waiting = [arm for arm in self.book.arms.values() if arm.ending == "races" and arm is not leader]
        for arm in sorted(waiting, key=lambda arm: -arm.rate):
            leader = yield from self.contest(leader, arm, judged)
        while True:
            rate = self.next_rate(leader)
            if rate is None:
                return leader
            if not self.book.can_pay(4.0 * self.book.rung, leader=leader.step):
                self.book.notes.append(message("the budget ended before every neighbouring rate was tried"))
                return leader
            leader = yield from self.contest(leader, self.book.arm(rate), judged)

    def next_rate(self, leader: Arm) -> float | None:
        """The next rate to try: an edge first, then between; higher ones first."""
        q, rules = self.question, self.rules
        for factor in (rules.spacing, rules.fine):
            wide = math.log(factor)
            for sign in (1, -1):
                away = [sign * math.log(rate / leader.rate) for rate in self.book.arms]
                # Beyond a near neighbour that lost may lie one that would win: a far one is tried on each side, too.
                known = [
                    one for one in away if (one > 0.99 * wide if factor == rules.spacing else 0 < one < 1.01 * wide)
                ]
                rate = leader.rate * factor**sign
                if not known and q.least <= rate <= q.most:
                    return rate
        return None

    def contest(self, leader: Arm, other: Arm, judged: int) -> Training[Arm]:
        """Bring both to where they are judged, unless one has lost before; who leads since."""
        at = other.step
        while True:
            at = min(at + self.book.rung, judged)
            behind = [arm for arm in (leader, other) if arm.step < at]
            extra = self.book.beyond(behind, at, leader=leader)
            if not self.book.can_pay(extra, leader=max(leader.step, at)):
                other.ending, other.why = "unpaid", message("the budget ended at update {step}", step=other.step)
                return leader
            yield from self.book.go(behind, at)
            lost = self.verdict(other, leader, at, judged)
            won = self.verdict(leader, other, at, judged)
            if lost and not (won and other.rate > leader.rate):
                other.ending, other.why = lost
                return leader
            if won:
                leader.ending, leader.why = won
                return other
            if at >= judged:
                return self.decide(leader, other, judged)

    def verdict(self, one: Arm, other: Arm, at: int, judged: int) -> tuple[Ending, str] | None:
        """How one has lost against the other already; None: it has not."""
        rules = self.rules
        if one.trace.diverged:
            return "dead", message("too high: not finite at update {step}", step=one.step)
        at = min(at, one.step, other.step)
        if at < self.book.window or not self.book.level(other, at) < rules.begun:
            return None
        level = self.book.level(one, at)
        gap, error = self.book.behind(one, other, at)
        if level >= rules.at_chance and one.rate > other.rate and gap > rules.sure * error:
            return "dead", message(
                "too high: at chance at update {at}, where {rate:.3g} learns", at=at, rate=other.rate
            )
        allowed = (rules.tie + rules.patience * max(0.0, 1 - at / judged)) * self.book.known(other, at)
        if gap > allowed and gap > rules.sure * error:
            kind: Ending = "slow" if one.rate < other.rate else "lost"
            return kind, message(
                "too low: {gap} behind {rate:.3g} at update {at}"
                if kind == "slow"
                else "too high: {gap} behind {rate:.3g} at update {at}",
                gap=_share(gap),
                rate=other.rate,
                at=at,
            )
        return None

    def decide(self, leader: Arm, other: Arm, judged: int) -> Arm:
        """Neither has lost: ties go to the higher rate."""
        high, low = sorted((leader, other), key=lambda arm: -arm.rate)
        gap, error = self.book.behind(high, low, judged)
        tie = max(self.rules.tie * self.book.known(low, judged), self.rules.sure * error)
        worse = gap > tie
        winner, loser = (low, high) if worse else (high, low)
        loser.ending = "lost" if worse else "slow"
        loser.why = message(
            "too high: {gap} behind {rate:.3g}"
            if worse
            else "too low: {gap} behind {rate:.3g}"
            if gap < 0
            else "{gap} ahead of {rate:.3g}: a tie, as up to {tie}, and ties go to the higher rate"
            if gap > 0
            else "{gap} ahead of {rate:.3g}",
            gap=_share(abs(gap)),
            rate=winner.rate,
            tie=_share(tie),
        )
        return winner
