"""What a field of a spec may hold, stated once, with the field, and checked before the work that a spec takes to build.

    seeds: Annotated[int, Field(ge=1, le=1000)]     check(StudySpec, seeds=0)
    -> UsageError: seeds must be from 1 to 1000, got 0

    horizon('10 epochs')     passes over the data
    horizon('500 steps')     updates; horizon(500) is the same
    horizon('50%')           of the study's length, which is the longest there is

A strategy without a horizon has the study's. Everything in a strategy is measured against its own length: 5 % of a run
of 10 epochs is half an epoch, however long the study's other runs are.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, final, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from calando.errors import UsageError, is_plain, quote
from calando.language import joined, message

__all__ = [
    "FiniteOption",
    "Name",
    "Option",
    "OwnHorizon",
    "Plain",
    "Spec",
    "Worded",
    "check",
    "horizon_text",
    "out_of_range",
]


OUT_OF_RANGE = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"}


@final
@dataclass(frozen=True)
class Worded:
    """The words of a message on a field's range, in the annotation of the field.

    Args:
        what: what the number is, before the range.
        remark: after the range, in brackets.
        remedy: at the end.
    """

    what: str = ""
    remark: str = ""
    remedy: str = ""


def check(spec: type[BaseModel], **values: object) -> None:
    """Nothing, if each value is what the field of that name may be.

    Raises:
        UsageError: names the first that is not.

    >>> from calando.records import StudySpec, WorkloadSpec
    >>> check(StudySpec, seeds=5, target=None)
    >>> check(WorkloadSpec, batch_size=64, label_smoothing=1.0)
    Traceback (most recent call last):
    ...
    calando.errors.UsageError: label smoothing must be in [0, 1), got 1.0
    """
    for name, value in values.items():
        try:
            _adapter(spec, name).validate_python(_plain(value), strict=True)
        except ValidationError as error:
            raise out_of_range(spec, error, name=name) from None


def out_of_range(spec: type[BaseModel], error: ValidationError, *, name: str = "") -> UsageError:
    """The first thing that a spec's validation found wrong, in one line.

    Args:
        name: of the field, where the field alone was validated.
    """
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UsageError):
        return cause
    place = [name] if name else [str(part) for part in first["loc"]]
    if name and first["type"] not in OUT_OF_RANGE:
        kind = message("a whole number" if int in _kinds(spec, name) else "a number")
        return UsageError(
            message(
                "{name} must be {range}, got {value}",
                name=message(name.replace("_", " ")),
                range=kind,
                value=quote(first["input"]),
            )
        )
    if first["type"] in OUT_OF_RANGE and len(place) == 1:
        worded, text = _range(spec, place[0])
        parts = [
            message(worded.what),
            text,
            message("({remark})", remark=message(worded.remark)) if worded.remark else "",
        ]
        said = message(
            "{name} must be {range}, got {value}",
            name=message(place[0].replace("_", " ")),
            range=joined("{one} {other}", filter(None, parts)),
            value=quote(first["input"]),
        )
        return UsageError(message("{one}{other}", one=said, other=message(worded.remedy)) if worded.remedy else said)
    return UsageError(
        message(
            "{place}: {problem}, got {value}",
            place=".".join(place),
            problem=first["msg"].lower(),
            value=repr(first["input"]),
        )
    )


@cache
def _adapter(spec: type[BaseModel], name: str) -> TypeAdapter[Any]:
    field = spec.model_fields[name]
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(kind)


def _plain(value: object) -> object:
    """A number of NumPy's as Python's; anything else, True among it, as it is."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else value


def _kinds(spec: type[BaseModel], name: str) -> list[Any]:
    """What a field's annotation is made of."""
    annotation = spec.model_fields[name].annotation
    return [annotation, *get_args(annotation), *(part for one in get_args(annotation) for part in get_args(one))]


def _range(spec: type[BaseModel], name: str) -> tuple[Worded, str]:
    """What a field's annotation allows, also where None is allowed too."""
    field = spec.model_fields[name]
    parts = [*field.metadata]
    for kind in get_args(field.annotation):
        for part in getattr(kind, "__metadata__", ()):
            parts += getattr(part, "metadata", [part])
    low, high, open_low, open_high = -math.inf, math.inf, False, False
    for part in parts:
        match part:
            case Ge():
                low = part.ge  # type: ignore[assignment]
            case Gt():
                low, open_low = part.gt, True  # type: ignore[assignment]
            case Le():
                high = part.le  # type: ignore[assignment]
            case Lt():
                high, open_high = part.lt, True  # type: ignore[assignment]
    worded = next((part for part in parts if isinstance(part, Worded)), Worded())
    if int in _kinds(spec, name):
        least = low + open_low
        return worded, message("at least {low}" if high == math.inf else "from {low} to {high}", low=least, high=high)
    if high == math.inf:
        return worded, message("a positive number" if open_low and low == 0 else "at least {low:g}", low=low)
    range_ = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
    return worded, message("in {range}", range=range_)


LONGEST_NAME, LONGEST_TEXT = 200, 20_000


def _visible(text: str) -> str:
    """One line that can be seen: it is printed, drawn and put into pages, by whoever reads a study."""
    if len(text) > LONGEST_TEXT:
        raise UsageError(
            message(
                "a text of a study has at most {most} characters, got {count}: {text!r}…",
                most=LONGEST_TEXT,
                count=len(text),
                text=text[:40],
            )
        )
    if not is_plain(text):
        raise UsageError(message("a text of a study must be one line that can be seen, got {text!r}", text=text[:200]))
    return text


def _name(text: str) -> str:
    if len(text) > LONGEST_NAME:
        raise UsageError(
            message(
                "a name has at most {most} characters, got {count}: {text!r}…",
                most=LONGEST_NAME,
                count=len(text),
                text=text[:40],
            )
        )
    if not is_plain(text):
        raise UsageError(message("a strategy's name must be one line that can be seen, got {text!r}", text=text))
    return text


Plain = Annotated[str, AfterValidator(_visible)]
Name = Annotated[str, AfterValidator(_name)]
Option = bool | int | float | str | tuple[float, ...]


def _finite(value: Option) -> Option:
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(message("a hyper-parameter must be finite, got {value}", value=value))
    return value


def _horizon(text: str) -> str:
    """A horizon as it is written; "" stays. Most studies have none, and reading those imports no schedules."""
    return horizon_text(text) if text else text


FiniteOption = Annotated[Option, AfterValidator(_finite)]
OwnHorizon = Annotated[str, AfterValidator(_horizon)]


class Spec(BaseModel):
    """Base of all specs: frozen, no unknown fields, hashed by content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **fields: Any) -> None:
        """Validate.

        Raises:
            UsageError: the first thing wrong, in one line.
        """
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise out_of_range(type(self), error) from error

    def canonical(self) -> str:
        """The JSON that the digest is of."""
        return self.model_dump_json()

    def digest(self) -> str:
        """16 hexadecimal digits that name this spec's content."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:16]


def horizon_text(length: object) -> str:
    """A length in the one way in which it is written.

    Args:
        length: "10 epochs", "500 steps", "50%" or a whole number of steps.

    Raises:
        UsageError: none of these, not above zero, or a share above 100 %.

    >>> horizon_text(500), horizon_text("1.0 epochs")
    ('500 steps', '1 epoch')
    """
    from calando.schedules import Span
    from calando.schedules.checks import BadArgument

    if not isinstance(length, str | int):
        raise BadArgument("horizon", message("must be a length such as '10 epochs', '500 steps' or '50%'"), length)
    span = Span.parse(length, name="horizon")
    if span.unit == "%" and span.value > 100:
        raise BadArgument("horizon", message("must be at most 100% of the study's"), length)
    return str(span)
