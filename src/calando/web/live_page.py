"""A study as a page that follows it while it runs.

    GET  /                    the page of `calando report`, as far as the study is
    GET  /api/…               what the page asks for, as JSON: see `api`
    GET  /figures/NAME.svg    one figure
    GET  /static/NAME         the scripts
    POST /commands/stop       ask the coordinator to stop; the one thing the page may write

The study's store is opened again for each request, read-only but for the command. Who may ask what: `access`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from calando.analysis.results import StudySummary
from calando.analysis.summary import summarize
from calando.errors import CalandoError
from calando.records.command_log import CommandLog
from calando.records.store import Store, StoredStudy
from calando.web.access import Tokens, guards
from calando.web.api import api_routes
from calando.web.hosts import LOOPBACK, Hosts
from calando.web.page_headers import REPORT
from calando.web.places import Places, kind_of_folder

__all__ = ["create_app"]


def create_app(study_folder: Path, *, tokens: Tokens | None = None, hosts: Hosts = LOOPBACK) -> Starlette:
    """The web application of one study.

    Args:
        study_folder: holds the store.
        tokens: what a visitor must know; None: everybody who reaches the page is let in, to steer as well.
        hosts: what the page is reached by.

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
        middleware=guards(hosts, tokens),
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
        return HTMLResponse(page, headers={"Content-Security-Policy": REPORT})

    def figure(self, request: Request) -> Response:
        from calando.report import pictures
        from calando.report.study_figures import study_figures

        there, summary = self._read()
        name = request.path_params["name"]
        drawn = {figure.name: figure for figure in study_figures(summary, there.runs)}
        if name not in drawn:
            return PlainTextResponse(f"no figure {name!r}; there are {', '.join(drawn)}", status_code=404)
        chart = drawn[name].chart
        if chart is None:
            return PlainTextResponse(drawn[name].reading, status_code=404)
        return Response(pictures.svg(pictures.spec(chart)), media_type="image/svg+xml")

    def static(self, request: Request) -> Response:
        from calando.report import html, pictures

        scripts: dict[str, Callable[[], str]] = {
            "vega.js": pictures.bundle_js,
            "page.js": html.page_js,
            "live.js": lambda: (Path(__file__).parent / "static" / "live.js").read_text(encoding="utf-8"),
        }
        name = request.path_params["name"]
        if name not in scripts:
            return PlainTextResponse(f"no script {name!r}", status_code=404)
        # The drawing script is large and does not change while this server runs.
        caching = {"Cache-Control": "max-age=3600"} if name == "vega.js" else {}
        return Response(scripts[name](), media_type="text/javascript", headers=caching)

    def stop(self, request: Request) -> Response:
        with CommandLog.open(self._folder) as log:
            log.ask("stop", key=secrets.token_hex(8), who="page")
        return PlainTextResponse("stop", status_code=202)


def _plainly(request: Request, error: Exception) -> Response:
    """Our own errors as the one line they are."""
    return PlainTextResponse(str(error), status_code=503)
