"""Other hyper-parameters, once the rate is settled: whole runs with proposed values, and the best on validation.

1. Race and ride settle the rate at a cost of RATE_RUNS (`calando.analysis.ride`).
2. What is left of the budget buys runs from start to end, one after another, on the same weights and batches. Whoever
   proposes values is given all runs so far, the answer of 1 first, with their scores.
3. A run that is at chance where the settled one had learned, looked at after 35 % of a run, is dead and ends there.
4. A run wins only by a higher validation score: a tie keeps what was there.

The rate is the settled one. Where momentum sums gradients up, so that a step is lr / (1 - momentum) long, that length
is kept: lr' = lr (1 - momentum') / (1 - momentum).

Whoever proposes is asked in order and is a pure function of the runs before, or reads what it said from a store; so
what is stored decides, killed or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from calando.analysis.arms import USUAL, Arm, Book, Leg, Question, Rules, Traced, Training
from calando.analysis.ride import Settled, settle
from calando.language import joined, message
from calando.records.measure import Measure

__all__ = ["LEAST_RUNS", "RATE_RUNS", "Propose", "Proposed", "Tried", "Unknown", "settle_also"]

RATE_RUNS = 1.5
"""What the rate may cost."""
LEAST_RUNS = 3.0
"""Below, no whole run is left for a proposal."""

Proposed = tuple[tuple[str, float], ...]
"""Hyper-parameters by name, and their values."""


@final
@dataclass(frozen=True)
class Tried:
    """A run that was made.

    Args:
        values: where they are not the strategy's own.
        merit: its validation score, higher is better; None: it failed.
    """

    values: Proposed
    merit: float | None


Propose = Callable[[Sequence[Tried]], Proposed | None]
"""What to try after these; None: it is not known so far."""


class Unknown(Exception):
    """What is tried next is not known: nobody has proposed it so far."""


def settle_also(
    question: Question,
    propose: Propose,
    *,
    own: Mapping[str, float],
    sums: bool,
    measure: Measure,
    rules: Rules = USUAL,
) -> Training[Settled]:
    """Yields legs to be trained, is sent what they are known by, returns how it ended.

    Args:
        question: whose budget is for all of it.
        own: the strategy's own values.
        sums: momentum sums gradients up.
        measure: of scores.

    Raises:
        Unknown: `propose` has said None.
    """
    share = question.per_later
    settled = yield from settle(replace(question, budget=min(question.budget, RATE_RUNS * share)), rules)
    best = next(arm for arm in settled.arms if arm.ending == "won")
    if settled.died or settled.begun is None or best.trace.score is None:
        return settled
    leg, n = settled.leg, question.steps
    book = Book(question, rules, arms={arm.rate: arm for arm in settled.arms})
    early = round(rules.patience_at_chance * n)
    stops = [early, n] if settled.begun <= early < n else [n]
    charged, looked = settled.charged, 0.0
    arms: list[Arm] = []
    tried = [Tried((), best.trace.score)]
    while charged + book.cost(0, n) <= question.budget * n + 1e-9:
        values = propose(tried)
        if values is None:
            raise Unknown
        rate = settled.leg.rate
        if sums and "momentum" in dict(values):
            rate = float(f"{rate * (1 - dict(values)['momentum']) / (1 - own['momentum']):.6g}")
        arm = Arm(rate, Traced(np.zeros(0, np.float32)), also=values)
        for stop in stops:
            asked = Leg(rate, stop, n, also=values)
            answers = yield [asked]
            arm.trace = answers[asked]
            if is_dead := arm.trace.diverged or (stop < n and book.level(arm) >= rules.at_chance):
                break
        arms.append(arm)
        looks = book.looks(0, arm.step)
        charged, looked = charged + arm.trace.cost + looks, looked + looks
        merit = None if is_dead else arm.trace.score
        tried.append(Tried(values, merit))
        said = _words(arm, measure)
        assert best.trace.score is not None
        lead = -math.inf if merit is None else merit - best.trace.score
        if merit is None:
            arm.ending, arm.why = (
                "dead",
                message(
                    "{said}: not finite at update {step}"
                    if arm.trace.diverged
                    else "{said}: at chance at update {step}",
                    said=said,
                    step=arm.step,
                ),
            )
        elif lead > 0:
            best.ending = "lost"
            best.why = message(
                "{said}: {gap} {behind} than that of {other}",
                said=_words(best, measure),
                gap=measure.gap(lead),
                behind=measure.behind,
                other=said,
            )
            arm.ending, arm.why, best, leg = "won", message("{said}: the best on validation", said=said), arm, asked
        else:
            arm.ending, arm.why = (
                "lost",
                message(
                    "{said}: {gap} {behind} than that of {other}"
                    if lead < 0
                    else "{said}: the same as that of {other}",
                    said=said,
                    gap=measure.gap(-lead),
                    behind=measure.behind,
                    other=_words(best, measure),
                ),
            )
    factor = leg.rate / settled.leg.rate
    return replace(
        settled,
        leg=leg,
        arms=(*settled.arms, *arms),
        also=sum(arm.trace.cost for arm in arms),
        looks=settled.looks + looked,
        low=settled.low * factor,
        high=settled.high * factor,
    )


def _words(arm: Arm, measure: Measure) -> str:
    """An arm by its values and its score: "weight_decay 0.001, validation 97.30 %"."""
    values = [f"{name} {value:g}" for name, value in arm.also] or [f"{arm.rate:.3g}"]
    score = arm.trace.score
    reached = (
        []
        if score is None or not math.isfinite(score)
        else [message("validation {score}", score=measure.amount(measure.merit(score), decimals=2))]
    )
    return joined("{one}, {other}", [*values, *reached])
