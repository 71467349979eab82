"""The files of the page: its shell, its scripts and styles, and Vega for the report's figures. All come with calando.

GET  /                the shell, in the language of the request, with what the scripts say in it; the rest is the API's
GET  /static/NAME     one of the files next to it, by its name alone; 304 where a browser has it
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from calando.language import LANGUAGES, _, in_language, language
from calando.web.page_language import page_words

__all__ = ["static_routes"]

FOLDER = Path(__file__).parent / "static"
SHELL = "index.html.j2"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def static_routes() -> list[Route]:
    """The routes of the files."""
    return [Route("/", _shell), Route("/static/{name}", _file)]


def _shell(request: Request) -> Response:
    return _answer(request, _shell_in(language()), "text/html", {"Vary": "Accept-Language"})


def _file(request: Request) -> Response:
    name = request.path_params["name"]
    content = _content(name)
    if content is None:
        return PlainTextResponse(_("no file {name!r}", name=name), status_code=404)
    return _answer(request, content, TYPES[Path(name).suffix], {})


def _answer(request: Request, content: bytes, kind: str, more: dict[str, str]) -> Response:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", **more}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)


@functools.cache
def _shell_in(name: str) -> bytes:
    """The shell in a language."""
    from jinja2 import Environment

    from calando.report import html

    text = (FOLDER / SHELL).read_text(encoding="utf-8")
    with in_language(name):
        words = page_words()
        shell = Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True).from_string(text)
        return shell.render(_=_, language=LANGUAGES[name], words=html.json_for_script(words) if words else "").encode()


@functools.cache
def _names() -> frozenset[str]:
    """What there is to serve; a name that is not among them is never made into a path."""
    return frozenset(path.name for path in FOLDER.iterdir() if path.suffix in TYPES)


@functools.lru_cache(maxsize=64)
def _content(name: str) -> bytes | None:
    """A file as it was when it was first asked for."""
    from calando.report import html, palette, pictures

    if name == "vega.js":
        return pictures.bundle_js().encode()
    if name == "page.js":
        return html.page_js().encode()
    if name == "palette.js":
        colours, dashes = (html.json_for_script(one) for one in (palette.COLOURS, palette.DASHES))
        return f"export const COLOURS = {colours};\nexport const DASHES = {dashes};\n".encode()
    return (FOLDER / name).read_bytes() if name in _names() else None
