"""The language that a person reads: English, or Chinese by a gettext catalogue.

    CALANDO_LANG             en or zh
    LC_ALL, LC_MESSAGES, LANG   else the first of them that is set: zh_CN.UTF-8 and its like are Chinese
    locale/zh_CN/LC_MESSAGES/calando.mo   English text -> Chinese text; what it lacks stays English

Texts are English wherever they are stored, sent, compared, logged or written as JSON. A `Message` is such a text that
knows its template and its values; only who shows it to a person asks for its translation:

    message("rate {rate:g} diverged", rate=0.1)   'rate 0.1 diverged', in every language
    translated(that)                              for a terminal or a page
    _("rate {rate:g} diverged", rate=0.1)         both in one

Errors, warnings and notes are messages, too (`errors.said_by` gives an exception's). What stays English: asserts and
reprs, what the system and other libraries say, and errors that no command prints. A test looks for the others
(`tests/end_to_end/test_errors_speak.py`).
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from gettext import NullTranslations

__all__ = [
    "LANGUAGES",
    "Message",
    "_",
    "asked_for",
    "capitalized",
    "catalogue_file",
    "in_language",
    "joined",
    "known",
    "language",
    "message",
    "translated",
]

LANGUAGES = {"en": "en", "zh": "zh-CN"}
"""What exists, each as HTML names it."""
CATALOGUES = {"zh": "zh_CN"}
"""Folders below `locale/`."""
VARIABLE = "CALANDO_LANG"

_held: ContextVar[str | None] = ContextVar("held", default=None)


def language() -> str:
    """The language to show: "en" or "zh", looked up at every call.

    A CALANDO_LANG that does not exist is reported once on standard error, and English is shown.
    """
    if (held := _held.get()) is not None:
        return held
    if (asked := asked_for()) is not None:
        return asked
    places = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return known(next(filter(None, places), "")) or "en"


def asked_for() -> str | None:
    """The language of CALANDO_LANG; None where it is not set."""
    asked = os.environ.get(VARIABLE)
    return known(asked) or _unknown(asked) if asked else None


def known(name: str) -> str | None:
    """The language of LANGUAGES that a name means; None: it is none of them.

    >>> [known(name) for name in ("zh_CN.UTF-8", "zh-Hans", "EN", "fr")]
    ['zh', 'zh', 'en', None]
    """
    base = name.lower().replace("-", "_").partition(".")[0].partition("_")[0]
    return base if base in LANGUAGES else None


@lru_cache
def _unknown(asked: str) -> str:
    known = " and ".join(LANGUAGES)
    print(f"calando: there is no {VARIABLE}={ascii(asked)[:40]}; {known} exist, so this is English", file=sys.stderr)
    return "en"


@contextmanager
def in_language(name: str) -> Iterator[None]:
    """Show this language meanwhile, whatever the environment says.

    >>> with in_language("zh"):
    ...     language()
    'zh'
    """
    token = _held.set(name)
    try:
        yield
    finally:
        _held.reset(token)


@lru_cache
def _catalogue(name: str) -> NullTranslations:
    """The texts of a language; a catalogue that is missing or damaged is reported once, and has none."""
    import gettext

    path = catalogue_file(name)
    try:
        with path.open("rb") as file:
            return gettext.GNUTranslations(file)
    except (OSError, ValueError, LookupError, struct.error):  # what gettext raises where a file is missing or damaged
        print(f"calando: {str(path)!a} is missing or damaged, so this is English; reinstall calando", file=sys.stderr)
        return gettext.NullTranslations()


def catalogue_file(name: str) -> Path:
    """The compiled catalogue of a language."""
    return Path(__file__).parent / "locale" / CATALOGUES[name] / "LC_MESSAGES" / "calando.mo"


class Message(str):
    """An English text that can be shown in another language.

    Compared, stored, sent and formatted it is its text and nothing else.

    Args:
        template: the English text, with places for `str.format`; without values it is the text as it stands.
        values: what stands there: data, shown as they are, or messages, which are shown translated.

    >>> found = Message("rate {rate:.2g} {end}", rate=0.125, end=Message("diverged"))
    >>> found, found == "rate 0.12 diverged", found.template
    ('rate 0.12 diverged', True, 'rate {rate:.2g} {end}')
    """

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> Self:
        """Fill the template in; a message alone is that message."""
        if not values and isinstance(template, cls):
            return template
        made = super().__new__(cls, cls.written(template.format_map(values) if values else template))
        made.template, made.values = str(template), values
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self.template, self.values)

    @staticmethod
    def written(text: str) -> str:
        """The English text, from the template filled in."""
        return text


def _made(kind: type[Message], template: str, values: dict[str, Any]) -> Message:
    return kind(template, **values)


class _Capitalized(Message):
    @staticmethod
    def written(text: str) -> str:
        return f"{text[:1].upper()}{text[1:]}"


message = Message
"""The same under the name that templates are found by."""


def translated(text: str) -> str:
    """A text in the person's language; what the catalogue lacks stays English.

    Args:
        text: a message; or a word or text that stands in the catalogue as it is.

    >>> translated("no such text")
    'no such text'
    """
    shown = language()
    return str(text) if shown == "en" or not text else _in(_catalogue(shown), text)


def _in(catalogue: NullTranslations, text: str) -> str:
    if not isinstance(text, Message):
        return catalogue.gettext(text) if text else text
    template = catalogue.gettext(text.template) if text.template else ""
    values = {name: _in(catalogue, one) if isinstance(one, Message) else one for name, one in text.values.items()}
    try:
        return _filled(template, values) if values else template
    except (LookupError, ValueError, TypeError, AttributeError):  # a translation whose places are others
        return str(text)


def _filled(template: str, values: dict[str, Any]) -> str:
    """A translation with its values.

    Translators set a place off by spaces, as Latin words are from Chinese ones; between two Chinese ones there is none.
    """
    from string import Formatter

    formatter, parts = Formatter(), list[tuple[str, bool]]()
    for literal, name, form, conversion in formatter.parse(template):
        parts.append((literal, True))
        if name is not None:
            value = formatter.convert_field(formatter.get_field(name, (), values)[0], conversion)
            parts.append((formatter.format_field(value, form or ""), False))
    text, before = "", True
    for part, ours in filter(lambda pair: pair[0], parts):
        if before and text.endswith(" ") and _is_wide(text[-2:-1]) and _is_wide(part[0]):
            text = text[:-1]
        close = ours and part[0] == " " and _is_wide(text[-1:]) and _is_wide(part[1:2])
        text, before = text + part[close:], ours
    return text


def _is_wide(letter: str) -> bool:
    return "\u2e80" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uffef"


def _(template: str, /, **values: Any) -> str:
    """The text of a template in the person's language.

    >>> _("{count} runs", count=3)
    '3 runs'
    """
    return translated(Message(template, **values))


def capitalized(text: str) -> str:
    """A text that begins a line.

    >>> capitalized(message("one seed decides {what}", what="nothing"))
    'One seed decides nothing'
    """
    if isinstance(text, Message):
        return _Capitalized(text.template, **text.values)
    return f"{text[:1].upper()}{text[1:]}"


def joined(template: str, parts: Iterable[str]) -> str:
    """Parts in a row, as a message.

    Args:
        template: how two are joined, with the places {one} and {other}.
        parts: messages, or texts that are shown as they are.

    >>> joined("{one}; {other}", ["a", "b", "c"]), joined("{one}; {other}", [])
    ('a; b; c', '')
    """
    found = ""
    for count, part in enumerate(parts):
        found = Message(template, one=found, other=part) if count else part
    return found
