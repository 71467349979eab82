"""Who may look at the page, and who may steer from it: two random tokens, in the addresses that `calando serve` prints.

    GET  /?token=TOKEN        a cookie is set, and the browser sent on to / (the token leaves the address bar)
    with the cookie, or       let in; with the token that looks, to read
    Authorization: Bearer TOKEN, or ?token=TOKEN elsewhere (for curl)
    any other method          with the token that steers alone
    anything else             403, in a line

Without it, every user of the machine could read a study and stop it: 127.0.0.1 is everybody's. The cookies are
`SameSite=Strict` and `HttpOnly`: no other site's page sends them, and no script reads them. A browser keeps cookies by
host and not by port, hence the port in their names.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, NamedTuple, final

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from calando.language import message, translated
from calando.web.hosts import Hosts, KnownHosts
from calando.web.page_headers import PageHeaders
from calando.web.page_language import PageLanguage
from calando.web.request_limits import STRANGERS, Buckets, RateLimit, SizeLimit, client_of, too_often

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["TokenAccess", "Tokens", "guards", "may_steer"]

REFUSAL = message(
    "this page is for whoever started `calando serve`: open an address that it printed, with the token in it"
)
READ_ONLY = message("this address only looks: open the other one that `calando serve` printed to steer")
STEERS = "calando.steers"


class Tokens(NamedTuple):
    """What a visitor must know: letters and digits.

    look: reads. steer: reads, and gives commands.
    """

    look: str
    steer: str

    @classmethod
    def random(cls) -> Tokens:
        """Two that nobody guesses: 128 bits each."""
        return cls(secrets.token_hex(16), secrets.token_hex(16))


def guards(hosts: Hosts, tokens: Tokens | None) -> list[Middleware]:
    """All that stands before the page, the outermost first.

    Args:
        hosts: what it is reached by.
        tokens: None: everybody who reaches it is let in, to steer as well.
    """
    return [
        Middleware(PageLanguage),
        Middleware(PageHeaders),
        Middleware(SizeLimit),
        Middleware(KnownHosts, hosts=hosts),
        Middleware(TokenAccess, tokens=tokens, encrypted=hosts.encrypted),
        Middleware(RateLimit),
    ]


def may_steer(request: Request) -> bool:
    """Whether who asks may give commands."""
    return bool(request.scope.get(STEERS, False))


@final
class TokenAccess:
    """ASGI middleware that lets in whoever knows a token, and tells what is behind it which one.

    Args:
        app: what is behind it.
        tokens: None: everybody is let in, to steer as well.
        encrypted: the cookies go by https alone.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens | None, *, encrypted: bool = False) -> None:
        self._app, self._tokens, self._encrypted = app, tokens, encrypted
        self._strangers = Buckets(STRANGERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._judge(Request(scope)) if self._tokens is not None else None
        if answer is None:
            scope.setdefault(STEERS, True)
            await self._app(scope, receive, send)
        else:
            await answer(scope, receive, send)

    def _judge(self, request: Request) -> Response | None:
        """None where the request may pass."""
        kind = _kind(request.query_params.get("token"), self._tokens)
        if kind and request.method == "GET" and request.url.path == "/":
            return self._exchange(request, kind)
        kind = kind or self._carried(request)
        if not kind:
            seconds = self._strangers.wait(client_of(request.scope))
            return too_often(seconds) if seconds else PlainTextResponse(translated(REFUSAL), status_code=403)
        request.scope[STEERS] = kind == "steer"
        if request.method not in ("GET", "HEAD") and kind != "steer":
            return PlainTextResponse(translated(READ_ONLY), status_code=403)
        return None

    def _exchange(self, request: Request, kind: str) -> Response:
        """A cookie for the token of the address. Who opens the one that looks gives up steering."""
        onward = RedirectResponse("./", status_code=303, headers={"Cache-Control": "no-store"})
        for one in Tokens._fields:
            if one == kind:
                onward.set_cookie(
                    _cookie(request, one),
                    getattr(self._tokens, one),
                    httponly=True,
                    samesite="strict",
                    secure=self._encrypted,
                )
            else:
                onward.delete_cookie(_cookie(request, one), httponly=True, samesite="strict", secure=self._encrypted)
        return onward

    def _carried(self, request: Request) -> str:
        """The kind of the token that comes in a header; "" where there is none."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = [request.cookies.get(_cookie(request, one)) for one in Tokens._fields]
        kinds = {_kind(one, self._tokens) for one in (*given, bearer.strip() if scheme.lower() == "bearer" else None)}
        return "steer" if "steer" in kinds else "look" if "look" in kinds else ""


def _cookie(request: Request, kind: str) -> str:
    return f"calando-{request.url.port or request.url.scheme}-{kind}"


def _kind(given: str | None, tokens: Tokens | None) -> str:
    """Which of the tokens it is; "" for none. In a time that does not depend on how much of it is right."""
    if given is None or tokens is None:
        return ""
    found = ""
    for kind, token in tokens._asdict().items():
        if hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode()):
            found = kind
    return found
