"""The rules of whole runs, as `calando tune train.py` has them, on runs that were made before: at no cost.

Every run of the schedule that holds its rate answers a leg of its rate. A rate outside the table of truth fails; where
the rules ask for a rate between two of the table, the replay ends as if the budget had.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from calando.analysis.arms import Leg, Question, Traced
from calando.analysis.whole_arms import settle_whole

from .cases import CASES, Case
from .replay import BEGIN
from .score import Truth, line

__all__ = ["show", "whole_answer"]

BUDGETS = (3, 4, 5, 6)


def whole_answer(case: Case, *, seed: int, budget: float, off: int) -> tuple[int, float]:
    """The exponent of two of the rate that is chosen, and the runs that it cost."""
    rows, made = Truth(case).rows, list[tuple[float, int]]()
    begin = BEGIN[case.method.partition("(")[0]] + off
    game = settle_whole(Question(steps=case.steps, rate=2.0**begin, budget=budget, open=False))

    def answer(leg: Leg) -> Traced:
        exponent = round(math.log2(leg.rate))
        row = rows.get(f"half {exponent} {seed}")
        if row is None:
            return Traced(np.zeros(case.steps, np.float32), diverged=True)
        made.append((float(row["validation"]), exponent))
        rise = 1.0 if row["outcome"] == "finished" else 0.0
        return Traced(
            np.zeros(case.steps, np.float32),
            diverged=row["outcome"] == "diverged",
            score=float(row["validation"]),
            rise=rise,
        )

    spent = 0
    try:
        legs = next(game)
        while all(abs(math.log2(leg.rate) - round(math.log2(leg.rate))) < 0.1 for leg in legs):
            spent += len(legs)
            legs = game.send({leg: answer(leg) for leg in legs})
    except StopIteration as end:
        settled = end.value
        return round(math.log2(settled.leg.rate)), settled.charged / case.steps
    best = max(score for score, _ in made)
    return next(exponent for score, exponent in made if score == best), spent


def show(data_dir: Path) -> None:
    """Print regrets by budget, begun at the usual rate, its half and its double, and eight times off."""
    del data_dir
    for half, title in ((False, "development"), (True, "untouched")):
        cases = [case for case in CASES if case.untouched == half and Truth(case).known]
        for name, offs in (("begun near", (0, -1, 1)), ("begun eight times off", (-3, 3))):
            for budget in BUDGETS:
                found = []
                for case in cases:
                    for seed in Truth(case).seeds:
                        for off in offs:
                            exponent, runs = whole_answer(case, seed=seed, budget=budget, off=off)
                            found.append((Truth(case).paired(exponent, seed), runs))
                found = [pair for pair in found if np.isfinite(pair[0])]
                print(line(f"{title}, {budget} runs, {name}", found))
