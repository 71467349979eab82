"""The files of the page: its shell, its scripts and styles, and Vega for the report's figures. All come with calando.

GET  /                the shell; what it shows it asks of the API
GET  /static/NAME     one of the files next to it, by its name alone; 304 where a browser has it
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

__all__ = ["static_routes"]

FOLDER = Path(__file__).parent / "static"
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}


def static_routes() -> list[Route]:
    """The routes of the files."""
    return [Route("/", lambda request: _answer(request, "index.html")), Route("/static/{name}", _file)]


def _file(request: Request) -> Response:
    return _answer(request, request.path_params["name"])


def _answer(request: Request, name: str) -> Response:
    content = _content(name)
    if content is None:
        return PlainTextResponse(f"no file {name!r}", status_code=404)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=TYPES[Path(name).suffix], headers=headers)


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
