"""A strategy's own length, as text.

    horizon('10 epochs')     passes over the data
    horizon('500 steps')     updates; horizon(500) says the same
    horizon('50%')           of the study's length, which is the longest there is

What is not said is the study's. Everything in a strategy is measured against its own length: 5 % of a run of
10 epochs is half an epoch, however long the study's other runs are.
"""

from __future__ import annotations

from calando.schedules import Span
from calando.schedules.checks import BadArgument

__all__ = ["horizon_text"]


def horizon_text(length: object) -> str:
    """A length in the one way in which it is written.

    Args:
        length: "10 epochs", "500 steps", "50%" or a whole number of steps.

    Raises:
        UsageError: none of these, not above zero, or a share above 100 %.

    >>> horizon_text(500), horizon_text("1.0 epochs")
    ('500 steps', '1 epoch')
    """
    if not isinstance(length, str | int):
        raise BadArgument("horizon", "must be a length such as '10 epochs', '500 steps' or '50%'", length)
    span = Span.parse(length, name="horizon")
    if span.unit == "%" and span.value > 100:
        raise BadArgument("horizon", "must be at most 100% of the study's", length)
    return str(span)
