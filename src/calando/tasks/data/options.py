"""What may stand behind the path of a data text: options, written so that a shell takes them without quotes.

    csv:houses.csv,target=price,missing=mean        FORM:PATH,NAME=VALUE,NAME=VALUE

The text is read from the right, and only names that the form knows are options: a comma within a path, or within a
value, stays there. What looks like an option and is none is refused, unless a file of that whole name exists.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from calando.errors import UsageError, quote
from calando.language import joined, message

__all__ = ["Option", "Value", "names_of", "split_options"]

Value = str | int
"""What an option has: a text, or a whole number."""


@dataclass(frozen=True)
class Option:
    """An option of a data text.

    Args:
        name: what stands before "=".
        meaning: one line.
        choices: all that may stand behind "="; (): any text.
        least: the value is a whole number, at least this.
    """

    name: str
    meaning: str
    choices: tuple[str, ...] = ()
    least: int | None = None

    @property
    def allowed(self) -> str:
        """What may stand behind "=", for a list: ": mean, drop", or "" for any text."""
        if self.choices:
            return f": {', '.join(self.choices)}"
        return "" if self.least is None else f": a whole number from {self.least}"

    def read(self, text: str, *, of: str) -> Value:
        """The value; UsageError where it is none of the choices, or no such number."""
        if self.choices and text not in self.choices:
            near = difflib.get_close_matches(text, self.choices, n=1)
            raise UsageError(
                message(
                    "{of}: {name} must be {either}, got {text}; did you mean {name}={near}?"
                    if near
                    else "{of}: {name} must be {either}, got {text}",
                    of=of,
                    name=self.name,
                    either=_either(self.choices),
                    text=quote(text),
                    near=near[0] if near else "",
                )
            )
        if self.least is None:
            return text
        if not re.fullmatch(r"\d{1,9}", text) or int(text) < self.least:
            raise UsageError(
                message(
                    "{of}: {name} must be a whole number of at least {least}, got {text}",
                    of=of,
                    name=self.name,
                    least=self.least,
                    text=quote(text),
                )
            )
        return int(text)


def split_options(form: str, text: str, options: Sequence[Option]) -> tuple[str, dict[str, Value]]:
    """The path and the options of what stands behind "FORM:".

    >>> missing = Option("missing", "what to do about empty cells", choices=("mean", "drop"))
    >>> target = Option("target", "the column that is predicted")
    >>> split_options("csv", "my,houses.csv,target=price, USD,missing=mean", (missing, target))
    ('my,houses.csv', {'target': 'price, USD', 'missing': 'mean'})

    Args:
        options: all that the form knows.

    Raises:
        UsageError: an option that the form does not know, given twice, without its value, or of a wrong one.
    """
    known = {option.name: option for option in options}
    found: list[tuple[str, str]] = []
    path = text
    # What exists as it is written is that file, whatever its name looks like.
    while not _exists(path) and known:
        last = re.fullmatch(rf"(.*),({'|'.join(map(re.escape, known))})=(.*)", path, re.DOTALL)
        if last is None:
            break
        path, name, value = last.groups()
        found.insert(0, (name, value))
    of = f"{form}:{path}"
    values: dict[str, Value] = {}
    for name, value in found:
        _refuse_unknown(form, value, known, of=of)
        if not value:
            raise UsageError(
                message(
                    "{of}: {name}= has no value; write {name}={example}, or leave it out",
                    of=of,
                    name=name,
                    example=_example(known[name]),
                )
            )
        if name in values:
            raise UsageError(message("{of}: {name}= is given twice; keep one", of=of, name=name))
        values[name] = known[name].read(value, of=of)
    if not _exists(path):
        _refuse_unknown(form, path, known, of=f"{form}:{text}")
    return path, values


def names_of(value: Value | None, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that a value names, joined by "+": the longest names that there are win.

    >>> names_of("a+b+c", ["a", "b+c"])
    ('a', 'b+c')

    What is no column comes back as it is written.
    """
    if value is None:
        return ()
    pieces, names, known = str(value).split("+"), list[str](), set(columns)
    while pieces:
        count = next((n for n in range(len(pieces), 0, -1) if "+".join(pieces[:n]) in known), 1)
        names.append("+".join(pieces[:count]))
        del pieces[:count]
    return tuple(names)


def _refuse_unknown(form: str, text: str, known: Mapping[str, Option], *, of: str) -> None:
    looks = re.search(r",\s*([A-Za-z_][\w-]*)\s*=", text)
    if looks is None:
        return
    name = looks[1]
    if not known:
        raise UsageError(
            message(
                "{of}: {form}: takes no options, got {name}; name the path alone", of=of, form=form, name=quote(name)
            )
        )
    near = name if name in known else next(iter(difflib.get_close_matches(name, known, n=1)), None)
    raise UsageError(
        message(
            "{of}: {form}: has no option {name}; did you mean ,{near}={example}? its options are {known}"
            if near
            else "{of}: {form}: has no option {name}; its options are {known}",
            of=of,
            form=form,
            name=quote(name),
            near=near or "",
            example=_example(known[near]) if near else "",
            known=", ".join(known),
        )
    )


def _example(option: Option) -> str:
    return option.choices[0] if option.choices else str(option.least) if option.least is not None else "…"


def _either(choices: Sequence[str]) -> str:
    return joined("{one} or {other}", [", ".join(choices[:-1]), choices[-1]] if len(choices) > 1 else choices)


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # no name that a file can have; no such user's home
        return False
