"""Race, then ride: the rate of one run settled by short arms from one start, whose winner goes on to the end.

An arm is the whole run at one rate, stopped early: same initial weights, same batches. What it loses against another
is a paired difference at the same updates:

    l_i(t)    mean of arm i's last `window` training losses before update t, over the loss at chance
    d_ij(t)   l_i(t) - l_j(t)
    se_ij(t)  standard deviation of the window's differences / sqrt(window)

1. Start: three arms, at the method's usual rate and SPACING times lower and higher, until one has begun to learn,
   l < BEGUN. Nothing is judged before. The clock of the race is that moment b: arms are judged at update
   max(JUDGED n, LATER b) of a run of n.
2. Climb: SPACING, then FINE times higher and lower rates than the leader's are tried; each follows the leader's past
   until it has lost or is judged. It is dead where it is at chance while the leader learns; it has lost where
   d > TIE + PATIENCE (1 - t / judged) and d > SURE se.
3. Ties go to the higher rate, since short views favour low rates: a higher one wins where d <= TIE, a lower one where
   the leader is worse by more than TIE and SURE se.
4. Ride: the winner's arm goes on to the end. Where it dies (back at chance, or not finite) it goes on from two
   checkpoints before the first sign at FACTOR of its rate.

Everything is charged: c = updates + evaluations, each as many updates as it costs. At every moment c and what the
leader's way to the end will cost are at most `budget` n: an arm that cannot be paid is not begun.

The rules are a generator: it yields legs (this arm up to that update) and is sent their losses, so that they are a pure
function of what was trained, whoever trained it, and in what order.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, final

import numpy as np

__all__ = ["Arm", "Cut", "Ending", "Leg", "Question", "Rules", "Settled", "Traced", "race", "settle"]


@final
@dataclass(frozen=True)
class Rules:
    """The numbers of the race, chosen on the development half of the benchmark."""

    spacing: float = 4.0
    fine: float = 2.0
    begun: float = 0.85  # of the loss at chance
    at_chance: float = 0.98
    judged: float = 0.1  # of the run
    later: float = 1.4  # times the moment at which learning began
    rung: float = 0.01  # of the run
    least_rung: int = 8
    window: float = 0.04
    least_window: int = 16
    far: float = 0.2  # below chance, where ties are as wide as they get
    tie: float = 0.01  # of the loss at chance
    patience: float = 0.1
    sure: float = 2.0
    reserve: float = 0.05  # of the run, for going back
    patience_at_chance: float = 0.35  # of the run: until then some arm should have begun to learn
    leg: float = 0.05  # of the run, between two looks at whether the ride lives
    factor: float = 0.5
    tries: int = 5


Cut = tuple[int, float]
"""From this update on, the rate is so many times the planned one."""


@final
@dataclass(frozen=True)
class Leg:
    """An arm up to an update: base rate, cuts of the rate, length of the run that is planned."""

    rate: float
    until: int
    steps: int
    cuts: tuple[Cut, ...] = ()


@final
@dataclass(frozen=True, eq=False)
class Traced:
    """What an arm is known by.

    Args:
        losses: float32[t], of all of its first t updates.
        diverged: there will be no more.
        charged: updates so far, second passes over a batch counted as one more each; None: t.
        score: of the last evaluation, higher is better; None: there was none.
    """

    losses: np.ndarray
    diverged: bool = False
    charged: float | None = None
    score: float | None = None

    @property
    def step(self) -> int:
        return len(self.losses)

    @property
    def cost(self) -> float:
        return self.step if self.charged is None else self.charged


@final
@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be settled.

    Args:
        steps: updates of one run.
        rate: where to begin, the method's usual one.
        budget: how many runs all may cost.
        chance: training loss of a network that knows nothing of its inputs; None: the first losses stand for it.
        look_every, look_cost: updates between two evaluations, and what one costs, in updates.
        per_update: the most that an update is charged: 2 where it may take a second pass over its batch.
        open: the run may be shortened, its rate falling to zero earlier.
        ride: the budget keeps the winner's way to the end free.
        least, most: bounds of the rate.
    """

    steps: int
    rate: float
    budget: float = 1.5
    chance: float | None = None
    look_every: int = 0
    look_cost: float = 0.0
    per_update: float = 1.0
    open: bool = True
    ride: bool = True
    least: float = 1e-8
    most: float = 1e3


Ending = Literal["races", "dead", "slow", "lost", "won", "unpaid"]


@dataclass
class Arm:
    """A rate in the race.

    Args:
        ending: how it ended, at update `step`; `why` in words.
        stops: where it stood still, with what it had cost: there are its checkpoints.
    """

    rate: float
    trace: Traced
    ending: Ending = "races"
    why: str = ""
    stops: dict[int, float] = field(default_factory=dict)

    @property
    def step(self) -> int:
        return self.trace.step


@final
@dataclass(frozen=True, kw_only=True)
class Settled:
    """How it ended.

    Args:
        leg: the arm that was trained to the end; its weights are the answer.
        arms: in the order in which they began.
        race, ride, back, looks: what was charged, in updates: for arms that lost; for the run itself; for what a death
            made void; for evaluations.
        begun: the update at which learning was seen to have begun; None: it never was.
        judged: the update at which arms were judged.
        low, high: rates that could not be told from the winner's.
        edge: the winner is the highest or lowest rate that was tried.
        died: the run ended at chance, not finite, or before its end.
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
    notes: tuple[str, ...] = ()

    @property
    def charged(self) -> float:
        return self.race + self.ride + self.back + self.looks


Race = Generator[Sequence[Leg], Mapping[Leg, Traced], Settled]
Part = Generator[Sequence[Leg], Mapping[Leg, Traced], bool]


def settle(question: Question, rules: Rules = Rules()) -> Race:
    """The whole race and ride: yields legs to be trained, is sent their losses, returns how it ended."""
    book = _Book(question, rules)
    leader, judged = yield from book.race()
    return (yield from book.ride(leader, judged))


def race(question: Question, rules: Rules = Rules()) -> Race:
    """The race alone; what is left of the run is not trained, though the budget keeps it free."""
    book = _Book(question, rules)
    leader, judged = yield from book.race()
    leg = Leg(leader.rate, leader.step, question.steps)
    return book.settled(leader, judged, leg, race=book.trained - leader.trace.cost, back=0.0, died=False)


@dataclass
class _Book:
    """The race while it runs."""

    question: Question
    rules: Rules
    arms: dict[float, Arm] = field(default_factory=dict)
    trained: float = 0.0
    looked: float = 0.0
    begun: int | None = None
    notes: list[str] = field(default_factory=list)

    # What things cost

    def looks(self, start: int, stop: int) -> float:
        every = self.question.look_every
        return (stop // every - start // every) * self.question.look_cost if every else 0.0

    def cost(self, start: int, stop: int) -> float:
        """The most that a run is charged between two updates."""
        return self.question.per_update * max(0, stop - start) + self.looks(start, stop)

    @property
    def charged(self) -> float:
        return self.trained + self.looked

    def can_pay(self, extra: float, *, leader: int) -> bool:
        """Whether so much more is within the budget, with the leader's way to the end kept free."""
        n = self.question.steps
        kept = self.cost(leader, n) + n * self.rules.reserve if self.question.ride else 0.0
        return self.charged + extra + kept <= self.question.budget * n + 1e-9

    def beyond(self, arms: Sequence[Arm], at: int, *, leader: Arm) -> float:
        """What it costs to bring arms to an update, beyond what the leader's way costs anyway."""
        return sum(self.cost(arm.step, at) for arm in arms if arm is not leader or not self.question.ride)

    def advance(
        self, legs: Sequence[Leg], known: Mapping[float, Traced]
    ) -> Generator[Sequence[Leg], Mapping[Leg, Traced], Mapping[Leg, Traced]]:
        """Train, and charge what was trained."""
        answers = yield legs
        for leg in legs:
            self.trained += answers[leg].cost - known[leg.rate].cost
            self.looked += self.looks(known[leg.rate].step, answers[leg].step)
        return answers

    # How arms stand

    @property
    def rung(self) -> int:
        return max(self.rules.least_rung, round(self.rules.rung * self.question.steps))

    @property
    def window(self) -> int:
        return max(self.rules.least_window, round(self.rules.window * self.question.steps))

    def window_at(self, at: int) -> int:
        """The last half of the past at most: the first losses say where a network begins, not where it goes."""
        return max(1, min(self.window, -(-at // 2)))

    def chance(self) -> float:
        if self.question.chance is not None:
            return self.question.chance
        first = [arm.trace.losses[:8] for arm in self.arms.values() if arm.step]
        found = np.concatenate(first) if first else np.ones(1)
        found = found[np.isfinite(found)]
        return float(np.median(np.abs(found))) if len(found) else 1.0

    def level(self, arm: Arm, at: int | None = None) -> float:
        """Mean of the window's losses before an update, over chance; inf where one of them is not finite."""
        at = arm.step if at is None else min(at, arm.step)
        losses = arm.trace.losses[max(0, at - self.window_at(at)) : at]
        if not len(losses) or not np.isfinite(losses).all() or (arm.trace.diverged and at == arm.step):
            return math.inf
        return float(losses.mean(dtype=np.float64)) / abs(self.chance())

    def behind(self, one: Arm, other: Arm, at: int) -> tuple[float, float]:
        """d and its standard error, of one against the other before an update that both have made."""
        start = max(0, at - self.window_at(at))
        ours, theirs = (arm.trace.losses[start:at].astype(np.float64) for arm in (one, other))
        if len(ours) < at - start or not np.isfinite(ours).all():
            return math.inf, 0.0
        if len(theirs) < at - start or not np.isfinite(theirs).all():
            return -math.inf, 0.0
        gaps = (ours - theirs) / abs(self.chance())
        return float(gaps.mean()), float(gaps.std(ddof=1) / math.sqrt(len(gaps)))

    def known(self, arm: Arm, at: int) -> float:
        """How much of what can be told from losses an arm shows: 1 where it has come far enough below chance."""
        return min(1.0, max(0.0, 1 - self.level(arm, at)) / self.rules.far)

    def has_begun(self, arm: Arm) -> bool:
        return self.level(arm) < self.rules.begun

    # The race

    def race(self) -> Generator[Sequence[Leg], Mapping[Leg, Traced], tuple[Arm, int]]:
        """The winner, and when arms were judged."""
        leader = yield from self.start()
        judged = self.judged_at()
        if self.begun is not None:
            leader = yield from self.climb(leader, judged)
        leader.ending, leader.why = "won", "the highest rate that is as good as any"
        return leader, judged

    def judged_at(self) -> int:
        n = self.question.steps
        begun = n if self.begun is None else self.begun
        wanted = max(round(self.rules.judged * n), round(self.rules.later * begun), 2 * self.rung)
        return min(n, -(-wanted // self.rung) * self.rung)

    def start(self) -> Generator[Sequence[Leg], Mapping[Leg, Traced], Arm]:
        """Three arms side by side until one has begun to learn; the best of them."""
        q, rules = self.question, self.rules
        rates = [q.rate, q.rate * rules.spacing, q.rate / rules.spacing]
        rates = [rate for rate in rates if q.least <= rate <= q.most]
        paid = self.can_pay((len(rates) - 1) * self.cost(0, 2 * self.rung), leader=0)
        running = [self.arm(rate) for rate in (rates if paid else rates[:1])]
        latest, at = round(rules.patience_at_chance * q.steps), 0
        while at < latest:
            at = min(at + self.rung, q.steps)
            extra = self.beyond(running, at, leader=running[0])
            if (len(running) > 1 or not q.ride) and not self.can_pay(extra, leader=running[0].step):
                self.notes.append("the budget ended before any arm had begun to learn")
                break
            yield from self.go(running, at)
            for arm in running:
                if arm.trace.diverged:
                    arm.ending, arm.why = "dead", f"not finite at update {arm.step}"
            running = [arm for arm in running if arm.ending == "races"]
            if not running:
                lower = min(self.arms) / rules.spacing
                if lower < q.least or not self.can_pay(self.cost(0, at), leader=0):
                    break
                running = [self.arm(lower)]
                yield from self.go(running, at)
                continue
            running.sort(key=self.level)
            if at >= self.window and any(self.has_begun(arm) for arm in running):
                self.begun = at
                break
            if len(running) == 1 and at >= latest:
                break
        if not running:
            running = [min(self.arms.values(), key=lambda arm: arm.rate)]
        return running[0]

    def arm(self, rate: float) -> Arm:
        self.arms[rate] = Arm(rate, Traced(np.zeros(0, np.float32)))
        return self.arms[rate]

    def go(self, arms: Sequence[Arm], until: int) -> Generator[Sequence[Leg], Mapping[Leg, Traced], None]:
        """Bring arms to an update, side by side."""
        legs = {arm.rate: Leg(arm.rate, until, self.question.steps) for arm in arms if arm.step < until}
        if legs:
            known = {arm.rate: arm.trace for arm in arms}
            answers = yield from self.advance(list(legs.values()), known)
            for arm in arms:
                if arm.rate in legs:
                    arm.trace = answers[legs[arm.rate]]
                    arm.stops[arm.step] = arm.trace.cost

    def climb(self, leader: Arm, judged: int) -> Generator[Sequence[Leg], Mapping[Leg, Traced], Arm]:
        """Try rates next to the leader until none is left to try, or to pay."""
        # Those of the start first: they stand where the leader does.
        waiting = [arm for arm in self.arms.values() if arm.ending == "races" and arm is not leader]
        for arm in sorted(waiting, key=lambda arm: -arm.rate):
            leader = yield from self.contest(leader, arm, judged)
        while True:
            rate = self.next_rate(leader)
            if rate is None:
                return leader
            if not self.can_pay(4.0 * self.rung, leader=leader.step):
                self.notes.append("the budget ended before every neighbouring rate was tried")
                return leader
            leader = yield from self.contest(leader, self.arm(rate), judged)

    def next_rate(self, leader: Arm) -> float | None:
        """The next rate to try: an edge first, then between; higher ones first."""
        q, rules = self.question, self.rules
        for factor in (rules.spacing, rules.fine):
            wide = math.log(factor)
            for sign in (1, -1):
                away = [sign * math.log(rate / leader.rate) for rate in self.arms]
                # Beyond a near neighbour that lost may lie one that would win: a far one is tried on each side, too.
                known = [
                    one for one in away if (one > 0.99 * wide if factor == rules.spacing else 0 < one < 1.01 * wide)
                ]
                rate = leader.rate * factor**sign
                if not known and q.least <= rate <= q.most:
                    return rate
        return None

    def contest(self, leader: Arm, other: Arm, judged: int) -> Generator[Sequence[Leg], Mapping[Leg, Traced], Arm]:
        """Bring both to where they are judged, unless one has lost before; who leads since."""
        at = other.step
        while True:
            at = min(at + self.rung, judged)
            behind = [arm for arm in (leader, other) if arm.step < at]
            extra = self.beyond(behind, at, leader=leader)
            if not self.can_pay(extra, leader=max(leader.step, at)):
                other.ending, other.why = "unpaid", f"the budget ended at update {other.step}"
                return leader
            yield from self.go(behind, at)
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
            return "dead", f"not finite at update {one.step}"
        at = min(at, one.step, other.step)
        if at < self.window or not self.level(other, at) < rules.begun:
            return None
        level = self.level(one, at)
        gap, error = self.behind(one, other, at)
        if level >= rules.at_chance and one.rate > other.rate and gap > rules.sure * error:
            return "dead", f"at chance at update {at}, where {other.rate:.3g} learns"
        allowed = (rules.tie + rules.patience * max(0.0, 1 - at / judged)) * self.known(other, at)
        if gap > allowed and gap > rules.sure * error:
            kind: Ending = "slow" if one.rate < other.rate else "lost"
            return kind, f"{gap:.1%} of chance behind {other.rate:.3g} at update {at}"
        return None

    def decide(self, leader: Arm, other: Arm, judged: int) -> Arm:
        """Neither has lost: ties go to the higher rate."""
        high, low = sorted((leader, other), key=lambda arm: -arm.rate)
        gap, error = self.behind(high, low, judged)
        worse = gap > self.rules.tie * self.known(low, judged) and gap > self.rules.sure * error
        winner, loser = (low, high) if worse else (high, low)
        loser.ending = "lost" if worse else "slow"
        loser.why = f"{abs(gap):.1%} of chance {'behind' if worse or gap < 0 else 'ahead of'} {winner.rate:.3g}"
        if not worse:
            loser.why += "; ties go to the higher rate"
        return winner

    # The ride

    def ride(self, leader: Arm, judged: int) -> Race:
        q, rules = self.question, self.rules
        n = q.steps
        race, length, back = self.trained - leader.trace.cost, max(1, round(rules.leg * n)), 0.0
        arm, learned = leader, self.begun is not None
        stops = dict(leader.stops)
        leg = self.way(Leg(leader.rate, leader.step, n), origin=leader.step, factor=1.0)
        if leg.steps < n:
            self.notes.append(f"the budget allows {leg.steps} updates of {n}: the rate falls to zero earlier")
        while leg.until < leg.steps and not (arm.trace.diverged and leg.until == arm.step):
            until = min(leg.until + length, leg.steps)
            while until > leg.until and self.charged + self.cost(leg.until, until) > q.budget * n + 1e-9:
                until -= 1
            if until == leg.until:
                self.notes.append(f"the budget ended at update {leg.until} of {leg.steps}")
                break
            leg = replace(leg, until=until)
            answers = yield from self.advance([leg], {leg.rate: arm.trace})
            arm = replace(arm, trace=answers[leg])
            stops[arm.step] = arm.trace.cost
            if not learned and self.has_begun(arm):
                learned, self.begun = True, arm.step
            if not (arm.trace.diverged or (learned and self.level(arm) >= rules.at_chance)):
                continue
            origin = self.go_back_to(arm, list(stops), tries=len(leg.cuts))
            factor = (leg.cuts[-1][1] if leg.cuts else 1.0) * rules.factor
            made = self.way(leg, origin=origin, factor=factor)
            unpaid = self.charged + self.cost(origin, made.steps) > q.budget * n + 1e-9
            if unpaid or made.steps - origin < 2 * self.rung or len(leg.cuts) >= rules.tries:
                break
            why = "not finite" if arm.trace.diverged else "back at chance"
            self.notes.append(
                f"{why} at update {arm.step}: back to update {origin}, at {made.cuts[-1][1]:g} of the rate"
            )
            before = stops.get(origin, 0.0)
            back += arm.trace.cost - before
            leg, stops = made, {stop: cost for stop, cost in stops.items() if stop <= origin}
            arm = Arm(leg.rate, Traced(arm.trace.losses[:origin], charged=before))
        leader.trace = arm.trace
        died = arm.trace.diverged or leg.until < leg.steps or self.level(arm) >= rules.at_chance
        return self.settled(leader, judged, leg, race=race, back=back, died=died)

    def settled(self, leader: Arm, judged: int, leg: Leg, *, race: float, back: float, died: bool) -> Settled:
        tried, close = sorted(self.arms), self.close_to(leader, judged)
        return Settled(
            leg=leg,
            arms=tuple(self.arms.values()),
            race=race,
            ride=self.trained - race - back,
            back=back,
            looks=self.looked,
            begun=self.begun,
            judged=judged,
            low=min(close),
            high=max(close),
            edge=len(tried) > 1 and leader.rate in (tried[0], tried[-1]),
            died=died,
            notes=tuple(self.notes),
        )

    def close_to(self, leader: Arm, judged: int) -> list[float]:
        """Rates whose arms were judged and not told from the leader's."""
        found = [leader.rate]
        for arm in self.arms.values():
            if arm is not leader and arm.step >= judged:
                gap, error = self.behind(arm, leader, judged)
                if abs(gap) <= max(self.rules.tie, self.rules.sure * error):
                    found.append(arm.rate)
        return found

    def go_back_to(self, arm: Arm, stops: Sequence[int], *, tries: int) -> int:
        """The second stop before the first sign, which follows the stop of the lowest level; earlier at each try."""
        levels = [self.level(arm, stop) for stop in stops]
        before = [0, *stops[: levels.index(min(levels)) + 1]]
        return before[max(0, len(before) - 2 - tries)]

    def way(self, leg: Leg, *, origin: int, factor: float) -> Leg:
        """The way on from an update at a share of the planned rate, as long as the budget allows."""
        q = self.question
        steps = leg.steps
        if q.open and origin <= q.steps // 2:
            while steps > origin and self.charged + self.cost(origin, steps) > q.budget * q.steps + 1e-9:
                steps -= 1
        if factor == 1.0 and steps == leg.steps:
            return leg
        cuts = (*(cut for cut in leg.cuts if cut[0] < origin), (origin, factor))
        return Leg(leg.rate, origin, steps, cuts)
