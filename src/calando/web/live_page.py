"""A study as a page that follows it while it runs, on this machine only.

    GET  /                    the page of `calando report`, as far as the study is
    GET  /api/…               what the page asks for, as JSON: see `api`
    GET  /figures/NAME.svg    one figure
    GET  /static/NAME         the scripts
    POST /commands/stop       ask the coordinator to stop; the one thing the page may write

The study's store is opened again for each request, read-only but for the command. Requests under another host
name than this machine's are refused (no rebinding of names), and so are commands from another origin, and whoever does
not know the token.

Who may open the page: whoever has the address that `calando serve` printed, with its token in it.

    GET  /?token=TOKEN        a cookie is set, and the browser sent on to / (the token leaves the address bar)
    with the cookie, or       let in
    Authorization: Bearer TOKEN, or ?token=TOKEN elsewhere (for curl)
    anything else             403, in a line

Without it, every user of the machine could read the study and stop it: 127.0.0.1 is everybody's.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from calando.analysis.results import StudySummary
from calando.analysis.summary import summarize
from calando.errors import CalandoError
from calando.records.store import Store, StoredStudy
from calando.web.api import api_routes
from calando.web.places import Places, kind_of_folder

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["TokenAccess", "create_app"]


REFUSAL = "this page is for whoever started `calando serve`: open the address that it printed, with the token in it"


@final
class TokenAccess:
    """ASGI middleware that lets in whoever knows the token.

    Args:
        app: what is behind it.
        token: letters and digits; None: everybody is let in.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if self._token is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        # A browser keeps cookies by host and not by port, and another study may be served on another port.
        cookie = f"calando-{request.url.port}"
        if request.method == "GET" and request.url.path == "/" and self._same(request.query_params.get("token")):
            onward = RedirectResponse("/", status_code=303, headers={"Cache-Control": "no-store"})
            onward.set_cookie(cookie, self._token, httponly=True, samesite="strict")
            await onward(scope, receive, send)
        elif self._knows(request, cookie):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse(REFUSAL, status_code=403)(scope, receive, send)

    def _knows(self, request: Request, cookie: str) -> bool:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        return (
            self._same(request.cookies.get(cookie))
            or self._same(request.query_params.get("token"))
            or (scheme.lower() == "bearer" and self._same(bearer.strip()))
        )

    def _same(self, given: str | None) -> bool:
        # In a time that does not depend on how much of it is right.
        return given is not None and hmac.compare_digest(given.encode(), str(self._token).encode())


HOSTS = ("127.0.0.1", "localhost")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_app(study_folder: Path, *, token: str | None = None) -> Starlette:
    """The web application of one study.

    Args:
        study_folder: holds the store.
        token: what a visitor must know, of letters and digits; None: everybody who reaches the page is let in.

    Raises:
        UsageError: no study there.
        CorruptFile: the store cannot be read.
    """
    if kind_of_folder(study_folder) == "study" or not study_folder.is_dir():
        Store.open(study_folder, read_only=True).__exit__(None, None, None)
    pages, places = _Pages(study_folder), Places(study_folder)
    return Starlette(
        routes=[
            Route("/", pages.study),
            *api_routes(places),
            Route("/figures/{name}.svg", pages.figure),
            Route("/static/{name}", pages.static),
            Route("/commands/stop", pages.stop, methods=["POST"]),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False),
            Middleware(TokenAccess, token=token),
        ],
        exception_handlers={CalandoError: _plainly},
    )


class _Pages:
    """The answers; plain functions of the request and of what the store holds now. Starlette runs them in threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _read(self, *, traces: bool = True) -> tuple[StoredStudy, StudySummary]:
        with Store.open(self._folder, read_only=True) as store:
            there = store.read(traces=traces)
        return there, summarize(there.study, there.runs, there.tests)

    def study(self, request: Request) -> Response:
        from calando.report import html
        from calando.report.study_figures import study_figures

        there, summary = self._read()
        drawn = study_figures(summary, there.runs)
        page = html.study_page(
            summary,
            there.runs,
            there.tests,
            fingerprint=there.fingerprint,
            command=there.command,
            drawn=drawn,
            specs=html.specs_of(drawn),
        )
        return HTMLResponse(page, headers=HEADERS)

    def figure(self, request: Request) -> Response:
        from calando.report import pictures
        from calando.report.study_figures import study_figures

        there, summary = self._read()
        name = request.path_params["name"]
        drawn = {figure.name: figure for figure in study_figures(summary, there.runs)}
        if name not in drawn:
            return PlainTextResponse(
                f"no figure {name!r}; there are {', '.join(drawn)}", status_code=404, headers=HEADERS
            )
        chart = drawn[name].chart
        if chart is None:
            return PlainTextResponse(drawn[name].reading, status_code=404, headers=HEADERS)
        return Response(pictures.svg(pictures.spec(chart)), media_type="image/svg+xml", headers=HEADERS)

    def static(self, request: Request) -> Response:
        from calando.report import html, pictures

        scripts: dict[str, Callable[[], str]] = {
            "vega.js": pictures.bundle_js,
            "page.js": html.page_js,
            "live.js": lambda: (Path(__file__).parent / "static" / "live.js").read_text(encoding="utf-8"),
        }
        name = request.path_params["name"]
        if name not in scripts:
            return PlainTextResponse(f"no script {name!r}", status_code=404, headers=HEADERS)
        # The drawing script is large and does not change while this server runs.
        caching = {"Cache-Control": "max-age=3600"} if name == "vega.js" else {}
        return Response(scripts[name](), media_type="text/javascript", headers={**HEADERS, **caching})

    def stop(self, request: Request) -> Response:
        host = request.headers.get("host", "")
        if request.headers.get("origin") != f"http://{host}":
            return PlainTextResponse("commands are taken from this page only", status_code=403, headers=HEADERS)
        with Store.open(self._folder) as store:
            store.post_command("stop")
        return PlainTextResponse("stop", status_code=202, headers=HEADERS)


def _plainly(request: Request, error: Exception) -> Response:
    """Our own errors as the one line they are."""
    return PlainTextResponse(str(error), status_code=503, headers=HEADERS)
