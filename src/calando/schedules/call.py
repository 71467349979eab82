"""A call as it stands in a text, `sgd(lr=0.1, momentum=0.9)`: its values, and where each begins, for errors.

text   -> Call            read by `calando.schedules.grammar`
Call   -> what it makes   `call.apply(function)`; what is wrong is pointed at in the text
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar, final

from calando.errors import ScheduleTextError, UsageError, said_by
from calando.language import message
from calando.schedules.checks import BadArgument, did_you_mean, quote, signature_text
from calando.schedules.schedule import Schedule

__all__ = ["Call", "Value"]

Value = bool | int | float | str | tuple["Value", ...] | dict[str, "Value"] | Schedule | None
"""What an argument in a text may be."""
Made = TypeVar("Made")


@final
@dataclass(frozen=True)
class Call:
    """A call as it was written: `sgd(lr=0.1, momentum=0.9)`, or a bare name.

    Args:
        name: the name that is called.
        args: positional arguments.
        kwargs: arguments by name.
        positions: argument (its index or name) -> where its value begins in `text`.
        names: argument given by name -> where that name begins in `text`.
        items: argument -> where each item of its list (by index) or dict (by key) begins in `text`.
        start: where the call begins in `text`.
        text: the whole text, for errors.
    """

    name: str
    args: tuple[Value, ...]
    kwargs: Mapping[str, Value]
    positions: Mapping[int | str, int]
    names: Mapping[str, int]
    items: Mapping[int | str, Mapping[int | str, int]]
    start: int
    text: str

    def error(self, problem: str, *, value: int | str | None = None, name: str | None = None) -> ScheduleTextError:
        """An error that points at an argument's `value` or `name`, or at the call if neither is given.

        >>> from calando.schedules import parse_call
        >>> print(parse_call("sgd(lr=0)").error("lr must be above 0", value="lr"))
        lr must be above 0, at character 8 of 'sgd(lr=0)' -> here: sgd(lr=<!>0)
        """
        place = self.start
        if name is not None:
            place = self.names[name]
        elif value is not None:
            place = self.positions[value]
        return ScheduleTextError(problem, self.text, place)

    def apply(self, function: Callable[..., Made]) -> Made:
        """`function` called with these arguments.

        Raises:
            ScheduleTextError: an argument the function does not take, takes twice, lacks, or refuses with a
                BadArgument or another UsageError; it points at that argument where it is known.

        >>> from calando.schedules import parse_call
        >>> parse_call("round(2.5, ndigit=1)").apply(round)
        Traceback (most recent call last):
        calando.errors.ScheduleTextError: round has no argument 'ndigit'; did you mean 'ndigits'? it is
        round(number, ndigits=None), at character 12 of 'round(2.5, ndigit=1)' -> here: round(2.5, <!>ndigit=1)
        """
        whole = signature_text(self.name, function)
        parameters = inspect.signature(function).parameters
        placed = [name for name, item in parameters.items() if item.kind is not inspect.Parameter.KEYWORD_ONLY]
        if len(self.args) > len(placed):
            raise self.error(message("too many values without a name; it is {whole}", whole=whole), value=len(placed))
        for name in self.kwargs:
            if name not in parameters:
                guess = did_you_mean(name, list(parameters)) or message(";")
                raise self.error(
                    message(
                        "{name} has no argument {argument}{guess} it is {whole}",
                        name=self.name,
                        argument=quote(name),
                        guess=guess,
                        whole=whole,
                    ),
                    name=name,
                )
            if name in placed[: len(self.args)]:
                raise self.error(message("{name} is given twice; it is {whole}", name=name, whole=whole), name=name)
        for name in placed[len(self.args) :] + [name for name in parameters if name not in placed]:
            if parameters[name].default is inspect.Parameter.empty and name not in self.kwargs:
                raise self.error(
                    message("{name} lacks {argument}; it is {whole}", name=self.name, argument=name, whole=whole)
                )
        try:
            return function(*self.args, **self.kwargs)
        except BadArgument as error:
            wrong: int | str | None = error.argument
            if wrong in placed[: len(self.args)]:
                wrong = placed.index(error.argument)
            if wrong is None or wrong not in self.positions:
                raise self.error(said_by(error)) from None
            item = self._item(wrong, error.value)
            place = self.positions[wrong] if item is None else self.items[wrong][item]
            raise ScheduleTextError(said_by(error), self.text, place) from None
        except UsageError as error:
            raise self.error(said_by(error)) from None

    def _item(self, argument: int | str, value: object) -> int | str | None:
        """The index or key of this very value in an argument's list or dict, if it is there."""
        given = self.args[argument] if isinstance(argument, int) else self.kwargs[argument]
        inside = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, tuple) else ()
        return next((key for key, item in inside if item is value), None)
