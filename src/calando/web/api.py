"""What the page asks for, as JSON; every answer is of one place, named by its path in the served folder.

    GET /api/places                                             what there is
    GET /api/status?place=                                      how it stands, in the terminal's words
    GET /api/summary?place=                                     what a study has concluded
    GET /api/runs?place=&sort=&filter=&state=&offset=&limit=    a page of the table
    GET /api/curves?place=&of=&run=…&from=&to=&pixels=          curves of some runs, as few points
    GET /api/bands?place=&of=&pixels=                           a band a strategy
    GET /api/run?place=&run=                                    all of one run
    GET /api/changes?place=&cursor=                             what has changed since
    GET /api/stream?place=&cursor=                              the same, as server-sent events
    GET /api/rows.csv?place=                                    the whole table

With `lang=zh` its sentences are Chinese; data are the same in every language.

What is asked wrongly is answered with 422 and a line, what is not there with 404, what cannot be read with 503.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any, final

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from calando.errors import CalandoError, CorruptFile, UsageError, said_by
from calando.language import message, translated
from calando.web.access import may_steer
from calando.web.bands import Band
from calando.web.curves import decimated
from calando.web.page_language import shown
from calando.web.place import Place
from calando.web.places import Places
from calando.web.study_place import StudyPlace
from calando.web.table import as_csv, selected, states, whole_number

__all__ = ["api_routes"]

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
MOST_CURVES = 200
MOST_PIXELS = 4000
MOST_ROWS = 1000
LOOK_SECONDS, QUIET_SECONDS = 0.5, 15.0


class _Missing(Exception):
    """No such place or run."""


def api_routes(places: Places) -> list[Route]:
    """The routes, of the places of one folder."""
    api = _API(places)
    plain = {
        "places": api.places,
        "status": api.status,
        "summary": api.summary,
        "runs": api.runs,
        "curves": api.curves,
        "bands": api.bands,
        "run": api.run,
        "changes": api.changes,
    }
    routes = [Route(f"/api/{name}", _answered(answer)) for name, answer in plain.items()]
    return [*routes, Route("/api/rows.csv", _answered(api.rows)), Route("/api/stream", api.stream)]


def _answered(answer: Callable[[Request], Any]) -> Callable[[Request], Response]:
    def respond(request: Request) -> Response:
        try:
            found = answer(request)
        except _Missing as error:
            return _error(404, said_by(error))
        except CorruptFile as error:
            return _error(503, said_by(error))
        except UsageError as error:
            return _error(422, said_by(error))
        except (CalandoError, OSError) as error:
            return _error(503, said_by(error))
        return found if isinstance(found, Response) else _json(found)

    return respond


def _json(found: Any) -> Response:
    found = shown(found)
    try:
        # The quick way; a number that is not finite is rare.
        text = json.dumps(found, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(found), allow_nan=False, separators=(",", ":"))
    return Response(text, media_type="application/json", headers=HEADERS)


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": translated(text)}, status_code=status, headers=HEADERS)


def _finite(value: Any) -> Any:
    """With null in the place of what JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


@final
class _API:
    """The answers; Starlette runs them in threads."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def _place(self, request: Request) -> Place:
        path = request.query_params.get("place", "")
        try:
            place = self._places.place(path)
        except KeyError:
            raise _Missing(message("no place {path!r} in the folder that is served", path=path[:200])) from None
        place.refresh()
        return place

    def places(self, request: Request) -> Any:
        return {"root": self._places.root.absolute().name, "places": self._places.listed()}

    def status(self, request: Request) -> Any:
        place = self._place(request)
        return {
            **place.status(),
            "cursor": place.cursor(),
            "states": states(_rows(place)),
            "can_steer": may_steer(request),
        }

    def summary(self, request: Request) -> Any:
        place = self._place(request)
        if not isinstance(place, StudyPlace):
            raise UsageError(message("only a study has a summary"))
        return place.summary().to_json()

    def runs(self, request: Request) -> Any:
        asked, place = request.query_params, self._place(request)
        rows = _rows(place)
        found = selected(rows, sort=asked.get("sort", ""), text=asked.get("filter", ""), state=asked.get("state", ""))
        offset = whole_number(asked.get("offset"), "offset", 0, least=0, most=10**9)
        limit = whole_number(asked.get("limit"), "limit", 50, least=1, most=MOST_ROWS)
        return {
            "total": len(rows),
            "matching": len(found),
            "offset": offset,
            "rows": [asdict(row) for row in found[offset : offset + limit]],
        }

    def rows(self, request: Request) -> Response:
        found = as_csv(_rows(self._place(request)))
        named = {"Content-Disposition": 'attachment; filename="runs.csv"'}
        return Response(found, media_type="text/csv", headers={**HEADERS, **named})

    def curves(self, request: Request) -> Any:
        asked, place = request.query_params, self._place(request)
        of, runs = _of(asked.get("of", "loss"), place), list(dict.fromkeys(asked.getlist("run")))
        pixels = whole_number(asked.get("pixels"), "pixels", 800, least=2, most=MOST_PIXELS)
        if len(runs) > MOST_CURVES:
            raise UsageError(
                message(
                    "at most {most} curves at once, got {count}; beyond that ask for bands",
                    most=MOST_CURVES,
                    count=len(runs),
                )
            )
        first = whole_number(asked.get("from"), "from", 0, least=0, most=10**9)
        last = whole_number(asked.get("to"), "to", 10**9, least=0, most=10**9)
        curves = []
        for digest in runs:
            row = place.rows.get(digest)
            if row is None:
                raise _Missing(message("no run {digest!r} in this place", digest=digest[:40]))
            curve = place.curve(digest, of)
            within = slice(*np.searchsorted(curve.x, (first, last + 1)))
            x, y = decimated(curve.x[within], curve.y[within], pixels=pixels)
            curves.append(
                {"run": digest, "strategy": row.strategy, "seed": row.seed, "state": row.state, **_points(x, y)}
            )
        return {**place.scale_of(of), "curves": curves}

    def bands(self, request: Request) -> Any:
        asked, place = request.query_params, self._place(request)
        of = _of(asked.get("of", "loss"), place)
        pixels = whole_number(asked.get("pixels"), "pixels", 400, least=2, most=MOST_PIXELS)
        return {
            **place.scale_of(of),
            "within": "the middle 80 % of the runs",
            "bands": [_banded(one) for one in place.bands(of, pixels=pixels)],
        }

    def run(self, request: Request) -> Any:
        place, digest = self._place(request), request.query_params.get("run", "")
        row = place.rows.get(digest)
        if row is None:
            raise _Missing(message("no run {digest!r} in this place", digest=digest[:40]))
        return place.details(digest)

    def changes(self, request: Request) -> Any:
        return self._place(request).changes(request.query_params.get("cursor", ""))

    async def stream(self, request: Request) -> Response:
        try:
            place = await run_in_threadpool(self._place, request)
        except (_Missing, CalandoError, OSError) as error:
            return _error(404 if isinstance(error, _Missing) else 503, said_by(error))
        cursor = request.headers.get("last-event-id") or request.query_params.get("cursor", "")
        events = _events(lambda seen: self._places.place(place.path).changes(seen), cursor, request.app.state)
        return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)


async def _events(changes: Callable[[str], dict[str, Any]], cursor: str, app: State) -> AsyncIterator[str]:
    """Until the browser goes, the place or the server."""
    quiet = 0.0
    while not app.ending:
        try:
            news = await run_in_threadpool(changes, cursor)
        except (KeyError, CalandoError, OSError):
            return  # asked again, it is answered why
        if news["cursor"] != cursor or "status" in news:
            cursor, quiet = news["cursor"], 0.0
            text = _json(news).body
            yield f"id: {cursor}\ndata: {bytes(text).decode()}\n\n"
        elif quiet >= QUIET_SECONDS:
            quiet = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(LOOK_SECONDS)
        quiet += LOOK_SECONDS


def _rows(place: Place) -> list[Any]:
    with place.lock:
        return list(place.rows.values())


def _of(name: str, place: Place) -> str:
    known = place.measured()
    if name not in known:
        raise UsageError(message("of must be one of {known}, got {name!r}", known=", ".join(known), name=name[:40]))
    return name


def _points(x: np.ndarray, y: np.ndarray) -> dict[str, list[float | None]]:
    return {"x": x.tolist(), "y": [value if math.isfinite(value) else None for value in y.tolist()]}


def _banded(one: Band) -> dict[str, Any]:
    lines = {"median": one.median, "low": one.low, "high": one.high}
    return {
        "strategy": one.strategy,
        "runs": one.runs,
        "sampled": one.sampled,
        "x": one.x.tolist(),
        **{name: line.tolist() for name, line in lines.items()},
    }
