"""Arguments at the door: checked, made plain Python, and spelled back as the text that is read again.

checked_number(name, 1)  -> 1.0      spell_number(1.0) -> "1"
checked_count(name, 30)  -> 30       quote(value)      -> "30" (cut short, safe to print)
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real

from calando.errors import UsageError, quote
from calando.language import message

__all__ = [
    "DEEPEST_NESTING",
    "LONGEST_LABEL",
    "LONGEST_TEXT",
    "MOST_PARTS",
    "BadArgument",
    "checked_choice",
    "checked_count",
    "checked_label",
    "checked_number",
    "did_you_mean",
    "quote",
    "signature_text",
    "spell_number",
]

LONGEST_LABEL = 200

# What may be built is what may be read back: the same limits hold for a text and for a value.
LONGEST_TEXT = 100_000
DEEPEST_NESTING = 50
MOST_PARTS = 1000


class BadArgument(UsageError):
    """A wrong argument of a schedule.

    `argument` names it and `value` is what came, maybe an item of its list, so a text error can point at it.

    >>> print(BadArgument("end", "must be a finite number", "soon"))
    end must be a finite number, got 'soon'
    """

    def __init__(self, argument: str, problem: str, value: object, *, hint: str = "") -> None:
        self.argument, self.value = argument, value
        said = message("{argument} {problem}, got {value}", argument=argument, problem=problem, value=quote(value))
        super().__init__(message("{one}{other}", one=said, other=hint) if hint else said)


def checked_number(name: str, value: object, *, above: float = -math.inf) -> float:
    """`value` as a finite float above a bound.

    Raises:
        BadArgument: not a number (a bool is none), not finite, or not above the bound.

    >>> checked_number("factor", 1, above=0)
    1.0
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise BadArgument(name, _finite_above(above), value)
    try:
        number = float(value)
    except OverflowError:
        raise BadArgument(name, _finite_above(above), value) from None
    if not (math.isfinite(number) and number > above):
        raise BadArgument(name, _finite_above(above), value)
    return number + 0.0  # -0.0 becomes 0.0, so that equal values are spelled alike


def _finite_above(above: float) -> str:
    if above == -math.inf:
        return message("must be a finite number")
    return message("must be a finite number above {above}", above=spell_number(above))


def checked_label(name: str, value: object) -> str:
    """`value` as a name that a text can hold in quotes: its strings have no escapes.

    Raises:
        BadArgument: no string, an empty or long one, or one with what cannot be printed or with a quote.

    >>> checked_label("groups", "layer.0")
    'layer.0'
    """
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_LABEL or not value.isprintable() or "'" in value:
        raise BadArgument(
            name,
            message(
                "must be named by 1 to {longest_label} printable characters without '", longest_label=LONGEST_LABEL
            ),
            value,
        )
    return value


def checked_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """`value` as one of the names in `choices`.

    Raises:
        BadArgument: it is none of them; the nearest is suggested.

    >>> checked_choice("shape", "linear", ["cosine", "linear"])
    'linear'
    """
    known = sorted(choices)
    if not isinstance(value, str) or value not in known:
        raise BadArgument(
            name, message("must be one of {known}", known=", ".join(known)), value, hint=did_you_mean(value, known)
        )
    return value


def did_you_mean(value: object, choices: Sequence[str]) -> str:
    """A suggestion for a message, or nothing where no choice is near.

    >>> did_you_mean("cosin", ["cosine", "step"])
    "; did you mean 'cosine'?"
    """
    # names are short; difflib takes quadratic time, and the text may be hostile
    near = difflib.get_close_matches(value, choices, n=1) if isinstance(value, str) and len(value) <= 60 else []
    return message("; did you mean {near!r}?", near=near[0]) if near else ""


def checked_count(name: str, value: object, *, most: int) -> int:
    """`value` as a whole number from 1 to `most`.

    Raises:
        BadArgument: not a whole number (a bool is none), or out of range.

    >>> checked_count("total_steps", 100, most=1000)
    100
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) <= most:
        raise BadArgument(name, message("must be a whole number from 1 to {most}", most=most), value)
    return int(value)


def spell_number(value: float) -> str:
    """The shortest text that reads back as exactly this float.

    >>> spell_number(1.0), spell_number(0.1), spell_number(4e-6)
    ('1', '0.1', '4e-06')
    """
    return repr(float(value)).removesuffix(".0")


def signature_text(name: str, function: Callable[..., object]) -> str:
    """A function's call with its arguments and defaults, without their types.

    >>> signature_text("count", checked_count)
    'count(name, value, *, most)'
    """
    signature = inspect.signature(function)
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return f"{name}{signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)}"
