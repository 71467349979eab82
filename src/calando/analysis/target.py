"""Steps to target: how soon a run first reaches a validation score.

    steps(run, target) = min { e.step : e an evaluation of the run, e.score >= target, e.loss finite }

The target, unless given, is the best score of a fixed rate: what you would have without any policy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from calando.analysis.results import PlannedRuns
from calando.controllers import CONTROLLERS
from calando.language import joined, message
from calando.records.record import RunRecord
from calando.records.spec import StudySpec
from calando.records.strategy_spec import StrategySpec

__all__ = ["has_fixed_rate", "idle_controllers", "steps_to_target", "target_of"]

# "constant", "constant()", "constant(0.5)": one piece, not part of a composition.
_CONSTANT = re.compile(r"\s*constant\s*(\([^()]*\))?\s*")


def steps_to_target(record: RunRecord, target: float) -> int | None:
    """Updates done at the first evaluation whose validation score is at least `target`; None if there is none.

    Exact to the evaluation cadence. A run that reached the target and diverged later did reach it.
    """
    merit = record.spec.workload.measure.merit
    return next((e.step for e in record.evaluations if merit(e.score) >= merit(target) and math.isfinite(e.loss)), None)


def has_fixed_rate(strategy: StrategySpec) -> bool:
    """Whether the base rate stays as it is: no schedule of "lr", or a constant one, and no plateau or its like.

    A rollback or an edge is a safeguard; it leaves the rate of a run that goes well.

    >>> has_fixed_rate(StrategySpec(name="a", method="adamw")), has_fixed_rate(
    ...     StrategySpec(name="c", method="sgd", schedules={"lr": "cosine(1, 0)"})
    ... )
    (True, False)
    """
    text = strategy.schedules.get("lr")
    return not _decaying(strategy) and (text is None or _CONSTANT.fullmatch(text) is not None)


def idle_controllers(strategy: StrategySpec, finals: Iterable[RunRecord]) -> str:
    """Says that a controller that is there to lower the rate never did in any of these runs; "" where one did."""
    ended = [record for record in finals if record.outcome != "diverged"]
    acted = any(event.kind == "controller" for record in ended for event in record.events)
    if not ended or acted or not (names := _decaying(strategy)):
        return ""
    return message(
        "{names} never changed the rate: it saw progress throughout, or too few evaluations",
        names=joined("{one} and {other}", names),
    )


def _decaying(strategy: StrategySpec) -> list[str]:
    """Names of its controllers that lower the rate as training goes on."""
    names = [text.partition("(")[0].strip() for text in strategy.controllers]
    return [name for name in names if (entry := CONTROLLERS.get(name)) is not None and entry.decays]


def target_of(
    study: StudySpec, planned: Sequence[PlannedRuns], runs: Mapping[str, RunRecord]
) -> tuple[float | None, str]:
    """The target, a validation score, and where it comes from.

    If it is not given, it is the best of the strategies with a fixed rate: of each, the validation score at the end,
    mean over the seeds of its final runs. It is known once all of those runs are done, so that it never moves. A
    diverged run counts as chance in its mean; a strategy without a finished final run gives no target.

    Args:
        planned: planned runs of each of the study's strategies, in their order.
        runs: records by `RunSpec.digest()`.
    """
    if study.target is not None:
        return study.target, "given"
    fixed = [one for strategy, one in zip(study.strategies, planned, strict=True) if has_fixed_rate(strategy)]
    if not fixed:
        return None, message("none: no fixed-rate strategy")
    ends = []
    for one in fixed:
        finals = [runs.get(digest) for digest in one.finals]
        records = [record for record in finals if record is not None]
        if not records or len(records) < len(finals):
            return None, message("best fixed-rate score, not known yet")
        if any(record.outcome == "finished" for record in records):
            ends.append(float(np.mean([record.score for record in records])))
    best = max(ends, key=study.workload.measure.merit, default=0.0)
    return (best, message("best fixed-rate score")) if ends else (None, message("none: no fixed-rate run finished"))
