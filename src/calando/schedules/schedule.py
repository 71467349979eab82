"""Schedules: what the rate should be, as a pure function of the step.

    schedule                      immutable; knows shares and epochs, not yet steps
    schedule.bind(T)  -> curve    every unit turned into steps, once
    curve(t)                      what the base rate is multiplied by at update t

The rate of update t (counted from 0) is the schedule's value at progress t / T, as in the closed forms of
torch: the first update has the start value, t = T has the end value, and beyond T the end value holds.

Three kinds of length (`Extent`), which decide how schedules share a horizon:

    FIXED      has its own length               linear(0, 1, over='5%')
    STRETCHED  fills what it is given           cosine(1, 0)
    ENDLESS    goes on however long it is given constant(1)
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from numbers import Real
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from calando.errors import UsageError
from calando.language import message
from calando.schedules.checks import DEEPEST_NESTING, LONGEST_TEXT, MOST_PARTS, checked_number, spell_number
from calando.schedules.span import Horizon, spell_steps
from calando.shown import Shown

if TYPE_CHECKING:
    from calando.schedules.compose import Plus, Then, Times
    from calando.schedules.curve import Curve

__all__ = [
    "SEAM",
    "Array",
    "Bound",
    "DoesNotFit",
    "Extent",
    "Form",
    "Level",
    "Schedule",
    "as_schedule",
    "check_limits",
    "nothing_left",
    "quote_schedule",
    "spell",
    "too_long",
]

Array = NDArray[np.float64]
Level = Literal["error", "warning", "info"]
"""How bad what `lint` finds is: training would break, likely a mistake, worth knowing."""

# An update within a millionth of a step of a seam has reached it: seams that fall on whole steps but are
# computed from shares must not be missed by a rounding error.
SEAM = 1e-6


class Extent(enum.Enum):
    """How a schedule takes up steps: FIXED has its own length, STRETCHED fills what is left, ENDLESS never ends."""

    FIXED = "fixed"
    STRETCHED = "stretched"
    ENDLESS = "endless"


class Bound(ABC):
    """A schedule whose lengths are in steps: a pure function of the steps since its own start."""

    # its dataclasses make neither eq nor repr, which nobody uses: forty such methods are a tenth of a start

    @abstractmethod
    def __call__(self, steps: Array) -> Array:
        """Values at `steps`, a contiguous array of shape (n,) of steps >= 0 since this part began."""

    def seams(self) -> tuple[float, ...]:
        """Where one part of a chain hands over to the next, in steps since this part began."""
        return ()

    def unreached(self) -> tuple[float, ...]:
        """Places beyond the end of this part (a milestone, the end of a cycle), in steps since it began."""
        return ()


@dataclass(frozen=True, repr=False)
class Schedule(Shown, ABC):
    """A multiplier of the base rate, as an immutable value; see the constructors in `calando.schedules`.

    Combine: `a >> b` (a, then b), `a * b` and `a * 0.5` (product), `a + b` and `a + 0.5` (sum). Nesting makes
    no difference: `(a >> b) >> c` equals `a >> (b >> c)`.

    >>> from calando.schedules import cosine, linear
    >>> linear(0, 1, over="5%") >> cosine(1, 0)
    linear(0, 1, over='5%') >> cosine(1, 0)
    >>> curve = (linear(0, 1, over="5%") >> cosine(1, 0)).bind(1000)
    >>> curve(0), curve(25), curve(50), curve(1000)
    (0.0, 0.5, 1.0, 0.0)
    """

    # numpy scalars and arrays leave `number * schedule` to us
    __array_ufunc__ = None

    called: ClassVar[str]
    """The constructor's name, as the text writes it."""
    by_place: ClassVar[int] = 0
    """How many of its fields the text gives by position."""
    comes_again: ClassVar[bool] = False
    """Whether its values recur, so that `lint` accepts falls of any length."""

    @property
    @abstractmethod
    def extent(self) -> Extent:
        """How this schedule takes up steps."""

    @property
    @abstractmethod
    def parts(self) -> tuple[Schedule, ...]:
        """The schedules this one is made of; none for a primitive."""

    @abstractmethod
    def rebuilt(self, parts: Sequence[Schedule]) -> Schedule:
        """This schedule made of other `parts`, as many as it has now."""

    @abstractmethod
    def length(self, horizon: Horizon) -> float:
        """The steps that a FIXED schedule takes; only such a schedule is asked."""

    @abstractmethod
    def place(self, horizon: Horizon, room: float) -> Bound:
        """This schedule with `room` steps to itself.

        Raises:
            DoesNotFit: there is too little room.
            UsageError: a unit cannot be resolved, or places do not increase.
        """

    def __str__(self) -> str:
        """The text that builds this schedule: `parse(str(schedule)) == schedule`.

        Every field is written out but those with a default of their own, so that a text keeps its meaning if the
        default of a constructor ever changes.
        """
        given = fields_given(self).items()
        words = [
            spell(value) if place < self.by_place else f"{name}={spell(value)}"
            for place, (name, value) in enumerate(given)
        ]
        return f"{self.called}({', '.join(words)})"

    def __repr__(self) -> str:
        return str(self)

    def table(self) -> list[dict[str, object]]:
        """A row for each part of a chain: its text, and its length where it has one of its own."""
        return [
            {"part": str(part), "length": str(getattr(part, "over", None) or "what is left")} for part in self.sequence
        ]

    def bind(self, total_steps: int, *, steps_per_epoch: int | None = None) -> Curve:
        """This schedule over a run of `total_steps` updates.

        Args:
            total_steps: the horizon, in optimizer updates.
            steps_per_epoch: updates in one epoch; needed if a length is given in epochs.

        Raises:
            UsageError: a part is longer than the horizon, nothing is left for a part that takes what is
                left, a length is in epochs and `steps_per_epoch` is missing, or a count is out of range.

        >>> from calando.schedules import cosine
        >>> cosine(1, 0).bind(4).sample().round(3)
        array([1.   , 0.854, 0.5  , 0.146])
        """
        # imported here because a Curve knows its Schedule
        from calando.schedules.curve import Curve

        return Curve(self, total_steps, steps_per_epoch)

    @property
    def group_names(self) -> tuple[str, ...]:
        """The parameter groups that differ somewhere in this schedule; none where it is the same for all.

        >>> from calando.schedules import cosine, per_group
        >>> (cosine(1, 0) * per_group({"body": 0.1, "head": 1})).group_names
        ('body', 'head')
        """
        return tuple(dict.fromkeys(name for part in self.parts for name in part.group_names))

    def for_group(self, name: str) -> Schedule:
        """This schedule as the parameter group `name` sees it; itself where it is the same for all groups.

        Raises:
            UsageError: a `per_group` knows neither this group nor what to do with others.

        >>> from calando.schedules import cosine, per_group
        >>> (cosine(1, 0) * per_group({"body": 0.1}, others=1)).for_group("body")
        cosine(1, 0) * 0.1
        """
        return self.rebuilt([part.for_group(name) for part in self.parts]) if self.group_names else self

    # What `lint` asks of a schedule; it knows none by its class.

    @property
    def sequence(self) -> tuple[Schedule, ...]:
        """The parts that follow each other; itself where it is no chain."""
        return (self,)

    @property
    def own_groups(self) -> tuple[str, ...]:
        """The parameter groups that this very schedule names, without those of its parts."""
        return ()

    def calm(self) -> Schedule:
        """This schedule without random scatter, for rules that compare single steps."""
        return self

    def with_floor_raised(self, by: float) -> Schedule | None:
        """This schedule with its floor raised by `by`; None where it has no floor above 0, or cannot have that one."""
        return None

    def suspicion(self, argument: str, steps: float, horizon: Horizon) -> Level | None:
        """How likely `argument`, given in steps and shorter than an epoch, was meant in epochs; None: not at all."""
        return "warning" if argument in ("at", "over") else None

    def __rshift__(self, other: Schedule | float) -> Then:
        following = as_schedule(other)
        return NotImplemented if following is None else _compose().Then((self, following))

    def __mul__(self, other: Schedule | float) -> Times:
        factor = as_schedule(other)
        return NotImplemented if factor is None else _compose().Times((self, factor))

    def __add__(self, other: Schedule | float) -> Plus:
        term = as_schedule(other)
        return NotImplemented if term is None else _compose().Plus((self, term))

    def __radd__(self, other: float) -> Plus:
        term = as_schedule(other)
        return NotImplemented if term is None else term + self

    def __rmul__(self, other: float) -> Times:
        factor = as_schedule(other)
        return NotImplemented if factor is None else factor * self


def _compose() -> ModuleType:
    """What the operators make; imported late because those are themselves schedules."""
    from calando.schedules import compose

    return compose


def as_schedule(value: object) -> Schedule | None:
    """`value` as an operand: a schedule, a number as the constant it stands for, or None if it is neither."""
    if isinstance(value, Schedule):
        return value
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    constant: Schedule = _compose().Constant(checked_number("the number combined with a schedule", value))
    return constant


@dataclass(frozen=True)
class Form(ABC):
    """What gives a schedule its name and some of its arguments: a ramp's shape, a decay's law.

    Attributes:
        name: of the constructor, hence what the text begins with.
    """

    name: ClassVar[str]


def fields_given(value: Schedule | Form) -> dict[str, object]:
    """What the text gives of a schedule: its fields that differ from their defaults, `over` last.

    A form's own fields stand in its place, where it names the schedule.
    """
    given: dict[str, object] = {}
    for name, default in _defaults(type(value)):
        own = getattr(value, name)
        if isinstance(own, Form) and own.name == getattr(value, "called", None):
            given |= fields_given(own)
        elif default is MISSING or own != default:
            given[name] = own
    return given


@cache
def _defaults(kind: type[Schedule | Form]) -> tuple[tuple[str, object], ...]:
    return tuple((item.name, item.default) for item in sorted(fields(kind), key=lambda item: bool(item.kw_only)))


def spell(value: object) -> str:
    """An argument as a schedule's text has it.

    >>> from calando.schedules import Span
    >>> spell((Span(50, "%"), Span(1, "steps"))), spell(1.0), spell("uniform")
    ("['50%', '1 step']", '1', "'uniform'")
    """
    if isinstance(value, Schedule):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(spell, value))}]"
    if isinstance(value, float | int):
        return spell_number(value)
    return f"'{value.name}'" if isinstance(value, Form) else f"'{value}'"


class DoesNotFit(UsageError):
    """A schedule that its horizon has no room for: what `bind` refuses, and what to do.

    >>> print(DoesNotFit("nothing is left", "train longer"))
    nothing is left; train longer
    """

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(message("{one}; {other}", one=problem, other=remedy))


def too_long(schedule: Schedule, wanted: float, room: float, *, remedy: str) -> DoesNotFit:
    """The refusal of a schedule that takes `wanted` steps of `room`."""
    problem = message(
        "{schedule} takes {wanted} of {room}: {over} too many",
        schedule=quote_schedule(schedule),
        wanted=spell_steps(wanted),
        room=spell_steps(room),
        over=spell_steps(wanted - room),
    )
    return DoesNotFit(problem, remedy)


def nothing_left(schedule: Schedule, horizon: Horizon) -> DoesNotFit:
    """The refusal of a schedule that takes what is left, where nothing is."""
    problem = message(
        "nothing is left of {steps} for {schedule}",
        steps=spell_steps(horizon.total_steps),
        schedule=quote_schedule(schedule),
    )
    return DoesNotFit(problem, message("shorten the other parts or train longer"))


def quote_schedule(schedule: Schedule) -> str:
    """A schedule's text in quotes for a message, cut to 60 characters."""
    text = str(schedule)
    return f'"{text}"' if len(text) <= 60 else f'"{text[:59]}…"'


def check_limits(schedule: Schedule) -> None:
    """Raises a UsageError if a schedule is larger than what may be read back from text."""
    depth, parts, level = 0, 1, [schedule]
    while level:
        level = [part for item in level for part in item.parts]
        depth, parts = depth + 1, parts + len(level)
        if depth > DEEPEST_NESTING or parts > MOST_PARTS:
            raise UsageError(
                message(
                    "a schedule may be nested {deepest_nesting} deep and have {most_parts} parts; this one has "
                    "more; write it with fewer parts",
                    deepest_nesting=DEEPEST_NESTING,
                    most_parts=MOST_PARTS,
                )
            )
    if (length := len(str(schedule))) > LONGEST_TEXT:
        raise UsageError(
            message(
                "a schedule's text may have {longest_text} characters; this one has {length}; write it with "
                "fewer parts",
                longest_text=LONGEST_TEXT,
                length=length,
            )
        )
