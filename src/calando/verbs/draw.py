"""`calando.draw`: a picture of an answer, what `--output` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from calando.errors import UsageError
from calando.verbs.shown import Drawn

if TYPE_CHECKING:
    from calando.range_test import Found

__all__ = ["draw"]


def draw(answer: Drawn | Found, output: Path | str) -> Path:
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
    report.save(_figure(answer), path)
    return path


def _figure(answer: Drawn | Found) -> Any:
    if isinstance(answer, Drawn):
        return answer.plot()
    # The range test needs torch, which a drawing of schedules does not.
    from calando.range_test import Found
    from calando.report import range_figure

    if not isinstance(answer, Found):
        raise UsageError(f"only what plot, find, find_lr and train return can be drawn, got {type(answer).__name__}")
    if (run := answer.run) is None:
        return range_figure(answer.curves, answer.suggestion)
    title = f"Range test of {run.strategy.method} on {run.workload.title}, {run.in_our_loop.model}"
    return range_figure(answer.curves, answer.suggestion, title=title)
