"""Feedback as pure functions: (state, observation) -> (state, action).

A schedule knows the rate before training starts; a controller answers to what training does. It keeps no
hidden state: what it remembers is a frozen value, a NamedTuple whose fields say what they mean. The checkpoint stores
it as JSON, so a resumed run goes on to the bit, and what it did stands in the record as events.

A controller's multiplier composes with the schedule's: rate(t) = base * schedule(t) * product of multipliers.

    @register(example="halve(at='50%')")
    @dataclass(frozen=True)
    class Halve:
        at: int = length("50%", least=1)      in a text a length in any unit, here the steps that it comes to
        ...
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar, cast, final, overload

from calando.errors import UsageError, quote
from calando.language import message
from calando.registry import Registry, home_of

__all__ = [
    "CONTROLLERS",
    "Action",
    "Controller",
    "Entry",
    "Length",
    "Observation",
    "State",
    "Wants",
    "entry_of",
    "first_multiplier",
    "internal",
    "length",
    "register",
    "state_from_json",
    "state_like",
    "state_to_json",
]

State = Any
"""A controller's state: a NamedTuple of numbers, tuples of numbers and further NamedTuples; {} where it has none."""


@dataclass(frozen=True)
class Wants:
    """What a controller needs to see at an update, beyond its loss and evaluation; each has its price.

    Args:
        seen: the value of `Observation` that it answers to: "loss", "validation_loss" or "validation_score".
        dead: to look for gradients that are exactly zero (`Observation.dead`).
        curvature: to measure along the update, for a second pass (`Observation.slope`, `Observation.curvature`).
        ahead: to know the rate that is scheduled for the next update (`Observation.ahead`).
        states: to have a state to go back to: that before this update, where none is kept yet.
    """

    seen: str = "loss"
    dead: bool = False
    curvature: bool = False
    ahead: bool = False
    states: bool = False


@dataclass(frozen=True)
class Observation:
    """What the loop saw after update `step`.

    Args:
        step: index of the update just made, or, for a non-finite loss, just refused.
        loss: its training loss.
        rate: rate of the first parameter group in that update.
        validation_loss: the loss of an evaluation that followed this update; None where there was none.
        validation_score: the score of that evaluation, in [0, 1]; else None.
        chance: the mean loss of a network that knows how frequent each class is and nothing else: the entropy of the
            training labels, log(classes) where all are equally frequent; None where the loss is not a cross-entropy.
        batch_chance: the loss of that network on the batch of this update; None: as `chance`.
        dead: share of the trained tensors whose gradient is exactly zero, in [0, 1]; None where it was not measured. It
            need not be measured after every update: a network that is dead stays dead.
        slope, curvature: along the update d just made, on its batch: -g d and d (g' - g), with g and g' the gradients
            before and after it; of a quadratic loss, d H d. None where no controller needs them.
        ahead: the first parameter group's rate scheduled for the next update, without multipliers. None where no
            controller needs it.
        broken: what was found not finite behind a finite loss, in words, such as "validation loss is nan"; "" where
            nothing was found or looked for. The loss is that before the update: what the update itself ruins is seen
            where weights are evaluated.
    """

    step: int
    loss: float
    rate: float = 0.0
    validation_loss: float | None = None
    validation_score: float | None = None
    chance: float | None = None
    batch_chance: float | None = None
    dead: float | None = None
    slope: float | None = None
    curvature: float | None = None
    ahead: float | None = None
    broken: str = ""


@dataclass(frozen=True)
class Action:
    """What a controller asks for, from the next update on.

    Args:
        multiplier: factor on the scheduled rate, in force until the next action.
        stop: a reason to end the run as diverged, or None.
        event: a sentence for the record, or "".
        keep: whether the state after this update is worth going back to; the loop keeps the last two such states (the
            first is the state before the first update).
        rewind: whether to go back to the older of the two kept states, and to leave out the batches trained on since.
            It wins over every `stop`. The controller that asks keeps its own state; all others go back, too.
    """

    multiplier: float = 1.0
    stop: str | None = None
    event: str = ""
    keep: bool = False
    rewind: bool = False


class Controller(Protocol):
    """Anything with a first state, needs at each update, and a response to each observation.

    A controller whose older versions stored another kind of state also has `read_state(stored) -> state`.
    """

    def initial(self) -> State:
        """The state before the first update; its `multiplier`, where it has one, is that of the first update."""
        ...

    def wants(self, step: int) -> Wants:
        """What it needs to see of update `step`; another controller's needs may show it more."""
        ...

    def respond(self, state: State, observation: Observation) -> tuple[State, Action]:
        """The next state and what to do; never changes `state`."""
        ...


def first_multiplier(state: State) -> float:
    """The multiplier of the first update: the field `multiplier` of a first state, 1 where it has none."""
    return float(getattr(state, "multiplier", 1.0))


def state_to_json(state: State) -> Any:
    """A state as JSON has it: names and numbers.

    >>> from calando.controllers import Plateau
    >>> state_to_json(Plateau(metric="validation_score").initial())["multiplier"]
    1.0
    """
    if hasattr(state, "_asdict"):
        return {name: state_to_json(value) for name, value in state._asdict().items()}
    if isinstance(state, Mapping):
        return {name: state_to_json(value) for name, value in state.items()}
    return [state_to_json(value) for value in state] if isinstance(state, tuple | list) else state


def state_from_json(controller: Controller, stored: Any) -> State:
    """What `state_to_json` wrote, as the controller's own type; a field that was not stored has its first value.

    Raises:
        KeyError, TypeError, ValueError: it is no state of this controller.

    >>> from calando.controllers import Edge
    >>> edge = Edge(until=100)
    >>> state_from_json(edge, state_to_json(edge.initial())) == edge.initial()
    True
    """
    read = getattr(controller, "read_state", None)
    return state_like(controller.initial(), stored) if read is None else read(stored)


def state_like(first: Any, stored: Any) -> Any:
    """`stored` in the types of `first`."""
    if hasattr(first, "_asdict"):
        own = first._asdict()
        if unknown := stored.keys() - own.keys():
            raise ValueError(f"{type(first).__name__} has no {sorted(unknown)[0]}")
        return first._replace(**{name: state_like(own[name], value) for name, value in stored.items()})
    if isinstance(first, Mapping):
        return dict(stored)
    if isinstance(first, tuple):
        return tuple(stored)
    return stored if first is None else type(first)(stored)


@final
@dataclass(frozen=True)
class Length:
    """An option that a text writes as a length in any unit.

    Args:
        default: the length where a text gives none.
        least: the fewest steps that it comes to.
    """

    default: str | int
    least: int


def length(default: str | int, *, least: int, steps: int | None = None) -> Any:
    """A field of a controller that counts steps and is a length in a text, such as '10%' or '2 epochs'.

    Args:
        default: the length where a text gives none.
        least: the fewest steps that a text's length comes to.
        steps: the default in Python; None: there is none.
    """
    metadata = {"length": Length(default, least)}
    if steps is None:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=steps, metadata=metadata)


def internal(default: float) -> Any:
    """A field of a controller that a text cannot give."""
    return dataclasses.field(default=default, metadata={"internal": True})


Part = TypeVar("Part", covariant=True)


@final
@dataclass(frozen=True)
class Entry(Generic[Part]):
    """A controller, or what else a text can call by a name with options.

    Args:
        make: its class.
        options: name -> `Length`, or the default of a number, a count or a word.
        example: a text that calls it.
        summary: one line.
        decays: it lowers the rate as training goes on, and so stands in for a schedule's decay.
    """

    make: Callable[..., Part]
    options: Mapping[str, Length | float | int | str]
    example: str
    summary: str
    decays: bool = False


def entry_of(make: type[Part], example: str, *, decays: bool = False) -> Entry[Part]:
    """The entry of a frozen dataclass whose fields are its options.

    Raises:
        UsageError: an option without a default.
    """
    options: dict[str, Length | float | int | str] = {}
    for item in dataclasses.fields(cast("Any", make)):
        option = item.metadata.get("length", item.default)
        if item.metadata.get("internal"):
            continue
        if not isinstance(option, Length | float | int | str):
            raise UsageError(
                message(
                    "{make}: {name} must have a default, a number or a word, or be length(...)",
                    make=make.__name__,
                    name=item.name,
                )
            )
        options[item.name] = option
    return Entry(make, MappingProxyType(options), example, (inspect.getdoc(make) or "").partition("\n")[0], decays)


Made = TypeVar("Made", bound=type[Controller])


@overload
def register(make: Made) -> Made: ...
@overload
def register(*, name: str = ..., example: str = ..., decays: bool = ...) -> Callable[[Made], Made]: ...
def register(
    make: Made | None = None, *, name: str = "", example: str = "", decays: bool = False
) -> Made | Callable[[Made], Made]:
    """Register a controller, so that a strategy's text can call it: a frozen dataclass whose fields are its options.

    Args:
        make: its class. A list shows its docstring's first line.
        name: its name in a text; without it, the class's own name in lower case.
        example: a text that calls it, for messages and `calando.testing`; without it, a call without options.
        decays: whether it lowers the rate as training goes on; it is then refused for a method that needs no decay.

    Raises:
        UsageError: no frozen dataclass; an option without a default; a name that is taken or that no text can call.

    >>> from dataclasses import dataclass
    >>> from calando.controllers import Action, Wants
    >>> @register(example="quarter(after='10%')")
    ... @dataclass(frozen=True)
    ... class Quarter:
    ...     after: int = length("50%", least=1)
    ...     def initial(self):
    ...         return {}
    ...     def wants(self, step):
    ...         return Wants()
    ...     def respond(self, state, seen):
    ...         return state, Action(multiplier=1.0 if seen.step < self.after else 0.25)
    >>> CONTROLLERS["quarter"].options
    mappingproxy({'after': Length(default='50%', least=1)})
    >>> CONTROLLERS.remove("quarter")
    """

    def add(make: Made) -> Made:
        frozen = getattr(getattr(make, "__dataclass_params__", None), "frozen", False)
        if not isinstance(make, type) or not frozen:
            raise UsageError(
                message("a controller is a class with @dataclass(frozen=True), got {make}", make=quote(make))
            )
        called = name or make.__name__.lower()
        entry: Entry[Controller] = entry_of(make, example or f"{called}()", decays=decays)
        CONTROLLERS.add(called, entry, home=home_of(make))
        return make

    return add if make is None else add(make)


CONTROLLERS: Registry[Entry[Controller]] = Registry("controller", join=lambda name, make: register(name=name)(make))
"""Name -> controller."""
