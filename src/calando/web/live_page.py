"""The page of a folder of studies and runs, which follows them while they go on.

    GET  /                        the page; what it shows it asks for as JSON
    GET  /api/…                   that: see `api`
    GET  /report?place=P          the page of `calando report`, as far as the study is
    GET  /figures/NAME.svg?place= one of its figures
    GET  /static/NAME             scripts and styles: see `static_files`
    POST /commands/stop?place=P   ask the coordinator to stop

The study's store is opened again for each request, read-only but for the command. Who may ask what: `access`.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from calando.analysis.results import StudySummary
from calando.analysis.summary import summarize
from calando.errors import CalandoError, UsageError, said_by
from calando.language import _, translated
from calando.records.command_log import CommandLog
from calando.records.store import Store, StoredStudy
from calando.web.access import Tokens, guards
from calando.web.api import api_routes
from calando.web.hosts import LOOPBACK, Hosts
from calando.web.page_headers import REPORT
from calando.web.places import Places, kind_of_folder
from calando.web.static_files import static_routes
from calando.web.steer_api import steer_routes

__all__ = ["create_app"]


def create_app(folder: Path, *, tokens: Tokens | None = None, hosts: Hosts = LOOPBACK) -> Starlette:
    """The web application.

    Args:
        folder: a study, a tuning or a run, or one that holds some.
        tokens: what a visitor must know; None: everybody who reaches the page is let in, to steer as well.
        hosts: what the page is reached by.

    Raises:
        UsageError: there is none.
        CorruptFile: the store cannot be read.
    """
    if kind_of_folder(folder) == "study" or not folder.is_dir():
        Store.open(folder, read_only=True).__exit__(None, None, None)
    places = Places(folder)
    pages = _Pages(places)
    app = Starlette(
        routes=[
            *static_routes(),
            *api_routes(places),
            *steer_routes(places),
            Route("/report", pages.report),
            Route("/figures/{name}.svg", pages.figure),
            Route("/commands/stop", pages.stop, methods=["POST"]),
        ],
        middleware=guards(hosts, tokens),
        exception_handlers={CalandoError: _plainly},
    )
    # What is not there is not there: no address is made of one that somebody else wrote.
    app.router.redirect_slashes = False
    app.state.places, app.state.ending = places, False
    return app


class _Pages:
    """The answers; plain functions of the request and of what the store holds now. Starlette runs them in threads."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def _folder(self, request: Request) -> Path:
        """Of the study that is asked for, among those that were found."""
        path = request.query_params.get("place", "")
        if self._places.found().get(path) != "study":
            raise HTTPException(404, _("no study {path!r} in the folder that is served", path=path[:200]))
        return self._places.root / path if path else self._places.root

    def _read(self, request: Request) -> tuple[StoredStudy, StudySummary]:
        with Store.open(self._folder(request), read_only=True) as store:
            there = store.read()
        return there, summarize(there.study, there.runs, there.tests)

    def report(self, request: Request) -> Response:
        from calando.report import html
        from calando.report.study_figures import study_figures

        there, summary = self._read(request)
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

        there, summary = self._read(request)
        name = request.path_params["name"]
        drawn = {figure.name: figure for figure in study_figures(summary, there.runs)}
        if name not in drawn:
            return PlainTextResponse(
                _("no figure {name!r}; there are {names}", name=name, names=", ".join(drawn)), status_code=404
            )
        chart = drawn[name].chart
        if chart is None:
            return PlainTextResponse(translated(drawn[name].reading), status_code=404)
        return Response(pictures.svg(pictures.spec(chart)), media_type="image/svg+xml")

    def stop(self, request: Request) -> Response:
        with CommandLog.open(self._folder(request)) as log:
            log.ask("stop", key=secrets.token_hex(8), who="page")
        return PlainTextResponse("stop", status_code=202)


def _plainly(request: Request, error: Exception) -> Response:
    """Our own errors as the one line they are."""
    return PlainTextResponse(translated(said_by(error)), status_code=422 if isinstance(error, UsageError) else 503)
