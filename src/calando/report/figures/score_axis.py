"""An axis for scores near 1: logarithmic in the error.

    y = 1 - score,   downwards on a log scale, labelled with the score

95, 98, 99 and 99.5% lie about as far apart as their meaning does. A linear axis is used where no score passes
0.8. A score of exactly 1 has no place on the scale; it is drawn at half the smallest error seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import altair as alt

from calando.report.figures.ticks import within

__all__ = ["ScoreAxis"]

# Errors worth a tick: 10%, 50%, 80%, 90%, 95%, 98%, 99% …
_MARKS = (0.9, *(digit * 10.0**-power for power in range(1, 6) for digit in (5, 2, 1)))


@dataclass(frozen=True)
class ScoreAxis:
    """Where scores lie on the axis.

    Args:
        logarithmic: whether the axis is logarithmic in the error.
        top, bottom: the largest and smallest score on it; `top` < 1 where logarithmic.
    """

    logarithmic: bool
    top: float
    bottom: float

    @classmethod
    def of(cls, scores: Iterable[float]) -> ScoreAxis:
        """The axis that shows all of `scores` (at least one).

        >>> ScoreAxis.of([0.1, 0.98, 0.99])
        ScoreAxis(logarithmic=True, top=0.99, bottom=0.1)
        """
        known = sorted(scores)
        errors = [1 - score for score in known if score < 1]
        if known[-1] <= 0.8 or not errors:
            return cls(logarithmic=False, top=known[-1], bottom=known[0])
        top = 1 - min(errors) / 2 if known[-1] >= 1 else known[-1]
        return cls(logarithmic=True, top=top, bottom=known[0])

    def place(self, score: float) -> float:
        """What to put in the data for a score."""
        return 1 - min(score, self.top) if self.logarithmic else score

    @property
    def floor(self) -> float:
        """Where to put what failed: the bottom of the axis, in the data's units."""
        return self.place(self.bottom)

    def y(self, field: str, *, title: str) -> alt.Y:
        """The encoding of that field."""
        if not self.logarithmic:
            # One score alone would have an axis of one mark.
            around = None if self.top - self.bottom > 1e-6 else [max(0.0, self.top - 0.05), min(1.0, self.top + 0.05)]
            scale = alt.Scale(zero=False, nice=True, padding=8) if around is None else alt.Scale(domain=around)
            return alt.Y(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(format="~%", tickCount=6))
        low, high = (1 - self.top) * 0.9, min(1.0, (1 - self.bottom) * 1.1)
        marks = within(_MARKS, low, high)
        if len(marks) > 9:
            marks = [mark for mark in marks if f"{mark:e}"[0] in "15"]
        return alt.Y(
            f"{field}:Q",
            title=[title, "(log scale of the error)"],
            scale=alt.Scale(type="log", reverse=True, domain=[low, high], nice=False),
            axis=alt.Axis(values=marks, labelExpr="format(1 - datum.value, '.5~%')"),
        )
