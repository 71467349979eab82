"""What the primitives share: how much room one takes, its formula there, how its arguments are read.

room taken  =  over, in steps        if the primitive has an `over`
               all the room given    otherwise
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Self, final

import numpy as np

from calando.errors import UsageError
from calando.language import message
from calando.schedules.checks import BadArgument
from calando.schedules.schedule import (
    SEAM,
    Array,
    Bound,
    Extent,
    Level,
    Schedule,
    as_schedule,
    nothing_left,
    spell,
    too_long,
)
from calando.schedules.span import Horizon, Span, SpanLike, spell_steps

__all__ = ["BoundAt", "Formula", "Primitive", "as_part", "checked_spans", "increasing"]

Formula = Callable[[Array], Array]

MOST_PLACES = 1000


@dataclass(frozen=True, repr=False)
class Primitive(Schedule):
    """A schedule that is not made of others.

    Args:
        over: length, or None.
    """

    over: Span | None = field(default=None, kw_only=True)
    extent_without_over: ClassVar[Extent]
    """How it takes up steps where `over` is None."""

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

    def place(self, horizon: Horizon, room: float) -> Bound:
        length = self.room_taken(horizon, room)
        return BoundPrimitive(self.formula(horizon, length), length, self.missed(horizon, length))

    def formula(self, horizon: Horizon, length: float) -> Formula:
        """The values at steps from 0 to `length`, shape (n,) each; a primitive implements this, or `place`."""
        raise NotImplementedError(f"{type(self).__name__} needs formula(), or place()")

    def missed(self, horizon: Horizon, length: float) -> tuple[float, ...]:
        """Its places beyond `length`, in steps."""
        return ()

    def room_taken(self, horizon: Horizon, room: float) -> float:
        """The steps this primitive takes of the `room` it is given.

        Raises:
            DoesNotFit: `over` is longer than the room, or nothing is left for a part that takes what is left.
        """
        wanted = room if self.over is None else horizon.steps(self.over)
        if abs(wanted - room) <= SEAM:
            wanted = room  # equal up to rounding is equal: the part ends exactly where the next begins
        if wanted > room:
            raise too_long(self, wanted, room, remedy=message("shorten its over= or train longer"))
        if room <= SEAM and self.extent is Extent.STRETCHED:
            raise nothing_left(self, horizon)
        return wanted


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundPrimitive(Bound):
    """A formula for `length` steps, after which the last value holds."""

    formula: Formula
    length: float
    missed: tuple[float, ...] = ()

    def __call__(self, steps: Array) -> Array:
        return self.formula(np.minimum(steps, self.length))

    def unreached(self) -> tuple[float, ...]:
        return self.missed


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundAt(Bound):
    """`part` at other steps: `inner` of those asked for, shape (n,), in its own steps."""

    part: Bound
    inner: Callable[[Array], Array]
    own_seams: Callable[[], tuple[float, ...]]
    missed: Callable[[], tuple[float, ...]]

    def __call__(self, steps: Array) -> Array:
        return self.part(self.inner(steps))

    def seams(self) -> tuple[float, ...]:
        return self.own_seams()

    def unreached(self) -> tuple[float, ...]:
        return self.missed()


def as_part(value: object, *, name: str = "part") -> Schedule:
    """The schedule that argument `name` was given; a number stands for a constant.

    Raises:
        BadArgument: it is neither.

    >>> as_part(0.5)
    constant(0.5)
    """
    schedule = as_schedule(value)
    if schedule is None:
        hint = message("; write {value}()", value=value) if isinstance(value, str) and value.isidentifier() else ""
        raise BadArgument(name, message("must be a schedule such as cosine(1, 0), or a number"), value, hint=hint)
    return schedule


def checked_spans(at: Iterable[SpanLike]) -> tuple[Span, ...]:
    """The spans that argument `at` was given.

    Raises:
        BadArgument: no list of spans, an empty one, or one that is too long.
    """
    if isinstance(at, str | Span | Mapping) or not isinstance(at, Iterable):
        raise BadArgument("at", message("must be a list of spans such as ['50%', '75%']"), at)
    spans = tuple(Span.parse(span, name="at") for span in at)
    if not 1 <= len(spans) <= MOST_PLACES:
        raise BadArgument("at", message("must hold 1 to {most_places} spans", most_places=MOST_PLACES), len(spans))
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
                message(
                    "milestones must increase: '{earlier}' ({before}) is not before '{later}' ({after}) in at={at}",
                    earlier=earlier,
                    before=spell_steps(before),
                    later=later,
                    after=spell_steps(after),
                    at=spell(at),
                )
            )
    return places
