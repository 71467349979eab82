"""The arms of a race: what is asked, what each arm is known by, how arms stand to each other, and what they cost.

An arm is the whole run at one rate, stopped early: same initial weights, same batches. What it loses against another
is a paired difference at the same updates:

    l_i(t)    mean of arm i's last `window` training losses before update t, each at most 2 C, over C
              C: the loss at chance
    d_ij(t)   l_i(t) - l_j(t)
    se_ij(t)  standard deviation of the window's differences / sqrt(window)

Everything is charged: c = updates + evaluations, each as many updates as it costs. At every moment c and what the
leader's way to the end will cost are at most `budget` n: an arm that cannot be paid is not begun.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar, final

import numpy as np

__all__ = ["USUAL", "Arm", "Book", "Cut", "Ending", "Leg", "Question", "Rules", "Traced", "Training"]

Result = TypeVar("Result")
MOST = 2.0


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


USUAL = Rules()
"""Chosen on the development half of `benchmarks/tune.py`, frozen before the other half was opened."""

Cut = tuple[int, float]
"""From this update on, the rate is so many times the planned one."""


@final
@dataclass(frozen=True)
class Leg:
    """An arm up to an update.

    Args:
        rate, cuts: base rate, and where it is cut.
        steps: length of the run that is planned.
        also: other hyper-parameters by name, where they are not the strategy's own.
    """

    rate: float
    until: int
    steps: int
    cuts: tuple[Cut, ...] = ()
    also: tuple[tuple[str, float], ...] = ()


@final
@dataclass(frozen=True, eq=False)
class Traced:
    """What an arm is known by.

    Args:
        losses: float32[t], of all of its first t updates.
        diverged: there will be no more.
        charged: updates so far, second passes over a batch counted as one more each; None: t.
        score: of the last evaluation, higher is better; None: there was none.
        loss: of the last evaluation, which decides between equal scores; inf: unknown.
        why: how it failed, in words; "": it has not, or nobody said.
        rise: of the score since the first evaluation; None: there was one at most.
    """

    losses: np.ndarray
    diverged: bool = False
    charged: float | None = None
    score: float | None = None
    loss: float = math.inf
    why: str = ""
    rise: float | None = None

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
        per_until, per_later: the update from on which it is `per_later` instead; None: there is none.
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
    per_until: int | None = None
    per_later: float = 1.0
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
        also: other hyper-parameters by name, where they are not the strategy's own.
    """

    rate: float
    trace: Traced
    ending: Ending = "races"
    why: str = ""
    stops: dict[int, float] = field(default_factory=dict)
    also: tuple[tuple[str, float], ...] = ()

    @property
    def step(self) -> int:
        return self.trace.step


Training = Generator[Sequence[Leg], Mapping[Leg, Traced], Result]
"""Yields legs to be trained, is sent what they are known by, returns what came of it."""


@dataclass
class Book:
    """The accounts of a race while it runs, and how its arms stand to each other.

    Attributes:
        trained, looked: charged so far, in updates: for training, for evaluations.
        begun: the update at which learning was seen to have begun; None: not so far.
    """

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
        q, stop = self.question, max(start, stop)
        until = stop if q.per_until is None else min(max(q.per_until, start), stop)
        return q.per_update * (until - start) + q.per_later * (stop - until) + self.looks(start, stop)

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

    def advance(self, legs: Sequence[Leg], known: Mapping[float, Traced]) -> Training[Mapping[Leg, Traced]]:
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

    def scale(self) -> float:
        """What losses are measured in: chance, which is 0 for no loss that can be told from it."""
        return max(abs(self.chance()), 1e-12)

    def cut(self, losses: np.ndarray) -> np.ndarray:
        """At twice chance: one spike says neither where an arm stands nor how much its losses scatter."""
        chance, exact = self.chance(), losses.astype(np.float64)
        return np.minimum(exact, MOST * chance) if chance > 0 else exact

    def level(self, arm: Arm, at: int | None = None) -> float:
        """Mean of the window's losses before an update, over chance; inf where one of them is not finite."""
        at = arm.step if at is None else min(at, arm.step)
        losses = self.cut(arm.trace.losses[max(0, at - self.window_at(at)) : at])
        if not len(losses) or not np.isfinite(losses).all() or (arm.trace.diverged and at == arm.step):
            return math.inf
        return float(losses.mean()) / self.scale()

    def behind(self, one: Arm, other: Arm, at: int) -> tuple[float, float]:
        """d and its standard error, of one against the other before an update that both have made."""
        start = max(0, at - self.window_at(at))
        ours, theirs = (self.cut(arm.trace.losses[start:at]) for arm in (one, other))
        if len(ours) < at - start or not np.isfinite(ours).all():
            return math.inf, 0.0
        if len(theirs) < at - start or not np.isfinite(theirs).all():
            return -math.inf, 0.0
        gaps = (ours - theirs) / self.scale()
        return float(gaps.mean()), float(gaps.std(ddof=1) / math.sqrt(len(gaps)))

    def known(self, arm: Arm, at: int) -> float:
        """How much of what can be told from losses an arm shows: 1 where it has come far enough below chance."""
        return min(1.0, max(0.0, 1 - self.level(arm, at)) / self.rules.far)

    def has_begun(self, arm: Arm) -> bool:
        return self.level(arm) < self.rules.begun

    # Arms

    def arm(self, rate: float) -> Arm:
        self.arms[rate] = Arm(rate, Traced(np.zeros(0, np.float32)))
        return self.arms[rate]

    def go(self, arms: Sequence[Arm], until: int) -> Training[None]:
        """Bring arms to an update, side by side."""
        legs = {arm.rate: Leg(arm.rate, until, self.question.steps) for arm in arms if arm.step < until}
        if legs:
            known = {arm.rate: arm.trace for arm in arms}
            answers = yield from self.advance(list(legs.values()), known)
            for arm in arms:
                if arm.rate in legs:
                    arm.trace = answers[legs[arm.rate]]
                    arm.stops[arm.step] = arm.trace.cost
