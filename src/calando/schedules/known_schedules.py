"""The schedules by name: what a text may call, how a list shows each, and which of torch's schedulers it stands for.

A schedule is registered where it is defined, and nothing else in the code knows its name:

    @register(family="Ramps", example="linear(1, 0)")
    def linear(start, end, *, over=None): ...

    @counterpart("LinearLR", multiplies=True)         what a torch scheduler of that class is, read from its attributes
    def _linear_lr(seen): ...
"""

from __future__ import annotations

import inspect
import operator
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar, final, overload

from calando.errors import UsageError, quote
from calando.language import message
from calando.registry import Registry, home_of
from calando.schedules.checks import signature_text

if TYPE_CHECKING:
    from calando.schedules.schedule import Schedule

__all__ = [
    "COUNTERPARTS",
    "FAMILIES",
    "SCHEDULES",
    "Description",
    "Seen",
    "chain",
    "counterpart",
    "describe",
    "example_of",
    "product",
    "register",
]

Make = TypeVar("Make", bound="Callable[..., Schedule]")
OWN = "Your own"


@final
@dataclass(frozen=True)
class Family:
    """Schedules that serve one purpose.

    Args:
        title: of the family.
        purpose: what its members are for, a sentence or two.
    """

    title: str
    purpose: str


FAMILIES = (
    Family("Ramps", "From one value to another over `over`, or over all that is left. The bricks of everything below."),
    Family(
        "Warmups",
        "The first part of a chain, `warmup('5%') >> cosine(1, 0)`; those that never end multiply another.",
    ),
    Family("Whole runs", "Up, held, down: schedules that people train with as they are."),
    Family("Steps and places", "Values that drop at once, or that are given at places."),
    Family("At a pace", "Decays that know how fast, and not how long."),
    Family("Cycles", "Again and again."),
    Family(
        "What changes a schedule",
        "Again, later, in stairs, within bounds, cut off, shaken; or a function of your own.",
    ),
    Family("By group and batch size", "Constants to multiply with, one for each parameter group or one for all."),
    Family(OWN, "Registered in this process, or brought by installed packages."),
)

_FACTS: dict[str, tuple[str, str]] = {}  # name -> (title of its family, example)


@overload
def register(make: Make) -> Make: ...
@overload
def register(*, name: str = ..., family: str = ..., example: str = ...) -> Callable[[Make], Make]: ...
def register(
    make: Make | None = None, *, name: str = "", family: str = OWN, example: str = ""
) -> Make | Callable[[Make], Make]:
    """Register a schedule's constructor: texts, `calando plot`, `lint` and `schedules` then know it by name.

    What it returns is built from other schedules, or is an instance of its own subclass of `Primitive`.

    Args:
        make: the constructor. A list shows its docstring's first sentence and its paragraph "Formula: ...".
        name: its name in a text; without it, the function's own name.
        family: title of one of the families of `calando schedules`.
        example: a text that calls it, for pictures and `calando.testing`; without it, a call without arguments.

    Raises:
        UsageError: a name that is taken or that no text can call; no such family; a constructor that takes *args or
            **kwargs.

    >>> from calando.schedules import SCHEDULES, cosine, parse
    >>> @register(example="half_cosine(end=0.1)")
    ... def half_cosine(*, end=0.0):
    ...     '''Down along half a cosine wave from a half.'''
    ...     return cosine(0.5, end)
    >>> parse("half_cosine(end=0.1)")
    cosine(0.5, 0.1)
    >>> SCHEDULES.remove("half_cosine")
    """

    def add(make: Make) -> Make:
        if not callable(make):
            raise UsageError(
                message("a schedule is registered by a function that makes one, got {make}", make=quote(make))
            )
        titles = [known.title for known in FAMILIES]
        if family not in titles:
            raise UsageError(
                message("family must be one of {titles}, got {family}", titles=", ".join(titles), family=quote(family))
            )
        called = name or getattr(make, "__name__", "")
        open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        # not for ours: asking for sixty signatures takes a millisecond of every start
        if family == OWN and any(item.kind in open_ended for item in inspect.signature(make).parameters.values()):
            raise UsageError(
                message(
                    "{called} takes *args or **kwargs, which no text can check; give each argument a name",
                    called=called,
                )
            )
        SCHEDULES.add(called, make, home=home_of(make))
        _FACTS[called] = family, example or f"{called}()"
        return make

    return add if make is None else add(make)


SCHEDULES: Registry[Callable[..., Schedule]] = Registry("schedule", join=lambda name, make: register(name=name)(make))
"""Name -> constructor."""


def example_of(name: str) -> str:
    """A text that calls the schedule of that name."""
    return _FACTS[name][1]


@final
@dataclass(frozen=True)
class Description:
    """What a list of schedules shows of one.

    Args:
        name: its name in a text.
        family: title of the family it belongs to.
        signature: the call with its arguments and defaults.
        summary: the first sentence of its docstring.
        formula: the value at update t, or the schedules it is made of; "" where its docstring has none.
    """

    name: str
    family: str
    signature: str
    summary: str
    formula: str


def describe() -> list[Description]:
    """Every schedule that has a name, family by family; those of installed packages too.

    Raises:
        UsageError: Python runs without docstrings (-OO), from which the descriptions are read.

    >>> entry = next(entry for entry in describe() if entry.name == "linear")
    >>> entry.signature, entry.formula
    ('linear(start, end, *, over=None)', 'start + (end - start) * p')
    """
    if sys.flags.optimize > 1:
        raise UsageError(message("schedules are described in docstrings: unset PYTHONOPTIMIZE, or leave out -OO"))
    problems = SCHEDULES.load_installed()
    known = [
        _describe(family.title, name, make)
        for family in FAMILIES
        for name, make in SCHEDULES.items()
        if _FACTS.get(name, (OWN, ""))[0] == family.title  # what another process brought has no facts
    ]
    return known + [Description(name, OWN, f"{name}(…)", problem, "") for name, problem in problems.items()]


def _describe(family: str, name: str, make: Callable[..., Schedule]) -> Description:
    paragraphs = inspect.cleandoc(make.__doc__ or "").split("\n\n")
    formula = next((text.removeprefix("Formula: ") for text in paragraphs if text.startswith("Formula: ")), "")
    summary = " ".join(paragraphs[0].split()).removesuffix(".")
    return Description(name, family, signature_text(name, make), summary, " ".join(formula.split()))


@final
@dataclass(frozen=True)
class Seen:
    """A torch scheduler as one parameter group sees it.

    A rate that torch knows as such (eta_min, max_lr) becomes a share of the group's own base rate.

    Args:
        scheduler: the scheduler.
        index: of the group.
        group: the optimizer's own.
        room: the steps it is read for.
        key: "lr", or the hyper-parameter.
    """

    scheduler: Any
    index: int
    group: Mapping[str, Any]
    room: int
    key: str = "lr"

    def share(self, value: float, of: float | None = None) -> float:
        """A value as a multiplier, to 15 digits: 0.1 / 0.004 is 25, whatever the last bit is."""
        base = float(self.group["initial_lr"] if of is None else of)
        if base == 0:
            raise UsageError(
                message(
                    "group {group} has base rate 0, of which nothing but 0 is a multiple; build the scheduler on "
                    "an optimizer whose rate is above 0",
                    group=self.group.get("name", self.index),
                )
            )
        return float(f"{float(value) / base:.15g}")

    def steps(self, name: str) -> int:
        """The scheduler's attribute `name`, a number of steps from 1."""
        steps: int = getattr(self.scheduler, name)
        if steps < 1:
            kind = type(self.scheduler).__name__
            raise UsageError(
                message(
                    "{kind} has {name} {steps}, and torch's rates need 1 or more", kind=kind, name=name, steps=steps
                )
            )
        return steps


@final
@dataclass(frozen=True)
class Counterpart:
    """How a torch scheduler is read.

    Args:
        read: as one group sees it -> the schedule.
        multiplies: torch works its rate out from the rate before, so that what is chained multiplies.
    """

    read: Callable[[Seen], Schedule]
    multiplies: bool = False


COUNTERPARTS: dict[str, Counterpart] = {}
"""Name of a torch scheduler's class -> how it is read."""

Read = Callable[[Seen], "Schedule"]


def counterpart(kind: str, *, multiplies: bool = False) -> Callable[[Read], Read]:
    """Register which schedule a torch scheduler of the class `kind` is; see `Counterpart`."""

    def add(read: Read) -> Read:
        COUNTERPARTS[kind] = Counterpart(read, multiplies)
        return read

    return add


def chain(parts: list[Schedule]) -> Schedule:
    """a >> b >> c."""
    return reduce(operator.rshift, parts)


def product(parts: list[Schedule]) -> Schedule:
    """a * b * c."""
    return reduce(operator.mul, parts)
