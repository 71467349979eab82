"""The language of an answer, and what a page's scripts say in it.

    /api/…        English: programs read it; with `lang=zh` sentences are in the language of the page that asks
    anything else CALANDO_LANG of whoever serves, else the visitor's browser (Accept-Language), else the locale

A script writes its texts in English where it shows them, `_("{count} runs", { count })`. The shell of the page carries
them with their translations, so that no further request is made; what it lacks is shown in English.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, final, get_args

from starlette.requests import Request

from calando.analysis.results import Verdict
from calando.language import Message, asked_for, in_language, known, language, translated
from calando.records.command_log import State as Answer
from calando.web.place import MEASURED, Kind, State
from calando.web.table import STATES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["PageLanguage", "page_words", "script_texts", "shown", "texts_in"]

FOLDER = Path(__file__).parent / "static"
API = "/api/"
MOST_LANGUAGES = 20
WORDS = (
    *STATES,
    *get_args(Kind),
    *get_args(State),
    *get_args(Answer),
    *get_args(Verdict),
    *MEASURED,
)
"""What answers of the API have as data, and the page shows in words."""


@final
class PageLanguage:
    """ASGI middleware by which an answer is in the language of its request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with in_language(_language_of(Request(scope))):
            await self._app(scope, receive, send)


def _language_of(request: Request) -> str:
    if request.url.path.startswith(API):
        return known(request.query_params.get("lang", "")) or "en"
    return asked_for() or preferred(request.headers.get("accept-language", "")) or language()


def preferred(languages: str) -> str | None:
    """The first language that exists, of those that a browser accepts.

    Args:
        languages: an Accept-Language.

    >>> preferred("fr, zh-CN;q=0.8, en;q=0.9"), preferred("zh-TW,zh;q=0.9"), preferred("zh;q=0, *"), preferred("")
    ('en', 'zh', None, None)
    """
    weighed = []
    for one in languages.split(",")[:MOST_LANGUAGES]:
        name, _, weight = one.partition(";")
        found = re.fullmatch(r"q=([01](?:\.[0-9]{0,3})?)", weight.strip() or "q=1")
        weighed.append((0.0 if found is None else float(found[1]), known(name.strip())))
    # Of equal weights the first.
    return next((name for weight, name in sorted(weighed, key=lambda one: -one[0]) if weight and name), None)


def shown(found: Any) -> Any:
    """An answer with its sentences in the language of the request; data are as they were."""
    if language() == "en":
        return found
    if isinstance(found, dict):
        return {key: shown(one) for key, one in found.items()}
    if isinstance(found, list | tuple):
        return found if found and isinstance(found[0], int | float) else [shown(one) for one in found]
    return translated(found) if isinstance(found, Message) else found


def page_words() -> dict[str, str]:
    """What the page's scripts say, English text -> text in the language of the request; what is the same is left."""
    found = {text: translated(text) for text in (*script_texts(), *WORDS)}
    return {text: one for text, one in found.items() if one != text}


@functools.cache
def script_texts() -> tuple[str, ...]:
    """The texts of all scripts of the page, each once."""
    paths = sorted(path for path in FOLDER.glob("*.js") if path.name != "uplot.js")
    return tuple(dict.fromkeys(text for path in paths for text in texts_in(path.read_text(encoding="utf-8"))))


_CALL = re.compile(r"\b(?:_|woven)\(")
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*")|(?P<other>[`'])|(?P<mark>[?:,(){}\[\]])|(?P<rest>[^"`'?:,(){}\[\]]+)"""
)
_ESCAPE = re.compile(r"\\(.)")


def texts_in(script: str) -> Iterator[str]:
    r"""The texts of a script that are shown: the first argument of each `_(…)` and `woven(…)`, both of `a ? b : c`.

    Raises:
        ValueError: a text is not in double quotes, or put together before it can be looked up.

    >>> list(texts_in('h("p", {}, _(n === 1 ? "{n} run" : "{n} runs", { n: f("x") }), _("a \\"b\\""), _(row.state))'))
    ['{n} run', '{n} runs', 'a "b"']
    """
    for call in _CALL.finditer(script):
        depth, before, marks = 0, "(", ("(", "?", ":")
        for token in _TOKEN.finditer(script, call.end()):
            text, mark = token["text"], token["mark"]
            if token["other"]:
                raise ValueError(f"not in double quotes: {script[call.start() : call.start() + 60]!r}")
            if text and depth == 0 and before in marks:
                yield _ESCAPE.sub(r"\1", text[1:-1])
            if mark in ("(", "[", "{"):
                depth += 1
            elif mark in (")", "]", "}"):
                depth -= 1
            if depth < 0 or (depth == 0 and mark == ","):
                break
            before = mark or ("" if text or token["rest"].strip() else before)
