"""The rules of the race on runs that were made before: what `calando tune` would have done, at no cost.

Every run of the schedule that holds its rate is an arm of the race up to its middle, so its stored losses answer the
rules. A race that goes back (it would train at a rate cut in between) has no answer here.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np

from calando.analysis.arms import USUAL, Question, Rules, Traced
from calando.analysis.ride import Settled, race, settle
from calando.study.build_tuning import LOOKED_AT, look_cost

from .cases import Case, prepare
from .truth import read, traces

__all__ = ["BEGIN", "replay"]

BEGIN = {"sgd": -3, "adamw": -10, "adam": -10}
"""Exponent of two next to the method's usual rate, 0.1 and 0.001."""
SEEDS = 6
"""Of which every race is known on every case, for arms on batches of their own."""


@cache
def _known(case: Case, data_dir: Path) -> tuple[float | None, float]:
    _, task = prepare(case, data_dir)
    return task.chance_loss, look_cost(task)


_traces, _rows = cache(traces), cache(read)


def replay(
    case: Case,
    seed: int,
    data_dir: Path,
    *,
    rules: Rules = USUAL,
    budget: float = 1.5,
    off: int = 0,
    own_batches: bool = False,
    alone: bool = False,
) -> Settled | None:
    """The race of one seed, begun at the usual rate times 2^off; None: it went back.

    Args:
        alone: the race without the ride, as `find --race`.
        own_batches: each arm has weights and batches of its own (of another seed), so that nothing is paired.
    """
    losses, rows = _traces(case), _rows(case)
    chance, look = _known(case, data_dir)
    looks = min(20, int(LOOKED_AT * case.steps / look) or 1)
    low, high = case.exponents
    question = Question(
        steps=case.steps,
        rate=2.0 ** (BEGIN[case.method.partition("(")[0]] + off),
        budget=budget,
        ride=not alone,
        chance=chance,
        look_every=math.ceil(case.steps / looks),
        look_cost=look,
        least=2.0**low,
        most=2.0**high,
    )
    game = race(question, rules) if alone else settle(question, rules)
    try:
        legs = next(game)
        while True:
            answers = {}
            for leg in legs:
                if leg.cuts:
                    return None
                exponent = round(math.log2(leg.rate))
                of = (seed + exponent * own_batches) % SEEDS if own_batches else seed
                found = losses[f"half {exponent} {of}"][: leg.until]
                broken = np.flatnonzero(~np.isfinite(found))
                if len(broken):
                    answers[leg] = Traced(found[: broken[0] + 1], diverged=True)
                else:
                    answers[leg] = Traced(found, score=float(rows[f"half {exponent} {of}"]["validation"]))
            legs = game.send(answers)
    except StopIteration as end:
        settled: Settled = end.value
        return settled
