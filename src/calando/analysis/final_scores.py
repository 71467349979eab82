"""What a strategy's final runs scored, and which strategy is first by it.

score of a final run      its own; chance where it diverged or its test look is not finite
validation                mean over the final runs that did not choose the rate: seeds 1 … n-1 where it was chosen
                          and one of them is done, else what there is
first                     highest mean test score (ties: validation); before tests are read, highest validation
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from calando.analysis.results import Spread
from calando.records.measure import Measure
from calando.records.record import RunRecord, TestScore

__all__ = [
    "coarsest_step",
    "counting_failures",
    "did_diverge",
    "did_work",
    "rank",
    "spread_of",
    "spread_of_tests",
    "unbiased",
]


def counting_failures(runs: Mapping[str, RunRecord], measure: Measure) -> Mapping[str, RunRecord]:
    """The records, those without a chance level given one: a failed run counts as the worst score that any reported."""
    if measure.share:
        return runs
    seen = [look.score for record in runs.values() for look in record.evaluations]
    floor = min(seen, key=measure.merit, default=0.0)
    return {key: one if math.isfinite(one.chance) else replace(one, chance=floor) for key, one in runs.items()}


def did_diverge(record: RunRecord, look: TestScore | None) -> bool:
    """Whether a run did, or its test look, where there is one, found what is not finite."""
    return record.outcome == "diverged" or (look is not None and not math.isfinite(look.loss))


def did_work(record: RunRecord, look: TestScore | None) -> bool:
    """Whether a run came to its end with finite numbers, and did not die."""
    return record.outcome == "finished" and not did_diverge(record, look)


def spread_of_tests(finals: Mapping[str, RunRecord], tests: Mapping[str, TestScore]) -> Spread | None:
    """Test scores of final runs by digest, in their order; None while one is lacking."""
    scores = []
    for digest, record in finals.items():
        look = tests.get(digest)
        if record.outcome == "diverged":
            scores.append(record.chance)
        elif look is None:
            return None
        else:
            scores.append(record.chance if did_diverge(record, look) else look.score)
    return spread_of(scores)


def spread_of(values: Sequence[float]) -> Spread | None:
    """Some numbers with their mean and standard deviation; None of none."""
    if not values:
        return None
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Spread(values=tuple(values), mean=float(np.mean(values)), sd=sd)


def unbiased(finals: Iterable[RunRecord], *, chosen: bool) -> list[float]:
    """Validation scores of the final runs that did not choose the rate.

    Args:
        chosen: whether it was chosen by trials, of which the run at seed 0 was one.
    """
    return [record.score for record in finals if record.spec.seed > 0 or not chosen]


def rank(test: Spread | None, validation: Spread | None, measure: Measure, *, by_test: bool) -> tuple[float, float]:
    """Sort key, best first: test mean (ties: validation), or validation alone; those without a score last."""
    behind = -measure.merit(validation.mean) if validation is not None else math.inf
    return (-measure.merit(test.mean) if by_test and test is not None else 0.0), behind


def coarsest_step(digests: Iterable[str], tests: Mapping[str, TestScore]) -> float:
    """The coarsest step between two possible scores of some final runs, 1 / (test samples); 0: they are not rounded.

    Where every final run diverged no test score was read; nothing is then known of it.
    """
    counted = [tests[digest].n for digest in digests if digest in tests]
    return max((1 / n if n else 0.0 for n in counted), default=1.0)
