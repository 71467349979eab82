"""The help of every command in the person's language: read from the commands, translated here alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from calando.cli.typer_errors import translating
from calando.cli.wide_lines import help_formatter
from calando.language import translated

__all__ = ["command_texts", "in_their_language", "typer_texts"]

_SAID_BY_TYPER = (
    "Usage:",
    "Arguments",
    "Options",
    "Commands",
    "[default: {default}]",
    "[required]",
    "Show this message and exit.",
    "Install completion for the current shell.",
    "Show completion for the current shell, to copy it or customize the installation.",
)
EXAMPLES = "\b\n"
"""How typer marks a paragraph whose lines stay: commands to type."""


def command_texts(root: Any) -> Iterator[str]:
    """What a command and those below it say in their help, in English, a paragraph or an option at a time."""
    for command in _with_those_below(root):
        yield from (_line(one) for one in _paragraphs(command.help) if not one.startswith(EXAMPLES))
        yield from (one.help for one in command.params if getattr(one, "help", None))


def typer_texts() -> Iterator[str]:
    """What typer says by itself in a help."""
    yield from _SAID_BY_TYPER


def in_their_language(command: Any) -> Any:
    """The same commands, whose help is translated."""
    for one in _with_those_below(command):
        paragraphs = [text if text.startswith(EXAMPLES) else translated(_line(text)) for text in _paragraphs(one.help)]
        one.help = "\n\n".join(paragraphs)
        if paragraphs:
            one.short_help = re.split(r"(?<=。)|(?<=\.) ", paragraphs[0])[0].removesuffix("。").removesuffix(".")
        for parameter in one.params:
            if getattr(parameter, "help", None):
                parameter.help = translated(parameter.help)
        formatter = help_formatter(one.context_class.formatter_class, _typer_words)
        one.context_class = type("WideContext", (one.context_class,), {"formatter_class": formatter})
    command.make_context, command.invoke = translating(command.make_context), translating(command.invoke)
    return command


def _typer_words(text: str) -> str:
    """What typer wrote, or added to an option's help."""
    words, defaults = text, ""
    if found := re.fullmatch(r"(.*?)(\s*)\[(?:default: (.*?))?(?:; )?(required)?\]", text, re.DOTALL):
        words, space, default, required = found.groups()
        shown = [translated("[default: {default}]").format(default=default)] if default else []
        shown += [translated("[required]")] if required else []
        defaults = space + "".join(shown) if shown else text.removeprefix(words)
    return translated(words) + defaults


def _with_those_below(command: Any) -> Iterator[Any]:
    yield command
    for one in getattr(command, "commands", {}).values():
        yield from _with_those_below(one)


def _paragraphs(text: str | None) -> list[str]:
    return [one for one in (text or "").split("\n\n") if one.strip()]


def _line(paragraph: str) -> str:
    return " ".join(paragraph.split())
