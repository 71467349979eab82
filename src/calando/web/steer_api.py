"""Steering from the page: what a command would do, and asking it.

    GET  /api/steer?place=&run=&text=    new curve over old, and what lint says; or {"error"}. Nothing is written
    POST /api/steer                      JSON {"place", "run", "text", "id", "expected_step"}: a row of its commands

The coordinator alone acts on it, and answers in the same rows (`records.command_log`); the same id again is the same
command. Who may ask: whoever steers (`access`). What cannot be is 422 and a line, an id of another command 409.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from calando.errors import CalandoError, UsageError, said_by
from calando.language import _, message, translated
from calando.records.command_log import CommandLog
from calando.records.preview import known_runs, preview, the_run
from calando.web.page_language import shown
from calando.web.places import Places

__all__ = ["STEERED", "steer_routes"]

STEERED = ("study", "training")
"""Kinds of places whose runs are steered: a tuning races its arms by rules, and other code asks for no commands."""


def steer_routes(places: Places) -> list[Route]:
    """The routes, of the places of one folder."""
    api = _Steering(places)
    return [Route("/api/steer", api.look, methods=["GET"]), Route("/api/steer", api.ask, methods=["POST"])]


class _NotThere(Exception):
    """No such place."""


@final
class _Steering:
    def __init__(self, places: Places) -> None:
        self._places = places

    def _folder(self, path: str) -> Path:
        kind = self._places.found().get(path)
        if kind is None:
            raise _NotThere(message("no place {path!r} in the folder that is served", path=path[:200]))
        if kind not in STEERED:
            raise UsageError(
                message(
                    "a {kind} is not steered from the page; a study's runs are, and those of `calando train`",
                    kind=message(kind),
                )
            )
        return self._places.root / path if path else self._places.root

    def look(self, request: Request) -> Response:
        asked = request.query_params
        try:
            folder = self._folder(asked.get("place", ""))
            seen = preview(folder, asked.get("text", ""), run=asked.get("run", ""))
        except UsageError as error:
            # An answer, and no failure: it is asked with every letter that is typed.
            return JSONResponse({"error": translated(said_by(error))})
        except (_NotThere, CalandoError, OSError) as error:
            return _refusal(error)
        return JSONResponse(shown(seen.to_json()))

    async def ask(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return JSONResponse({"error": _("a command comes as application/json")}, status_code=415)
        try:
            asked = _read(await request.body())
            return await run_in_threadpool(self._ask, **asked)
        except (_NotThere, CalandoError, OSError) as error:
            return _refusal(error)

    def _ask(self, *, place: str, run: str, text: str, key: str, seen: int | None) -> Response:
        folder = self._folder(place)
        digest = the_run(known_runs(folder), run)
        with CommandLog.open(folder) as log:
            same = next((one for one in log.rows() if one.key == key), None)
            try:
                asked = log.ask(text, run=digest, key=key, who="page", seen=seen)
            except UsageError as error:
                if same is None:
                    raise
                return JSONResponse({"error": translated(said_by(error))}, status_code=409)
        return JSONResponse({"id": asked.key, "state": asked.state}, status_code=202)


def _read(body: bytes) -> dict[str, Any]:
    """What the page sends.

    Raises:
        UsageError: something else.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(message("a command must be a JSON object")) from error
    names = {"place": str, "run": str, "text": str, "id": str}
    if not isinstance(given, dict) or any(not isinstance(given.get(name), kind) for name, kind in names.items()):
        raise UsageError(message("a command must be a JSON object with the texts place, run, text and id"))
    if unknown := sorted(given.keys() - names.keys() - {"expected_step"}):
        raise UsageError(
            message("a command has no {name!r}; it has place, run, text, id and expected_step", name=unknown[0][:40])
        )
    step = given.get("expected_step")
    if step is not None and (not isinstance(step, int) or isinstance(step, bool)):
        raise UsageError(message("expected_step must be a whole number"))
    if not given["run"]:
        raise UsageError(message("a command must name its run"))
    return {"place": given["place"], "run": given["run"], "text": given["text"], "key": given["id"], "seen": step}


def _refusal(error: Exception) -> Response:
    status = 404 if isinstance(error, _NotThere) else 422 if isinstance(error, UsageError) else 503
    return JSONResponse({"error": translated(said_by(error))}, status_code=status)
