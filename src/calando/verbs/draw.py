"""`calando.draw`: a picture of an answer, what `--output` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from calando.errors import UsageError
from calando.verbs.schedules import Plotted
from calando.verbs.train import Trained

if TYPE_CHECKING:
    from calando.range_test import Found

__all__ = ["draw", "figure_of"]

LEGEND_WIDTH = 52  # letters that a figure's legend has room for


def draw(answer: Plotted | Found | Trained, output: Path | str) -> Path:
    """Write a picture of what `calando.plot`, `find`, `find_lr` or `train` returned.

    Args:
        answer: what one of them returned.
        output: a file that ends in .png, .svg, .html or .json (the figure's Vega-Lite specification).

    Returns:
        The file's path.

    Raises:
        UsageError: another ending, or nothing that can be drawn.
        NotDrawn: what draws pictures is not there.

    >>> import tempfile, calando
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture = calando.draw(calando.plot("cosine", "wsd"), f"{folder}/schedules.json")
    ...     picture.name, picture.stat().st_size > 0
    ('schedules.json', True)
    """
    from calando import report

    path = Path(output)
    report.save(figure_of(answer), path)
    return path


def figure_of(answer: object) -> Any:
    """The figure of an answer, an altair chart.

    Raises:
        UsageError: nothing that can be drawn.
    """
    from calando.report import range_figure, schedule_figure, training_figure
    from calando.report.names import distinct

    if isinstance(answer, Plotted):
        shown = distinct([label for curves in answer.curves.values() for label in curves], LEGEND_WIDTH)
        panels = {
            key: {shown[label]: values for label, values in curves.items()} for key, curves in answer.curves.items()
        }
        return schedule_figure(panels.pop("lr"), others=panels)
    if isinstance(answer, Trained):
        return training_figure(answer.record)
    # The range test needs torch, which a drawing of schedules does not.
    from calando.range_test import Found

    if not isinstance(answer, Found):
        raise UsageError(f"only what plot, find, find_lr and train return can be drawn, got {type(answer).__name__}")
    if (run := answer.run) is None:
        return range_figure(answer.curves, answer.suggestion)
    title = f"Range test of {run.strategy.method} on {run.workload.title}, {run.workload.model}"
    return range_figure(answer.curves, answer.suggestion, title=title)
