"""Who may open the page: whoever has the address that `calando serve` printed, with its token in it.

    GET  /?token=TOKEN        a cookie is set, and the browser sent on to / (the token leaves the address bar)
    with the cookie, or       let in
    Authorization: Bearer TOKEN, or ?token=TOKEN elsewhere (for curl)
    anything else             403, in a line

Without it, every user of the machine could read the study and stop it: 127.0.0.1 is everybody's.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["TokenAccess"]

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
        from starlette.requests import Request
        from starlette.responses import PlainTextResponse, RedirectResponse

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
