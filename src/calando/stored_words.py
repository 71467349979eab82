"""Texts that were stored in English, shown in the person's language: what is stored stays English in every language.

    recognized(text)        by its words, as a sentence of the catalogue's templates (records, notes, refusals)
    restored(text, form)    by its form, which `form_of` gave and which is stored next to it (how a run stands)

A file is anybody's: no template but the catalogue's is ever filled in, and none that gives another text.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from calando.language import Message, catalogue_file, language

__all__ = ["form_of", "recognized", "restored"]

LEAST_OWN = 6
"""Letters of its own by which a template is known in a sentence."""
LONGEST_SENTENCE = 2000


def recognized(text: str) -> str:
    """A sentence of the catalogue that was stored as its English text, as the message that it was; any other as it is.

    Where several templates fit, it is the one with the most letters of its own. Values are what stands in its places:
    data, or sentences that are recognized as well. In English nothing is looked up.

    >>> from calando.language import in_language
    >>> with in_language("zh"):
    ...     found = recognized("rate 0.1 after 3 of 60 steps, which nobody said")
    >>> found, type(found).__name__
    ('rate 0.1 after 3 of 60 steps, which nobody said', 'str')
    """
    return text if language() == "en" or isinstance(text, Message) else _recognized(text, language())


@lru_cache(maxsize=5000)
def _recognized(text: str, shown: str) -> str:
    if not 0 < len(text) <= LONGEST_SENTENCE:
        return text
    for template, parts in _templates(shown):
        values = _values(text, parts)
        if values is None or any(map(_is_foreign, values.values())):
            continue
        if (found := Message(template, **values)) == text:
            return found
    return text


_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
QUOTES = ("'", "`", '"')
_WORD = re.compile(r"(?<![\w.-])[a-z]{3,}(?![\w.-])")


def _is_foreign(value: str) -> bool:
    """Whether a value has words that are not recognized: the template is another's, or half would stay English."""
    if isinstance(value, Message | _Quoted) or " " not in value:
        return False
    return isinstance(value, _Number) or _WORD.search(_QUOTED.sub("", value)) is not None


_Part = tuple[str, str, Callable[[str], str]]
"""Literal text, the place after it or "", and what its value is read by."""


@lru_cache
def _templates(shown: str) -> list[tuple[str, list[_Part]]]:
    """Those of a catalogue that are sentences, by the letters of their own."""
    from string import Formatter

    found = []
    for text in _texts_of(shown):
        try:
            parsed = list(Formatter().parse(text))
        except ValueError:
            continue
        own = sum(letter.isalpha() for literal, *_rest in parsed for letter in literal)
        apart = all(literal for literal, *_rest in parsed[1:])
        if own >= LEAST_OWN and " " in text and apart and all(not one[1] or one[1].isidentifier() for one in parsed):
            after = [literal for literal, *_rest in parsed[1:]] + [""]
            parts = [(one[0], one[1] or "", _reader(*one, then)) for one, then in zip(parsed, after, strict=True)]
            found.append((own, text, parts))
    return [(text, parts) for _own, text, parts in sorted(found, key=lambda one: (-one[0], one[1]))]


def _reader(
    before: str, _name: str | None, form: str | None, conversion: str | None, after: str
) -> Callable[[str], str]:
    if conversion or before.endswith(QUOTES) or after.startswith(QUOTES):
        return _Quoted
    return _Number if form else recognized


def _values(text: str, parts: list[_Part]) -> dict[str, str] | None:
    """What stands in the places of a template, each up to where what follows it is found first; None: no fit."""
    values: dict[str, str] = {}
    begun, place = 0, ""
    read: Callable[[str], str] = recognized
    for literal, name, reader in (*parts, ("", "", recognized)):
        if not place:
            if not text.startswith(literal, begun):
                return None
            at = begun
        else:
            # The end of the text is found last of all.
            at = text.find(literal, begun + 1) if literal and name else len(text) - len(literal)
            if at <= begun or not text.startswith(literal, at):
                return None
            value = read(text[begun:at])
            if values.setdefault(place, value) != value:
                return None
        begun, place, read = at + len(literal), name, reader
    return values if begun == len(text) else None


Form = list[Any]
"""[template, {name: value, or another form in a list}], as JSON."""
MOST_NESTED = 100


def form_of(text: str) -> Form | None:
    """How a message is stored next to its text; None: it is none, and has nothing but that.

    >>> form_of(Message("{end} at {step}", end=Message("diverged"), step=3))
    ['{end} at {step}', {'end': ['diverged', {}], 'step': 3}]
    """
    if not isinstance(text, Message):
        return None
    values = text.values.items()
    return [
        text.template,
        {name: form_of(one) or (one if isinstance(one, int | float) else str(one)) for name, one in values},
    ]


def restored(text: str, form: object) -> str:
    """A text that was stored, as the message of its form, where that is one of the catalogue's; else as it is.

    A file is anybody's: a template that the catalogue does not have is never filled in.
    """
    if (shown := language()) == "en" or form is None:
        return text
    try:
        found = _of_form(form, _texts_of(shown), MOST_NESTED)
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError):
        return text
    return found if found == text else text


def _of_form(form: Any, known_texts: frozenset[str], depth: int) -> Message:
    template, values = form
    if depth == 0 or template not in known_texts:
        raise ValueError(template)
    of = {name: _of_form(one, known_texts, depth - 1) if isinstance(one, list) else one for name, one in values.items()}
    return Message(template, **of)


class _Number(str):
    """A value that was written already: it stays, however its place writes one."""

    def __format__(self, form: str) -> str:
        return str(self)

    def __repr__(self) -> str:
        return str(self)


class _Quoted(_Number):
    """Code, or a name."""


@lru_cache
def _texts_of(shown: str) -> frozenset[str]:
    """The English texts of a catalogue, from its compiled file."""
    try:
        content = catalogue_file(shown).read_bytes()
        order = "<" if content[:4] == b"\xde\x12\x04\x95" else ">"
        count, begin = struct.unpack_from(f"{order}2I", content, 8)
        table = struct.iter_unpack(f"{order}2I", content[begin : begin + 8 * count])
        return frozenset(content[at : at + size].decode() for size, at in table if size)
    except (OSError, ValueError, struct.error):  # missing or damaged, which `_catalogue` reports
        return frozenset()
