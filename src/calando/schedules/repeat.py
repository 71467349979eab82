"""Repeat: a schedule again and again.

    cycle k begins at   every * (1 + stretch + ... + stretch^(k-1))
    its length is       every * stretch^k
    its values are      decay^k * part

A part without a length takes its whole cycle, and what it is made of keeps its length: a warmup of 50 steps is
50 steps in every cycle. A part with a length of its own is played slower or faster to fill its cycle. Shares are
of the whole horizon, as everywhere. After `limit` cycles the end value of the last one holds.

Source: SGDR, Loshchilov & Hutter 2017, arXiv:1608.03983 (every = T_0, stretch = T_mult).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, islice, takewhile
from typing import final

import numpy as np

from calando.errors import UsageError
from calando.language import message
from calando.schedules.checks import checked_count, checked_number
from calando.schedules.known_schedules import register
from calando.schedules.primitive import BoundAt, as_part
from calando.schedules.schedule import (
    SEAM,
    Array,
    Bound,
    DoesNotFit,
    Extent,
    Level,
    Schedule,
    check_limits,
    nothing_left,
    quote_schedule,
    too_long,
)
from calando.schedules.span import LONGEST_HORIZON, Horizon, Span, SpanLike, span_or_none, spell_steps

__all__ = ["Repeat", "repeat"]


MOST_LENGTHS = 500  # cycles of different lengths, each placed by itself
MOST_SEAMS = 10_000  # reported, of all cycles together


@register(family="What changes a schedule", example="repeat(linear(1, 0.2), every='25%', decay=0.7)")
def repeat(
    part: Schedule | float,
    *,
    every: SpanLike | None = None,
    stretch: float = 1,
    decay: float = 1,
    limit: int | None = None,
) -> Schedule:
    """A schedule again and again: warm restarts, triangles, sawteeth.

    Formula: decay ** k * part, in cycle k, which is every * stretch ** k long

    Args:
        part: what is repeated.
        every: length of the first cycle; without it, the part's own length, or, where it has none, an equal share
            of the steps that are left for each of `limit` cycles.
        stretch: length of each cycle as a multiple of the one before, above 0.
        decay: values of each cycle as a multiple of those of the one before, above 0.
        limit: number of cycles, after which the last value holds; without it, they go on to the end.

    Raises:
        UsageError: an argument out of range; neither a length nor a limit; cycles of different lengths within such
            cycles; when bound, cycles that do not fit.

    Source: SGDR, Loshchilov & Hutter 2017, arXiv:1608.03983; torch's CosineAnnealingWarmRestarts(T_0, T_mult).

    >>> from calando.schedules import linear
    >>> repeat(linear(1, 0), every=2, decay=0.5).bind(6).sample()
    array([1.   , 0.5  , 0.5  , 0.25 , 0.25 , 0.125])
    """
    return Repeat(as_part(part), span_or_none("every", every), stretch, decay, limit)


@final
@dataclass(frozen=True, repr=False)
class Repeat(Schedule):
    """`part` again and again; write `repeat(part, every=...)`.

    >>> from calando.schedules import linear
    >>> repeat(linear(0, 1, over=1) >> linear(1, 0, over=1)).bind(4).sample()
    array([0., 1., 0., 1.])
    """

    part: Schedule
    every: Span | None = None
    stretch: float = 1
    decay: float = 1
    limit: int | None = None
    called = "repeat"
    by_place = 1
    comes_again = True

    def __post_init__(self) -> None:
        for name in ("stretch", "decay"):
            object.__setattr__(self, name, checked_number(name, getattr(self, name), above=0))
        if self.limit is not None:
            object.__setattr__(self, "limit", checked_count("limit", self.limit, most=LONGEST_HORIZON))
        if self.every is None and self.part.extent is not Extent.FIXED and self.limit is None:
            raise UsageError(
                message(
                    "repeat needs every= or limit=: {part} does not say how long it is; write every='10%' or, to "
                    "share the room evenly, limit=4",
                    part=quote_schedule(self.part),
                )
            )
        if self.stretch != 1 and _stretches(self.part):
            raise UsageError(
                message(
                    "{part} has cycles of different lengths and cannot stand in such cycles again; leave out one "
                    "stretch=",
                    part=quote_schedule(self.part),
                )
            )
        check_limits(self)

    @property
    def extent(self) -> Extent:
        if self.limit is None:
            return Extent.ENDLESS
        return Extent.STRETCHED if self._shares_room else Extent.FIXED

    @property
    def parts(self) -> tuple[Schedule, ...]:
        return (self.part,)

    def rebuilt(self, parts: Sequence[Schedule]) -> Repeat:
        return Repeat(parts[0], self.every, self.stretch, self.decay, self.limit)

    def suspicion(self, argument: str, steps: float, horizon: Horizon) -> Level | None:
        return "warning"

    def length(self, horizon: Horizon) -> float:
        assert self.limit is not None, "only a FIXED schedule is asked how long it is"
        return self._start(self._first(horizon, 0.0), self.limit)

    def place(self, horizon: Horizon, room: float) -> Bound:
        first = self._first(horizon, room)
        if self.extent is Extent.FIXED and (wanted := self.length(horizon)) > room + SEAM:
            raise too_long(self, wanted, room, remedy=message("repeat it less often or train longer"))
        if self.stretch == 1:
            return BoundRepeat(self._cycle(horizon, first), first, self.decay, self.limit, room)
        starts = [0.0]
        while starts[-1] < room - SEAM and len(starts) != self.limit:
            starts.append(self._start(first, len(starts)))
            if len(starts) > MOST_LENGTHS:
                raise DoesNotFit(
                    message(
                        "{schedule} has more than {most_lengths} cycles in {room}, no two alike",
                        schedule=quote_schedule(self),
                        most_lengths=MOST_LENGTHS,
                        room=spell_steps(room),
                    ),
                    message("give it a limit= or a greater stretch="),
                )
        lengths = [first * self.stretch**cycle for cycle in range(len(starts))]
        cycles = tuple(self._cycle(horizon, length) for length in lengths)
        return BoundStretchedRepeat(cycles, tuple(starts), tuple(lengths), self.decay, self.limit, room)

    @property
    def _shares_room(self) -> bool:
        return self.every is None and self.part.extent is not Extent.FIXED

    def _cycle(self, horizon: Horizon, length: float) -> Bound:
        """The part as it fills a cycle of `length` steps."""
        if self.part.extent is not Extent.FIXED:
            return self.part.place(horizon, length)
        own = self.part.length(horizon)
        placed = self.part.place(horizon, own)
        if own == length:
            return placed
        return BoundAt(
            placed,
            lambda steps: np.where(steps >= length, own, steps * (own / length)),
            lambda: tuple(seam * length / own for seam in placed.seams()),
            lambda: tuple(place * length / own for place in placed.unreached()),
        )

    def _first(self, horizon: Horizon, room: float) -> float:
        """SpanLike of the first cycle."""
        if self.every is not None:
            return horizon.steps(self.every)
        if not self._shares_room:
            return self.part.length(horizon)
        assert self.limit is not None, "checked at the door"
        if room <= SEAM:
            raise nothing_left(self, horizon)
        return room / self._start(1.0, self.limit)

    def _start(self, first: float, cycle: int) -> float:
        """Where cycle number `cycle` begins, 0 being the first, whose length is `first`."""
        if self.stretch == 1:
            return first * cycle
        try:
            return first * (self.stretch**cycle - 1) / (self.stretch - 1)
        except OverflowError:
            return float("inf")


def _stretches(schedule: Schedule) -> bool:
    own = isinstance(schedule, Repeat) and schedule.stretch != 1
    return own or any(_stretches(part) for part in schedule.parts)


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundRepeat(Bound):
    """Cycles of `every` steps each, at most `limit` of them, in a room of `room` steps."""

    cycle: Bound
    every: float
    decay: float
    limit: int | None
    room: float

    def __call__(self, steps: Array) -> Array:
        number = np.floor((steps + SEAM) / self.every)
        if self.limit is not None:
            number = np.minimum(number, self.limit - 1)
        values = self.cycle(np.clip(steps - number * self.every, 0.0, self.every))
        return values if self.decay == 1 else values * np.power(self.decay, number)

    def seams(self) -> tuple[float, ...]:
        inner = self.cycle.seams()
        cycles = takewhile(lambda start: start < self.room, (number * self.every for number in count()))
        places = (start + seam for start in (cycles if inner else ()) for seam in inner)
        return tuple(place for place in islice(places, MOST_SEAMS) if place < self.room)

    def unreached(self) -> tuple[float, ...]:
        end = np.ceil((self.room - SEAM) / self.every) * self.every
        return (float(end),) if self.limit is None and end > self.room + SEAM else self.cycle.unreached()


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundStretchedRepeat(Bound):
    """Cycles of different lengths; `starts` and `lengths` hold those of each."""

    cycles: tuple[Bound, ...]
    starts: tuple[float, ...]
    lengths: tuple[float, ...]
    decay: float
    limit: int | None
    room: float

    def __call__(self, steps: Array) -> Array:
        numbers = np.searchsorted(np.array(self.starts), steps + SEAM, side="right") - 1
        values = np.empty_like(steps)
        for number in np.unique(numbers):
            here = numbers == number
            local = np.clip(steps[here] - self.starts[number], 0.0, self.lengths[number])
            values[here] = self.cycles[number](local) * self.decay ** float(number)
        return values

    def seams(self) -> tuple[float, ...]:
        cycles = zip(self.cycles, self.starts, strict=True)
        places = (start + seam for cycle, start in cycles for seam in cycle.seams())
        return tuple(place for place in islice(places, MOST_SEAMS) if place < self.room)

    def unreached(self) -> tuple[float, ...]:
        ends = [start + length for start, length in zip(self.starts, self.lengths, strict=True)]
        end = next((end for end in ends if end >= self.room - SEAM), self.room)
        return (end,) if self.limit is None and end > self.room + SEAM else ()
