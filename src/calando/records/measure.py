"""What a score is: which way is better, and how it is written.

share     in [0, 1], higher is better, written in percent: "98.61"; differences in points
own       whatever a person's code reports, in its unit: "3.215 RMSE"; differences in that unit

A difference, an end of an interval or a spread that is not zero is never written as zero: it has as many digits as show
one that is not, and its sign. So whether an interval holds zero is read off its ends. Zero itself has no sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

from calando.language import message

__all__ = ["SHARE", "Measure"]


@final
@dataclass(frozen=True)
class Measure:
    """What a score means.

    Args:
        goal: "max" or "min": whether a higher or a lower score is better.
        unit: the score's unit, as the user wrote it; "": none.
        share: whether it is a share of samples in [0, 1].
    """

    goal: Literal["max", "min"] = "max"
    unit: str = ""
    share: bool = False

    def merit(self, score: float) -> float:
        """A score, or a difference of two, with the sign that makes higher better.

        >>> Measure("min").merit(0.5)
        -0.5
        """
        return score if self.goal == "max" else -score

    @property
    def worst(self) -> float:
        """The worst possible score, infinite."""
        return self.merit(-math.inf)

    @property
    def most(self) -> float:
        """The largest possible difference of two scores."""
        return 1.0 if self.share else math.inf

    @property
    def first(self) -> str:
        """Position of the best score: "highest" or "lowest"."""
        return message("highest" if self.goal == "max" else "lowest")

    @property
    def behind(self) -> str:
        """What a worse score is called: "lower" or "higher"."""
        return message("lower" if self.goal == "max" else "higher")

    def near(self, best: float) -> float:
        """How much worse a score may be and still count as nearly as good: a point, or a hundredth of the best score.

        >>> SHARE.near(0.5), Measure("min").near(20.0)
        (0.01, 0.2)
        """
        return 0.01 if self.share else 0.01 * abs(best)

    @property
    def near_words(self) -> str:
        """The same tolerance in words."""
        return message("a point" if self.share else "a hundredth")

    # How it is written

    @property
    def scale(self) -> float:
        """Factor by which a score is multiplied for display."""
        return 100.0 if self.share else 1.0

    @property
    def title(self) -> str:
        """Unit that follows the name of a column or an axis: ", %", ", RMSE" or ""."""
        unit = "%" if self.share else self.unit
        return f", {unit}" if unit else ""

    @property
    def step(self) -> str:
        """Unit of differences: " points", " RMSE" or ""."""
        if self.share or self.unit == "%":
            return message(" points")
        return f" {self.unit}" if self.unit else ""

    def number(self, score: float) -> str:
        """A score without its unit, for a table whose heading has the unit.

        >>> SHARE.number(0.98611), Measure("min", "RMSE").number(3.2), Measure().number(1234567.0)
        ('98.61', '3.200', '1234567')
        """
        return f"{100 * score:.2f}" if self.share else _plain(score, "#.4g")

    def spread(self, sd: float, *, decimals: int = 2) -> str:
        """A standard deviation without its unit.

        >>> SHARE.spread(0.0021), SHARE.spread(0.00003), Measure().spread(0.01234), Measure().spread(1034.2)
        ('0.21', '0.003', '0.012', '1034')
        """
        return _in_points(_exact(sd), decimals) if self.share else _plain(sd, ".2g")

    def amount(self, score: float, *, decimals: int = 1) -> str:
        """A score with its unit, for a sentence.

        Args:
            decimals: decimals of a share in percent.

        >>> SHARE.amount(0.98611), Measure("min", "RMSE").amount(3.21456), Measure("max", "%").amount(93.25)
        ('98.6 %', '3.215 RMSE', '93.25 %')
        """
        return f"{100 * score:.{decimals}f} %" if self.share else f"{self.number(score)} {self.unit}".rstrip()

    def gap(self, size: float, *, decimals: int = 2) -> str:
        """A difference with its unit, and with a sign where it is below zero.

        >>> SHARE.gap(0.004), SHARE.gap(-0.0004, decimals=1), Measure("min", "RMSE").gap(0.01234)
        ('0.40 points', '-0.04 points', '0.0123 RMSE')
        """
        digits = _in_points(_exact(size), decimals) if self.share else _plain(size, ".3g")
        if self.share or self.unit == "%":
            return message("{size} points", size=digits)
        return f"{digits}{self.step}"

    def difference(self, value: float) -> str:
        """A difference with its sign, without unit.

        >>> SHARE.difference(-0.0042), SHARE.difference(-0.00001), SHARE.difference(0.0)
        ('-0.42', '-0.001', '0.00')
        >>> Measure("min").difference(0.0123), Measure("min", "RMSE").difference(-7943.2)
        ('+0.0123', '-7943')
        """
        return self._signed(_exact(value) if self.share else value)

    def interval(self, low: float, high: float) -> str:
        """The interval of a difference: an end that is not zero shows its sign.

        >>> SHARE.interval(-0.0091, 0.0007), SHARE.interval(-0.0091, -0.00001), Measure().interval(-0.5, 0.25)
        ('[-0.91, +0.07]', '[-0.91, -0.001]', '[-0.5, +0.25]')
        """
        return f"[{self._signed(low)}, {self._signed(high)}]"

    def ends(self, low: float, high: float, *, decimals: int = 2) -> str:
        """The interval of a difference, for a sentence.

        >>> str(SHARE.ends(-0.0091, 0.0004, decimals=1)), str(Measure().ends(0.0, 0.25))
        ('-0.9 to 0.04', '0 to 0.25')
        """
        first, last = (_in_points(end, decimals) if self.share else _plain(end, ".3g") for end in (low, high))
        return message("{low} to {high}", low=first, high=last)

    def _signed(self, value: float) -> str:
        text = _in_points(value, 2) if self.share else _plain(value, ".3g")
        return f"+{text}" if value > 0 else text


SHARE = Measure(share=True)


def _exact(share: float) -> float:
    """A difference or spread of shares without the rounding errors of its sum, so that equal scores differ by zero."""
    return 0.0 if abs(share) < _ROUNDING else share


_ROUNDING = 1e-12


def _in_points(share: float, decimals: int) -> str:
    """In so many decimals, or in as many more as show a digit that is not zero; below a millionth in its exponent."""
    points = 100 * share
    while points and decimals < _MOST_DECIMALS and float(f"{points:.{decimals}f}") == 0:
        decimals += 1
    text = f"{points:z.{decimals}f}"
    return f"{points:.1g}" if points and float(text) == 0 else text


_MOST_DECIMALS = 6


def _plain(value: float, form: str) -> str:
    """In so many digits, or to whole numbers where those are more: who predicts euros reads 16357 and no 1.636e+04."""
    value += 0.0  # zero has no minus
    text = format(value, form)
    if "e+" in text and abs(value) < _WHOLE:
        text = format(value, ".0f")
    return text.rstrip(".")


_WHOLE = 1e7
"""From here on a whole number is harder to read than one with an exponent."""
