"""What the primitives share: how much room one takes, how it is spelled, how its arguments are read.

room taken  =  over, in steps        if the primitive has an `over`
               all the room given    otherwise
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Self

from calando.errors import UsageError
from calando.schedules.checks import BadArgument, spell_number
from calando.schedules.schedule import SEAM, Extent, Level, Schedule, as_schedule, nothing_left, too_long
from calando.schedules.span import Horizon, Span, SpanLike, spell_steps

__all__ = [
    "Primitive",
    "as_part",
    "checked_spans",
    "increasing",
    "spell_call",
    "spell_list",
]

MOST_PLACES = 1000


@dataclass(frozen=True, repr=False)
class Primitive(Schedule):
    """A schedule that is not made of others.

    Attributes:
        over: how long it is, or None.
        extent_without_over: how it takes up steps where `over` is None.
    """

    over: Span | None = field(default=None, kw_only=True)
    extent_without_over: ClassVar[Extent]

    @property
    def extent(self) -> Extent:
        return self.extent_without_over if self.over is None else Extent.FIXED

    @property
    def parts(self) -> tuple[Schedule, ...]:
        return ()

    def rebuilt(self, parts: Sequence[Schedule]) -> Self:
        assert not parts, "a primitive has no parts"
        return self

    def length(self, horizon: Horizon) -> float:
        assert self.over is not None, "only a FIXED schedule is asked how long it is"
        return horizon.steps(self.over)

    def suspicion(self, argument: str, steps: float, horizon: Horizon) -> Level | None:
        # the rest may well be this short; a single step is what these have by default
        return super().suspicion(argument, steps, horizon) or ("info" if steps > 1 else None)

    def room_taken(self, horizon: Horizon, room: float) -> float:
        """The steps this primitive takes of the `room` it is given.

        Raises:
            DoesNotFit: `over` is longer than the room, or nothing is left for a part that takes what is left.
        """
        wanted = room if self.over is None else horizon.steps(self.over)
        if abs(wanted - room) <= SEAM:
            wanted = room  # equal up to rounding is equal: the part ends exactly where the next begins
        if wanted > room:
            raise too_long(self, wanted, room, remedy="shorten its over= or train longer")
        if room <= SEAM and self.extent is Extent.STRETCHED:
            raise nothing_left(self, horizon)
        return wanted


def spell_call(name: str, *arguments: float, over: Span | None, **named: str) -> str:
    """The text of the call that builds a primitive; `over` is left out where there is none.

    Every other argument is written out, defaults too: a text keeps its meaning if a default ever changes.

    >>> spell_call("polynomial", 1, 0, power="2", over=Span(5, "%"))
    "polynomial(1, 0, power=2, over='5%')"
    """
    words = [spell_number(value) for value in arguments]
    words += [f"{key}={text}" for key, text in named.items()]
    words += [] if over is None else [f"over='{over}'"]
    return f"{name}({', '.join(words)})"


def spell_list(spans: tuple[Span, ...]) -> str:
    """Spans as a list in a schedule's text.

    >>> spell_list((Span(50, "%"), Span(1, "steps")))
    "['50%', '1 step']"
    """
    return f"[{', '.join(repr(str(span)) for span in spans)}]"


def as_part(value: object, *, name: str = "part") -> Schedule:
    """The schedule that argument `name` was given; a number stands for a constant.

    Raises:
        BadArgument: it is neither.

    >>> as_part(0.5)
    constant(0.5)
    """
    schedule = as_schedule(value)
    if schedule is None:
        hint = f"; write {value}()" if isinstance(value, str) and value.isidentifier() else ""
        raise BadArgument(name, "must be a schedule such as cosine(1, 0), or a number", value, hint=hint)
    return schedule


def checked_spans(at: Iterable[SpanLike]) -> tuple[Span, ...]:
    """The spans that argument `at` was given.

    Raises:
        BadArgument: no list of spans, an empty one, or one that is too long.
    """
    if isinstance(at, str | Span | Mapping) or not isinstance(at, Iterable):
        raise BadArgument("at", "must be a list of spans such as ['50%', '75%']", at)
    spans = tuple(Span.parse(span, name="at") for span in at)
    if not 1 <= len(spans) <= MOST_PLACES:
        raise BadArgument("at", f"must hold 1 to {MOST_PLACES} spans", len(spans))
    return spans


def increasing(at: tuple[Span, ...], horizon: Horizon) -> tuple[float, ...]:
    """Places in steps.

    Raises:
        UsageError: they do not increase.
    """
    places = tuple(horizon.steps(span) for span in at)
    for (earlier, later), (before, after) in zip(pairwise(at), pairwise(places), strict=True):
        if after <= before:
            raise UsageError(
                f"milestones must increase: '{earlier}' ({spell_steps(before)}) is not before "
                f"'{later}' ({spell_steps(after)}) in at={spell_list(at)}"
            )
    return places
