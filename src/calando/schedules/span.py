"""Spans: lengths with a unit, and the horizon that turns them into steps.

"5%"        share of the horizon     5 / 100 * total_steps
"2 epochs"  passes over the data     2 * steps_per_epoch
"500 steps" optimizer updates        500            (a plain integer, 500, is the same)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from typing import Literal, Self, final

from calando.errors import UsageError
from calando.language import message
from calando.schedules.checks import BadArgument, checked_count, checked_number, spell_number

__all__ = ["LONGEST_HORIZON", "Horizon", "Span", "SpanLike", "span_or_none", "spell_steps"]

Unit = Literal["%", "epochs", "steps"]

# Seams are compared with a tolerance of a millionth of a step; up to a billion steps float64 is finer than that.
LONGEST_HORIZON = 10**9

_SPAN = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?)\s*(%|epochs?|steps?)\s*")
_LONGEST_TEXT = 100
_LENGTH = message("the length of a span")
_FORMS = message("must be a length such as '5%', '2 epochs', '500 steps', or a whole number of steps")


@final
@dataclass(frozen=True, repr=False)
class Span:
    """A length with its unit: a value above zero of "%", "epochs" or "steps".

    Raises:
        UsageError: the value is not finite and above zero, or the unit is none of the three.

    >>> Span(5, "%"), Span(0.5, "epochs"), Span(1, "steps")
    (Span('5%'), Span('0.5 epochs'), Span('1 step'))
    """

    value: float
    unit: Unit

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", checked_number(_LENGTH, self.value, above=0))
        if self.unit not in ("%", "epochs", "steps"):
            raise BadArgument(message("the unit of a span"), message("must be '%', 'epochs' or 'steps'"), self.unit)

    @classmethod
    def parse(cls, text: Span | str | int, *, name: str = "span") -> Self:
        """Read "5%", "2 epochs", "500 steps" or a whole number of steps; a Span is returned as it is.

        Args:
            text: the span.
            name: the argument it is for, named in the error.

        Raises:
            UsageError: not one of these forms, or not above zero.

        >>> str(Span.parse("1 epochs")), str(Span.parse(500))
        ('1 epoch', '500 steps')
        """
        if isinstance(text, cls):
            return text
        if isinstance(text, Integral) and not isinstance(text, bool):
            return cls(checked_number(name, text, above=0), "steps")
        if not isinstance(text, str):
            raise BadArgument(name, _FORMS, text)
        match = _SPAN.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
        if match is None:
            raise BadArgument(name, _FORMS, text)
        unit: Unit = "%" if match[2] == "%" else "epochs" if match[2].startswith("epoch") else "steps"
        return cls(checked_number(name, float(match[1]), above=0), unit)

    def resolve(self, total_steps: int, steps_per_epoch: int | None = None) -> float:
        """This span in steps, correctly rounded; it may be fractional.

        Raises:
            UsageError: the span is in epochs and `steps_per_epoch` is not given.

        >>> Span.parse("5%").resolve(1000), Span.parse("0.5 epochs").resolve(1000, 391)
        (50.0, 195.5)
        """
        if self.unit == "steps":
            return self.value
        # the value as it was written, in decimal: 12.8% of 1000 is 128 and not 128.00000000000003
        value = Fraction(repr(self.value))
        if self.unit == "%":
            steps = value * total_steps / 100
        elif steps_per_epoch is None:
            raise UsageError(
                message(
                    "'{it}' needs steps_per_epoch to be counted in steps: pass steps_per_epoch= (batches in one epoch)",
                    it=self,
                )
            )
        else:
            steps = value * steps_per_epoch
        try:
            return float(steps)
        except OverflowError:
            raise UsageError(
                message(
                    "'{it}' is more steps than can be counted; the longest run is {LONGEST_HORIZON}",
                    it=self,
                    LONGEST_HORIZON=LONGEST_HORIZON,
                )
            ) from None

    def __str__(self) -> str:
        value = spell_number(self.value)
        if self.unit == "%":
            return f"{value}%"
        return f"{value} {self.unit.removesuffix('s') if self.value == 1 else self.unit}"

    def __repr__(self) -> str:
        return f"Span('{self}')"


SpanLike = Span | str | int
"""What `Span.parse` reads."""


def span_or_none(name: str, value: SpanLike | None) -> Span | None:
    """The span that argument `name` was given, if it was."""
    return None if value is None else Span.parse(value, name=name)


@final
@dataclass(frozen=True)
class Horizon:
    """The planned length of a run, against which spans are measured.

    Args:
        total_steps: optimizer updates, 1 to a billion.
        steps_per_epoch: updates in one pass over the training set; needed by spans in epochs only.

    Raises:
        UsageError: a count is not a whole number in its range.

    >>> Horizon(1000, steps_per_epoch=391).steps(Span.parse("2 epochs"))
    782.0
    """

    total_steps: int
    steps_per_epoch: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "total_steps", checked_count("total_steps", self.total_steps, most=LONGEST_HORIZON))
        if self.steps_per_epoch is not None:
            per_epoch = checked_count("steps_per_epoch", self.steps_per_epoch, most=LONGEST_HORIZON)
            object.__setattr__(self, "steps_per_epoch", per_epoch)

    def steps(self, span: Span) -> float:
        """`span` in steps."""
        return span.resolve(self.total_steps, self.steps_per_epoch)


def spell_steps(steps: float) -> str:
    """A number of steps for a message, to a thousandth.

    >>> spell_steps(1.0), spell_steps(2.10000000001)
    ('1 step', '2.1 steps')
    """
    shown = spell_number(round(steps, 3))
    return message("{count} step" if shown == "1" else "{count} steps", count=shown)
