"""A schedule as lines of Python that need nothing but `math`: its closed form, for who trains without calando.

linear(0, 1, over='5%') >> cosine(1, 0)     def multiplier(t):
                                                if t + 1e-6 < 0.05 * steps:
                                                    p = min(t / (0.05 * steps), 1.0)
                                                    return 0.0 + 1.0 * p
                                                p = …

Chains of constants, steps, and ramps along the shapes below have such a form here; other schedules have none (None).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any

from calando.schedules.compose import Constant
from calando.schedules.named_ramps import Cosine, Exponential, Linear, OneMinusSqrt, OneMinusSquare, Polynomial
from calando.schedules.ramp import Ramp
from calando.schedules.schedule import SEAM, Extent, Schedule
from calando.schedules.span import Horizon, Span
from calando.schedules.steps import MultiStep, Step

__all__ = ["multiplier_lines"]


@dataclass(frozen=True)
class _Place:
    """A place or length: a share of the run, and updates, and epochs."""

    share: Fraction = Fraction(0)
    updates: Fraction = Fraction(0)
    epochs: Fraction = Fraction(0)

    @classmethod
    def of(cls, span: Span) -> _Place:
        value = Fraction(repr(span.value))
        return cls(**{"%": {"share": value / 100}, "steps": {"updates": value}, "epochs": {"epochs": value}}[span.unit])

    def __add__(self, other: _Place) -> _Place:
        return _Place(self.share + other.share, self.updates + other.updates, self.epochs + other.epochs)

    def __sub__(self, other: _Place) -> _Place:
        return _Place(self.share - other.share, self.updates - other.updates, self.epochs - other.epochs)

    def __bool__(self) -> bool:
        return any((self.share, self.updates, self.epochs))

    def __str__(self) -> str:
        """As Python, of `steps` and `epoch`."""
        terms = [(self.share, "steps"), (self.updates, ""), (self.epochs, "epoch")]
        words = [_times(float(value), name) for value, name in terms if value]
        return " + ".join(words).replace("+ -", "- ") or "0"


def _times(value: float, name: str) -> str:
    number = repr(int(value)) if value.is_integer() else repr(value)
    return number if not name else name if value == 1 else f"{number} * {name}"


RUN = _Place(share=Fraction(1))


def _plus(value: float, change: float, shape: str) -> str:
    """value + change * shape, without what is zero or one: the same bits."""
    term = shape if abs(change) == 1 else f"{abs(change)!r} * {shape}"
    if value == 0:
        return f"-{term}" if change < 0 else term
    return f"{value!r} {'-' if change < 0 else '+'} {term}"


_SHAPES: Mapping[type, Callable[[Any, float, float], str | None]] = {
    Linear: lambda shape, s, e: _plus(s, e - s, "p"),
    Cosine: lambda shape, s, e: _plus(e, s - e, "(1 + math.cos(math.pi * p)) / 2") if shape.power == 1 else None,
    Exponential: lambda shape, s, e: f"{s!r} * ({e!r} / {s!r}) ** p",
    Polynomial: lambda shape, s, e: _plus(e, s - e, f"(1 - p) ** {shape.power!r}"),
    OneMinusSqrt: lambda shape, s, e: _plus(s, e - s, "math.sqrt(p)"),
    OneMinusSquare: lambda shape, s, e: _plus(s, e - s, "p**2"),
}


def multiplier_lines(schedule: Schedule, horizon: Horizon) -> list[str] | None:
    """Lines that define `multiplier(t)`, of an update t, given `steps` and, where a length is in epochs, `epoch`.

    Args:
        schedule: the same for all groups.
        horizon: on which it must fit; the lines hold for other horizons too.

    Returns:
        The lines, which need `math`; None: the schedule has no closed form here.

    >>> from calando.schedules import parse
    >>> print("\\n".join(multiplier_lines(parse("constant(1, over='2 epochs') >> linear(1, 0)"), Horizon(100, 10))))
    def multiplier(t):
        if t + 1e-06 < 2 * epoch:  # constant(1, over='2 epochs')
            return 1.0
        p = min(max(t - (2 * epoch), 0) / (steps - 2 * epoch), 1)  # linear(1, 0)
        return 1.0 - p
    """
    chain = schedule.sequence
    lengths = [_length(part) for part in chain]
    open_ = next((place for place, length in enumerate(lengths) if length is None), None)
    fixed = [length or _Place() for length in lengths]
    if open_ is not None:
        fixed[open_] = RUN - sum(fixed, _Place())
    elif schedule.place(horizon, float(horizon.total_steps)) is not None and len(chain) > 1:
        taken = sum((part.length(horizon) for part in chain), 0.0)
        if abs(taken - horizon.total_steps) <= SEAM:
            fixed[-1] = RUN - sum(fixed[:-1], _Place())
    starts = list(accumulate(fixed[:-1], initial=_Place()))
    lines = ["def multiplier(t):"]
    for place, (part, start, length) in enumerate(zip(chain, starts, fixed, strict=True)):
        body = _body(part, start, length)
        if body is None:
            return None
        if place < len(chain) - 1:
            lines.append(f"    if t + {SEAM!r} < {starts[place + 1]}:  # {part}")
            lines += [f"        {line}" for line in body]
        else:
            lines += [f"    {body[0]}  # {part}", *(f"    {line}" for line in body[1:])]
    return lines


def _length(part: Schedule) -> _Place | None:
    over = getattr(part, "over", None)
    return None if part.extent is not Extent.FIXED or over is None else _Place.of(over)


def _body(part: Schedule, start: _Place, length: _Place) -> list[str] | None:
    since = f"max(t - ({start}), 0)" if start else "t"
    if isinstance(part, Constant):
        return [f"return {part.value!r}"]
    if isinstance(part, Ramp):
        write = _SHAPES.get(type(part.shape))
        value = None if write is None else write(part.shape, part.start, part.end)
        bracketed = f"({length})" if " " in str(length) else str(length)
        return None if value is None else [f"p = min({since} / {bracketed}, 1)", f"return {value}"]
    if isinstance(part, Step | MultiStep):
        if part.over is not None:  # after it the last value holds
            since = f"min({since}, {length})"
        if isinstance(part, Step):
            return [f"return {part.factor!r} ** (({since} + {SEAM!r}) // ({_Place.of(part.every)}))"]
        places = [f"    {_Place.of(one)}," for one in part.at]
        return [
            "places = [",
            *places,
            "]",
            f"return {part.factor!r} ** sum({since} + {SEAM!r} >= one for one in places)",
        ]
    return None
