"""Axes: steps, rates, strategies and scores, and where they have their marks.

1, 10, 100 …      a log axis of more than two and a half decades
1, 2, 5, 10 …     a shorter one
k · step          one so short that fewer than two of those lie on it, as a linear axis has them

Scores of a person's own that are all above zero, the lower the better, and span more than a factor of twenty have a log
axis; others of their own a linear one. Shares near 1 are logarithmic in the error:

    y = 1 - score,   downwards on a log scale, labelled with the score

95, 98, 99 and 99.5% lie about as far apart as their meaning does. A linear axis is used where no score passes 0.8. A
score of exactly 1 has no place on the scale; it is drawn at half the smallest error seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import altair as alt

from calando.language import _
from calando.records.measure import SHARE, Measure
from calando.report.figures.theme import INK

__all__ = [
    "ScoreAxis",
    "even_ticks",
    "log_ticks",
    "log_x",
    "log_y",
    "powers_of_ten",
    "rows_axis",
    "steps_axis",
    "within",
]


LEAST = 2
WIDE = 20


def log_ticks(low: float, high: float) -> list[float]:
    """Marks of a log axis from `low` to `high`, ascending; 0 < low < high.

    >>> log_ticks(0.01, 1), log_ticks(0.067, 0.15)
    ([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0], [0.08, 0.1, 0.12, 0.14])
    """
    digits = (1, 2, 5) if high / low < 300 else (1,)
    return within([float(f"{digit}e{power}") for power in range(-12, 13) for digit in digits], low, high)


def within(marks: Iterable[float], low: float, high: float) -> list[float]:
    """Those of `marks` on the axis, those at its very ends among them; even ones where these are too few."""
    there = [mark for mark in marks if low * 0.999 <= mark <= high * 1.001]
    return there if len(there) >= LEAST else even_ticks(low, high)


def even_ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`: three to eight; low < high.

    >>> even_ticks(0.018, 0.022)
    [0.018, 0.02, 0.022]
    """
    power = math.floor(math.log10(high - low))
    for exponent in range(power + 1, power - 2, -1):
        for digit in (5, 2, 1):
            step, digits = digit * 10.0**exponent, max(0, -exponent)
            first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
            if last - first >= LEAST:
                return [round(count * step, digits) for count in range(first, last + 1)]
    raise AssertionError(f"no ticks from {low} to {high}")


def powers_of_ten(low: float, high: float) -> alt.Axis:
    """The axis of a log scale from `low` to `high`: a grid line at each power of ten, at more where these are few."""
    return alt.Axis(
        values=log_ticks(low, high),
        labelExpr="format(datum.value, datum.value < 0.001 || datum.value >= 100000 ? '~e' : '~g')",
    )


def rows_axis(*, grid: bool = False) -> alt.Axis:
    """The axis with one strategy a row, with a line along each where `grid`."""
    return alt.Axis(labelLimit=200, grid=grid, labelColor=INK, labelFontSize=12.5)


def steps_axis(horizon: int) -> alt.X:
    """The step axis, as long as a run was planned."""
    scale = alt.Scale(domain=[0, horizon], nice=False)
    return alt.X(
        "step:Q",
        title=_("step (updates)"),
        scale=scale,
        axis=alt.Axis(grid=False, tickCount=alt.ExprRef("ceil(width / 90)"), tickMinStep=1),
    )


def log_x(field: str, *, low: float, high: float, title: str) -> alt.X:
    """A logarithmic axis from `low` to `high`."""
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    return alt.X(f"{field}:Q", title=title, scale=scale, axis=powers_of_ten(low, high))


def log_y(field: str, *, low: float, high: float, title: str) -> alt.Y:
    """The same upwards."""
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    return alt.Y(f"{field}:Q", title=title, scale=scale, axis=powers_of_ten(low, high))


# What a format names is shortened to what tells marks apart, which makes 20000 of euros 2e+4.
_PLAIN = (
    "format(datum.value, datum.value != 0 && (abs(datum.value) < 0.0001 || abs(datum.value) >= 1e7) ? '~e' : '.12~r')"
)

# Errors worth a tick: 10%, 50%, 80%, 90%, 95%, 98%, 99% …
_MARKS = (0.9, *(digit * 10.0**-power for power in range(1, 6) for digit in (5, 2, 1)))


@dataclass(frozen=True)
class ScoreAxis:
    """Where scores lie on the axis.

    Args:
        logarithmic: whether the axis is logarithmic; of a share in the error.
        measure: of the scores.
        top, bottom: the largest and smallest score on it; of a share `top` < 1 where logarithmic.
    """

    logarithmic: bool
    top: float
    bottom: float
    measure: Measure = field(default=SHARE, repr=False)

    @classmethod
    def of(cls, scores: Iterable[float], measure: Measure = SHARE) -> ScoreAxis:
        """The axis that shows all of `scores` (at least one).

        >>> ScoreAxis.of([0.1, 0.98, 0.99])
        ScoreAxis(logarithmic=True, top=0.99, bottom=0.1)
        """
        known = sorted(scores)
        if not measure.share:
            wide = measure.goal == "min" and 0 < WIDE * known[0] < known[-1]
            return cls(logarithmic=wide, top=known[-1], bottom=known[0], measure=measure)
        errors = [1 - score for score in known if score < 1]
        if known[-1] <= 0.8 or not errors:
            return cls(logarithmic=False, top=known[-1], bottom=known[0])
        top = 1 - min(errors) / 2 if known[-1] >= 1 else known[-1]
        return cls(logarithmic=True, top=top, bottom=known[0])

    def place(self, score: float) -> float:
        """What to put in the data for a score."""
        return 1 - min(score, self.top) if self.logarithmic and self.measure.share else score

    @property
    def floor(self) -> float:
        """Where to put what failed: the worst end of the axis, in the data's units."""
        return self.place(self.bottom if self.measure.goal == "max" else self.top)

    @property
    def unit(self) -> str:
        """What follows the axis's title; percent signs are at its marks."""
        return "" if self.measure.share else self.measure.title

    @property
    def form(self) -> str:
        """How a score is written under the pointer."""
        return ".2%" if self.measure.share else ".4~g"

    def y(self, field: str, *, title: str) -> alt.Y:
        """The encoding of that field."""
        if self.logarithmic and not self.measure.share:
            return log_y(field, low=0.9 * self.bottom, high=1.1 * self.top, title=title)
        if not self.logarithmic:
            # One score alone would have an axis of one mark.
            around = None
            if self.top - self.bottom <= 1e-6 * max(1.0, abs(self.top)) and self.measure.share:
                around = [max(0.0, self.top - 0.05), min(1.0, self.top + 0.05)]
            elif self.top == self.bottom:
                around = [self.top - 0.05 * (abs(self.top) or 1.0), self.top + 0.05 * (abs(self.top) or 1.0)]
            scale = alt.Scale(zero=False, nice=True, padding=8) if around is None else alt.Scale(domain=around)
            axis = alt.Axis(format="~%", tickCount=6) if self.measure.share else alt.Axis(labelExpr=_PLAIN, tickCount=6)
            return alt.Y(f"{field}:Q", title=title, scale=scale, axis=axis)
        low, high = (1 - self.top) * 0.9, min(1.0, (1 - self.bottom) * 1.1)
        marks = within(_MARKS, low, high)
        if len(marks) > 9:
            marks = [mark for mark in marks if f"{mark:e}"[0] in "15"]
        return alt.Y(
            f"{field}:Q",
            title=[title, _("(log scale of the error)")],
            scale=alt.Scale(type="log", reverse=True, domain=[low, high], nice=False),
            axis=alt.Axis(values=marks, labelExpr="format(1 - datum.value, '.5~%')"),
        )
