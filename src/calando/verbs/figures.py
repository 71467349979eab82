"""The figure of each value that can be drawn: `value.plot()`, what a notebook shows, and `calando.draw`.

schedule, strategy   over a run long enough for it, of ten epochs
curve                over its own run
study                the differences from the best; before there are any, the rates tried, or what was spent
range test           losses by rate, with the rates that it suggests
race                 losses of its arms
"""

from __future__ import annotations

from typing import Any

from calando.errors import NotDrawn, UsageError
from calando.language import message
from calando.shown import Shown

__all__ = ["figure_of"]

LENGTHS = (1000, 10_000, 100_000)
EPOCHS = 10


def figure_of(value: Shown) -> Any:
    """An altair chart.

    Raises:
        NotDrawn: what draws is not there; nothing of the kind can be drawn.
        UsageError: there is nothing to draw, or a schedule fits no run that is looked at.
    """
    from calando.analysis.results import StudySummary
    from calando.records.strategy_spec import StrategySpec
    from calando.schedules import Curve, Schedule

    if isinstance(value, Schedule):
        return _over_a_run(str(value))
    if isinstance(value, StrategySpec):
        return _over_a_run(value.without_horizon().text, label=value.name)
    if isinstance(value, Curve):
        from calando.report import schedule_figure

        return schedule_figure({str(value.schedule): value.sample()})
    if isinstance(value, StudySummary):
        import calando.report  # refuses where docstrings are missing
        from calando.report.study_figures import answer_figure

        assert calando.report.schedule_figure is not None
        return answer_figure(value)
    from calando.range_test import Found
    from calando.range_test.raced import Raced

    if isinstance(value, Found):
        return _of_range_test(value)
    if isinstance(value, Raced):
        from calando.report import arms_figure

        seed = 0 if value.run is None else value.run.seed
        return arms_figure(value.name, value.settled, value.traces, seed=seed, steps=value.steps)
    raise NotDrawn(message("{kind} has no figure", kind=type(value).__name__))


def _over_a_run(text: str, *, label: str = "") -> Any:
    from calando.schedules.schedule import DoesNotFit
    from calando.verbs.schedules import Plotted, plot

    for steps in LENGTHS:
        try:
            drawn = plot(text, steps=steps, steps_per_epoch=steps // EPOCHS)
        except DoesNotFit:
            if steps == LENGTHS[-1]:
                raise
            continue
        if not label:
            return drawn.plot()
        curves = {
            key: {one.replace(text, label): values for one, values in several.items()}
            for key, several in drawn.curves.items()
        }
        return Plotted(curves, drawn.notes).plot()
    raise AssertionError("the last length returns or raises")


def _of_range_test(found: Any) -> Any:
    from calando.report import range_figure

    if len(found.groups) != 1:
        first = next(iter(found.groups))
        raise UsageError(
            message(
                "several groups were tested, and each has a figure of its own: found[{first!r}].curves", first=first
            )
        )
    if (run := found.run) is None:
        return range_figure(found.curves, found.suggestion)
    title = message(
        "Range test of {method} on {task}, {model}",
        method=run.strategy.method,
        task=run.workload.title,
        model=run.in_our_loop.model,
    )
    return range_figure(found.curves, found.suggestion, title=title)
