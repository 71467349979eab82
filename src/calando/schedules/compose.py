"""Combinators: one schedule after another, the product and the sum of schedules.

    Then     (a >> b)(t) = a(t) for t < |a|,  b(t - |a|) after
    Times    (a * b)(t)  = a(t) * b(t)
    Plus     (a + b)(t)  = a(t) + b(t)

All flatten: `(a >> b) >> c`, `a >> (b >> c)` and `Then((a, b, c))` are equal, so nesting cannot change a
number. Shares such as "5%" are of the whole horizon however deep they stand.

At most one part of a chain may have no length of its own; it takes what the others leave. Within a chain a
product or sum stretches if a part does, and else is as long as the longest of its parts that say how long they
are: `linear(0, 1, over='5%') * 0.5 >> cosine(0.5, 0)` warms up for 5%.

A number stands for a constant, which is why `Constant` is here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import ClassVar, Self, final

import numpy as np

from calando.errors import UsageError
from calando.language import message
from calando.schedules.checks import checked_number, spell_number
from calando.schedules.known_schedules import Seen, counterpart, register
from calando.schedules.primitive import Formula, Primitive
from calando.schedules.schedule import SEAM, Array, Bound, DoesNotFit, Extent, Schedule, check_limits, quote_schedule
from calando.schedules.span import Horizon, SpanLike, span_or_none, spell_steps

__all__ = ["Constant", "Plus", "Then", "Times", "constant", "widest"]


@register(family="Ramps", example="constant(0.5)")
def constant(value: float = 1, *, over: SpanLike | None = None) -> Schedule:
    """One value, held.

    Formula: value

    Args:
        value: the multiplier, any finite number.
        over: length; without it, the schedule goes on for all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: torch's ConstantLR(factor, total_iters=n) is `constant(factor, over=n) >> constant(1)`.

    >>> constant(0.5).bind(10)(9)
    0.5
    """
    return Constant(value, over=span_or_none("over", over))


@final
@dataclass(frozen=True, repr=False)
class Constant(Primitive):
    """`value`, for as long as it is given or for `over`."""

    value: float
    called = "constant"
    by_place = 1
    extent_without_over = Extent.ENDLESS

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", checked_number("value", self.value))

    def formula(self, horizon: Horizon, length: float) -> Formula:
        return lambda steps: np.full(steps.shape, self.value)


@counterpart("ConstantLR", multiplies=True)
def _constant(seen: Seen) -> Schedule:
    steps = seen.steps("total_iters")
    if steps >= seen.room:
        return constant(seen.scheduler.factor, over=seen.room)
    return constant(seen.scheduler.factor, over=steps) >> constant(1)


@final
@dataclass(frozen=True, repr=False)
class Then(Schedule):
    """One schedule after another; write `a >> b`.

    Raises:
        UsageError: two parts have no length of their own, or the chain is larger than the limits.

    >>> from calando.schedules import constant, linear
    >>> (constant(1) >> linear(1, 0, over="2 steps")).bind(4).sample()
    array([1. , 1. , 1. , 0.5])
    """

    chain: tuple[Schedule, ...]

    def __post_init__(self) -> None:
        chain = tuple(part for item in self.chain for part in (item.chain if isinstance(item, Then) else (item,)))
        assert len(chain) > 1, "a chain of one is that one"
        object.__setattr__(self, "chain", chain)
        open_ended = [quote_schedule(part) for part in chain if part.extent is not Extent.FIXED]
        if len(open_ended) > 1:
            raise UsageError(
                message(
                    "only one part of a chain may take what is left, but {first} and {second} both "
                    "do; give all but one a length, such as over='10%'",
                    first=open_ended[0],
                    second=open_ended[1],
                )
            )
        check_limits(self)

    @property
    def extent(self) -> Extent:
        # each part is asked once: if it were asked twice at each of fifty levels, this would never end
        extents = [part.extent for part in self.chain]
        if extents[-1] is Extent.ENDLESS:
            return Extent.ENDLESS
        return Extent.FIXED if set(extents) == {Extent.FIXED} else Extent.STRETCHED

    @property
    def parts(self) -> tuple[Schedule, ...]:
        return self.chain

    @property
    def sequence(self) -> tuple[Schedule, ...]:
        return self.chain

    def rebuilt(self, parts: Sequence[Schedule]) -> Then:
        return Then(tuple(parts))

    def length(self, horizon: Horizon) -> float:
        return sum(part.length(horizon) for part in self.chain)

    def place(self, horizon: Horizon, room: float) -> Bound:
        lengths = [part.length(horizon) if part.extent is Extent.FIXED else None for part in self.chain]
        left = room - sum(length for length in lengths if length is not None)
        if left < -SEAM / 2:
            raise DoesNotFit(
                message(
                    "the parts of {chain} take {taken} of {room}: {over} too many",
                    chain=quote_schedule(self),
                    taken=spell_steps(room - left),
                    room=spell_steps(room),
                    over=spell_steps(-left),
                ),
                message("shorten a part's over= or train longer"),
            )
        if abs(left) <= SEAM and None not in lengths:
            lengths[-1] = None  # full up to rounding is full: the last part ends where the room does
        starts = list(accumulate(_starts(lengths, room), max))  # in order, however they were rounded
        ends = [*starts[1:], room if None in lengths else starts[-1] + (lengths[-1] or 0.0)]
        placed = (part.place(horizon, end - start) for part, start, end in zip(self.chain, starts, ends, strict=True))
        return BoundThen(tuple(placed), tuple(starts[1:]))

    def __str__(self) -> str:
        return " >> ".join(str(part) for part in self.chain)


@dataclass(frozen=True, repr=False)
class SideBySide(Schedule):
    """Schedules that run at the same time, and one value made of theirs, from left to right.

    Attributes:
        sign: between their texts.
        join: of two arrays of values.
        in_brackets: what binds less than `sign`.
    """

    operands: tuple[Schedule, ...]
    sign: ClassVar[str]
    join: ClassVar[np.ufunc]
    in_brackets: ClassVar[tuple[type[Schedule], ...]]

    def __post_init__(self) -> None:
        same = type(self)
        flat = tuple(part for item in self.operands for part in (item.operands if isinstance(item, same) else (item,)))
        assert len(flat) > 1, "a product or sum of one is that one"
        object.__setattr__(self, "operands", flat)
        check_limits(self)

    @property
    def extent(self) -> Extent:
        return widest(self.operands)

    @property
    def parts(self) -> tuple[Schedule, ...]:
        return self.operands

    def rebuilt(self, parts: Sequence[Schedule]) -> Self:
        return type(self)(tuple(parts))

    def length(self, horizon: Horizon) -> float:
        return max(part.length(horizon) for part in self.operands if part.extent is Extent.FIXED)

    def place(self, horizon: Horizon, room: float) -> Bound:
        return BoundSideBySide(tuple(part.place(horizon, room) for part in self.operands), self.join)

    def __str__(self) -> str:
        # a bare number after the first operand reads better, and reads back as the same constant
        words = [f"({part})" if isinstance(part, self.in_brackets) else str(part) for part in self.operands]
        for index, part in enumerate(self.operands):
            if index and isinstance(part, Constant) and part.over is None:
                words[index] = spell_number(part.value)
        return self.sign.join(words)


@final
@dataclass(frozen=True, repr=False)
class Plus(SideBySide):
    """The sum of schedules; write `a + b` or `a + 0.5`.

    >>> from calando.schedules import linear
    >>> (linear(0.5, 0) + 0.5).bind(4).sample()
    array([1.   , 0.875, 0.75 , 0.625])
    """

    sign, join, in_brackets = " + ", np.add, (Then,)


@final
@dataclass(frozen=True, repr=False)
class Times(SideBySide):
    """The product of schedules; write `a * b` or `a * 0.5`.

    >>> from calando.schedules import linear, step
    >>> (linear(0, 1, over="50%") * step(every="75%", factor=0.1)).bind(4).sample()
    array([0. , 0.5, 1. , 0.1])
    """

    sign, join, in_brackets = " * ", np.multiply, (Then, Plus)


def widest(schedules: Sequence[Schedule]) -> Extent:
    """How schedules that run at the same time take up steps together."""
    extents = {part.extent for part in schedules}
    return next(kind for kind in (Extent.STRETCHED, Extent.FIXED, Extent.ENDLESS) if kind in extents)


def _starts(lengths: list[float | None], room: float) -> list[float]:
    """Where each part starts; parts after the one without a length are counted back from the end."""
    if None not in lengths:
        return list(accumulate((length or 0.0 for length in lengths[:-1]), initial=0.0))
    rest = lengths.index(None)
    before = list(accumulate((length or 0.0 for length in lengths[:rest]), initial=0.0))
    after = list(accumulate((-(length or 0.0) for length in reversed(lengths[rest + 1 :])), initial=room))
    return before + after[:0:-1]


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundThen(Bound):
    """Parts one after another; `starts` has the start of each but the first, which starts at 0."""

    parts: tuple[Bound, ...]
    starts: tuple[float, ...]

    def __call__(self, steps: Array) -> Array:
        starts = (0.0, *self.starts)
        first, last = bisect_right(self.starts, steps.min() + SEAM), bisect_right(self.starts, steps.max() + SEAM)
        if first == last:  # most blocks of a long curve lie in one part
            return self.parts[first](np.maximum(steps - starts[first], 0.0))
        which = np.searchsorted(np.array(self.starts), steps + SEAM, side="right")
        values = np.empty_like(steps)
        for index in range(first, last + 1):
            here = which == index
            if here.any():
                values[here] = self.parts[index](np.maximum(steps[here] - starts[index], 0.0))
        return values

    def seams(self) -> tuple[float, ...]:
        return (*self.starts, *self._moved([part.seams() for part in self.parts]))

    def unreached(self) -> tuple[float, ...]:
        return self._moved([part.unreached() for part in self.parts])

    def _moved(self, places: list[tuple[float, ...]]) -> tuple[float, ...]:
        """Places since each part began, as places since the chain began."""
        starts = (0.0, *self.starts)
        return tuple(start + place for start, inner in zip(starts, places, strict=True) for place in inner)


@final
@dataclass(frozen=True, eq=False, repr=False)
class BoundSideBySide(Bound):
    """Parts that begin together, and one value made of theirs."""

    parts: tuple[Bound, ...]
    join: np.ufunc

    def __call__(self, steps: Array) -> Array:
        return reduce(self.join, (part(steps) for part in self.parts))

    def seams(self) -> tuple[float, ...]:
        return tuple(seam for part in self.parts for seam in part.seams())

    def unreached(self) -> tuple[float, ...]:
        return tuple(place for part in self.parts for place in part.unreached())
