"""`calando.draw`: a picture of an answer, what `--output` writes."""

from __future__ import annotations

from pathlib import Path

from calando.errors import UsageError
from calando.language import message
from calando.shown import Shown

__all__ = ["draw"]


def draw(answer: Shown, output: Path | str) -> Path:
    """Write a picture of what `calando.plot`, `find`, `find_lr`, `train` or `compare` returned, or of a schedule.

    Args:
        answer: what one of them returned, or a schedule, a curve or a strategy.
        output: a file that ends in .png, .svg, .html, or .json (the figure's Vega-Lite specification).

    Returns:
        The file's path.

    Raises:
        UsageError: the file has another ending, or `answer` cannot be drawn.
        NotDrawn: the packages that draw pictures are not installed.

    >>> import tempfile, calando
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture = calando.draw(calando.plot("cosine", "wsd"), f"{folder}/schedules.json")
    ...     picture.name, picture.stat().st_size > 0
    ('schedules.json', True)
    """
    from calando import report

    if not isinstance(answer, Shown):
        raise UsageError(
            message(
                "only what plot, find, find_lr, train and compare return can be drawn, and schedules, curves "
                "and strategies, got {kind}",
                kind=type(answer).__name__,
            )
        )
    path = Path(output)
    report.save(answer.plot(), path)
    return path
