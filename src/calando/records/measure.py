"""What a score is: which way is better, and how it is written.

share     in [0, 1], higher is better, written in percent: "98.61"; differences in points
own       whatever a person's code reports, in its unit: "3.215 RMSE"; differences in that unit
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

    def spread(self, sd: float) -> str:
        """A standard deviation without its unit.

        >>> SHARE.spread(0.0021), Measure().spread(0.01234), Measure().spread(1034.2)
        ('0.21', '0.012', '1034')
        """
        return f"{100 * sd:.2f}" if self.share else _plain(sd, ".2g")

    def amount(self, score: float, *, decimals: int = 1) -> str:
        """A score with its unit, for a sentence.

        Args:
            decimals: decimals of a share in percent.

        >>> SHARE.amount(0.98611), Measure("min", "RMSE").amount(3.21456), Measure("max", "%").amount(93.25)
        ('98.6 %', '3.215 RMSE', '93.25 %')
        """
        return f"{100 * score:.{decimals}f} %" if self.share else f"{self.number(score)} {self.unit}".rstrip()

    def gap(self, size: float, *, decimals: int = 2) -> str:
        """The size of a difference, without sign, with its unit.

        >>> SHARE.gap(0.004), Measure("min", "RMSE").gap(0.01234)
        ('0.40 points', '0.0123 RMSE')
        """
        digits = self.digits(size, decimals)
        if self.share or self.unit == "%":
            return message("{size} points", size=digits)
        return f"{digits}{self.step}"

    def digits(self, value: float, decimals: int) -> str:
        """A difference without unit; one that rounds to zero has no minus sign.

        >>> SHARE.digits(-0.00001, 2), Measure().digits(-0.01234, 2)
        ('0.00', '-0.0123')
        """
        return f"{100 * value:z.{decimals}f}" if self.share else _plain(value + 0.0, ".3g")

    def difference(self, value: float) -> str:
        """A difference with its sign, without unit.

        >>> SHARE.difference(-0.0042), SHARE.difference(-0.00001), Measure("min").difference(0.0123)
        ('-0.42', '+0.00', '+0.0123')
        >>> Measure("min", "RMSE").difference(-7943.2)
        '-7943'
        """
        return f"{100 * value:+z.2f}" if self.share else _plain(value + 0.0, "+.3g")

    def interval(self, low: float, high: float) -> str:
        """The interval of a difference, with enough digits to show that it excludes zero if it does.

        >>> SHARE.interval(-0.0091, 0.0007), SHARE.interval(-0.0091, -0.00001), Measure().interval(-0.5, 0.25)
        ('[-0.91, +0.07]', '[-0.910, -0.001]', '[-0.5, +0.25]')
        """
        if not self.share:
            return f"[{self.difference(low)}, {self.difference(high)}]"
        decimals = 2
        while low * high > 0 and decimals < 6 and float(f"{100 * min(low, high, key=abs):.{decimals}f}") == 0:
            decimals += 1
        return f"[{100 * low:+z.{decimals}f}, {100 * high:+z.{decimals}f}]"


SHARE = Measure(share=True)


def _plain(value: float, form: str) -> str:
    """In so many digits, or to whole numbers where those are more: who predicts euros reads 16357 and no 1.636e+04."""
    text = format(value, form)
    if "e+" in text and abs(value) < _WHOLE:
        text = format(value, "+.0f" if form.startswith("+") else ".0f")
    return text.rstrip(".")


_WHOLE = 1e7
"""From here on a whole number is harder to read than one with an exponent."""
