"""Several lengths in one study: every strategy at each of them, and how often all are evaluated.

    name       "wsd" at 4 and 8 epochs: "wsd 4 epochs", "wsd 8 epochs"; as it is where there is one length
    every      min(s, max(e, ceil(s / 20)))     s: updates of the shortest run, e: of an epoch

The cadence is the shortest run's, so that a longer one added later leaves the runs there are as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from calando.records import StrategySpec, StudySpec
from calando.study.limits import Length

__all__ = ["at_lengths", "cadence", "expected_updates"]

MOST_EVALUATIONS = 20


def at_lengths(strategies: Sequence[StrategySpec], lengths: Sequence[Length]) -> tuple[StrategySpec, ...]:
    """Each strategy that has no horizon of its own once for each length, named after it.

    Args:
        lengths: ascending; where there is one, strategies stay as they are.

    >>> from calando.schedules import Span
    >>> two = [Length(span=Span(epochs, "epochs"), steps=10 * epochs) for epochs in (4, 8)]
    >>> [each.name for each in at_lengths([StrategySpec(name="wsd", method="sgd")], two)]
    ['wsd 4 epochs', 'wsd 8 epochs']
    """
    if len(lengths) == 1:
        return tuple(strategies)
    return tuple(
        strategy
        if strategy.horizon
        else strategy.model_copy(update={"name": f"{strategy.name} {length.span}", "horizon": str(length.span)})
        for strategy in strategies
        for length in (lengths[:1] if strategy.horizon else lengths)
    )


def cadence(steps: int, *, per_epoch: int) -> int:
    """Updates between two evaluations: an epoch, or more where that would be more than twenty.

    Args:
        steps: of the shortest run.
        per_epoch: updates in an epoch.

    >>> cadence(100, per_epoch=10), cadence(1000, per_epoch=10), cadence(5, per_epoch=10)
    (10, 50, 5)
    """
    return min(steps, max(per_epoch, -(-steps // MOST_EVALUATIONS)))


def expected_updates(study: StudySpec) -> int:
    """The updates of all runs of a study if no grid is extended, each as if trained alone."""
    return sum(
        study.steps_of(strategy) * (len(study.rate_grids.get(strategy.name, (strategy.lr,))) + study.seeds - 1)
        for strategy in study.strategies
    )
