"""What a score is: which way is better, and how it is written.

share     in [0, 1], higher is better, written in percent: "98.61"; differences in points
own       whatever a person's code reports, in its unit: "3.215 RMSE"; differences in that unit
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

__all__ = ["SHARE", "Measure"]


@final
@dataclass(frozen=True)
class Measure:
    """A score's meaning.

    Args:
        goal: "max" or "min": whether a higher or a lower score is better.
        unit: as the person wrote it; "": none.
        share: a share of samples in [0, 1].
    """

    goal: Literal["max", "min"] = "max"
    unit: str = ""
    share: bool = False

    def merit(self, score: float) -> float:
        """The score turned so that higher is better.

        >>> Measure("min").merit(0.5)
        -0.5
        """
        return score if self.goal == "max" else -score

    @property
    def worst(self) -> float:
        """No score is worse: minus infinity turned so that higher is better."""
        return self.merit(-math.inf)

    def near(self, best: float) -> float:
        """How much worse a score may be that counts as nearly as good: a point, or a hundredth of the best score.

        >>> SHARE.near(0.5), Measure("min").near(20.0)
        (0.01, 0.2)
        """
        return 0.01 if self.share else 0.01 * abs(best)

    @property
    def near_words(self) -> str:
        """The same in words."""
        return "a point" if self.share else "1 %"

    def number(self, score: float) -> str:
        """A score alone, for a table whose heading has the unit.

        >>> SHARE.number(0.98611), Measure("min", "RMSE").number(3.21456), Measure().number(1234567.0)
        ('98.61', '3.215', '1.235e+06')
        """
        return f"{100 * score:.2f}" if self.share else f"{score:.4g}"

    def amount(self, score: float, *, digits: int = 1) -> str:
        """A score with its unit, for a sentence.

        Args:
            digits: decimals of a share in percent.

        >>> SHARE.amount(0.98611), Measure("min", "RMSE").amount(3.21456), Measure("max", "%").amount(93.25)
        ('98.6 %', '3.215 RMSE', '93.25 %')
        """
        return f"{100 * score:.{digits}f} %" if self.share else f"{self.number(score)} {self.unit}".rstrip()

    @property
    def heading(self) -> str:
        """What follows a column's name: ", %", ", RMSE" or ""."""
        unit = "%" if self.share else self.unit
        return f", {unit}" if unit else ""

    @property
    def steps(self) -> str:
        """What differences are counted in: " points", " RMSE" or ""."""
        unit = "points" if self.share or self.unit == "%" else self.unit
        return f" {unit}" if unit else ""

    def difference(self, value: float) -> str:
        """A difference of two scores, signed.

        >>> SHARE.difference(-0.0042), Measure("min").difference(0.0123)
        ('-0.42', '+0.0123')
        """
        return f"{100 * value:+.2f}" if self.share else f"{value:+.3g}"


SHARE = Measure(share=True)
