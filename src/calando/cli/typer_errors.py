"""What typer says of a wrong command line, in the person's language: "No such option: --step" and its like."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from calando.language import Message, _, message

__all__ = ["PROBLEMS", "translating"]

PROBLEMS = (
    message("Missing argument {name}."),
    message("Missing option {name}."),
    message("Missing command."),
    message("No such option: {name} Did you mean {other}?"),
    message("No such option: {name} (Possible options: {other})"),
    message("No such option: {name}"),
    message("No such command {name}. Did you mean {other}?"),
    message("No such command {name}."),
    message("Got unexpected extra argument(s) ({name})"),
    message("Got unexpected extra argument ({name})"),
    message("Got unexpected extra arguments ({name})"),
    message("Option {name} requires an argument."),
    message("Invalid value for {name}: {problem}"),
    message("{name} is not a valid integer."),
    message("{name} is not a valid float."),
    message("{name} is not a valid int."),
    message("{name} is not one of {other}."),
    message("Input should be a valid integer, unable to parse string as an integer"),
    message("Input should be a valid number, unable to parse string as a number"),
)
"""As typer and click word them, in English; what is worded otherwise stays so."""


def translating(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, whose errors of the command line show themselves in the person's language."""

    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except Exception as error:
            # One that shows the help instead has it translated already.
            if hasattr(error, "format_message") and type(error).__name__ != "NoArgsIsHelpError":
                shown: Any = error
                shown.show = partial(_show, error)
            raise

    return call


def _show(error: Any, file: Any = None) -> None:
    import typer

    if (ctx := getattr(error, "ctx", None)) is not None:
        typer.echo(ctx.get_usage(), err=True)
        command, option = ctx.command_path, ctx.help_option_names[0]
        typer.echo(_("Try '{command} {option}' for help.", command=command, option=option) + "\n", err=True)
    own = getattr(error, "message", None)
    problem = error.format_message()
    if isinstance(own, Message) and own in problem:
        problem = message("Invalid value for {name}: {problem}", name=_named(problem), problem=own)
    else:
        problem = _read(problem)
    typer.echo(_("Error: {problem}", problem=problem), err=True)


def _named(problem: str) -> str:
    found = re.match(r"Invalid value for (.*?): ", problem)
    return found[1] if found else ""


def _read(problem: str) -> str:
    for known in PROBLEMS:
        pattern = re.escape(known.template).replace(r"\{", "{").replace(r"\}", "}")
        found = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>.+?)", pattern), problem, re.DOTALL)
        if found:
            values = found.groupdict()
            if "problem" in values:
                values["problem"] = _read(values["problem"])
            return message(known.template, **values)
    return problem
