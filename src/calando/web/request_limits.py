"""How much one client may ask: requests in a time, bytes of a body, letters of an address.

Each client has a bucket a kind of request: a request takes one out of it, and `per_second` come back, up to `burst`.
Who does not know the token has a bucket of its own, and so uses up nobody else's, although on one machine all have the
same address. What a connection may hold up is `http_server`'s.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, final

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from calando.language import _

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["COMMANDS", "MOST_ADDRESS", "MOST_BODY", "READING", "STRANGERS", "Buckets", "Rate", "RateLimit", "SizeLimit"]

MOST_BODY = 64 * 1024
MOST_ADDRESS = 16 * 1024
MOST_CLIENTS = 1000
STREAM = "/api/stream"
MOST_STREAMS, AGAIN_SECONDS = 40, 30.0
"""Streams at a time, each of which holds a connection, and when to try again; until then the page asks every 2 s."""


class Rate(NamedTuple):
    """How many requests come back in a second, and how many there are at most."""

    per_second: float
    burst: float


READING = Rate(50, 400)
COMMANDS = Rate(2, 20)
STRANGERS = Rate(1, 60)


@final
class Buckets:
    """What each client has left.

    Args:
        rate: for each.
        clock: seconds, never backwards.

    >>> now = iter([0.0, 0.0, 0.0, 1.0])
    >>> buckets = Buckets(Rate(per_second=1, burst=2), clock=lambda: next(now))
    >>> [buckets.wait("a") for _ in range(4)]
    [0.0, 0.0, 1.0, 0.0]
    """

    def __init__(self, rate: Rate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Take one; 0, or the seconds until there is one again."""
        now = self._clock()
        left, seen = self._left.pop(client, (self._rate.burst, now))
        left = min(self._rate.burst, left + (now - seen) * self._rate.per_second)
        lacking = max(0.0, 1 - left) / self._rate.per_second
        self._left[client] = (left if lacking else left - 1, now)
        if len(self._left) > MOST_CLIENTS:
            self._left.popitem(last=False)
        return lacking


@final
class RateLimit:
    """ASGI middleware that answers 429 to a client that reads, or commands, too often, and where too many listen."""

    def __init__(self, app: ASGIApp, *, reading: Rate = READING, commands: Rate = COMMANDS) -> None:
        self._app = app
        self._reading, self._commands = Buckets(reading), Buckets(commands)
        self._streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] == "http":
            buckets = self._reading if scope["method"] in ("GET", "HEAD") else self._commands
            seconds = buckets.wait(client_of(scope))
            if seconds:
                await too_often(seconds)(scope, receive, send)
                return
            if scope["path"] == STREAM:
                await self._stream(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._streams >= MOST_STREAMS:
            await too_often(AGAIN_SECONDS)(scope, receive, send)
            return
        self._streams += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._streams -= 1


def client_of(scope: Scope) -> str:
    """The address of who asks."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def too_often(seconds: float) -> PlainTextResponse:
    """The answer to who must wait."""
    whole = math.ceil(seconds)
    return PlainTextResponse(
        _("too many requests; try again in {whole} s", whole=whole),
        status_code=429,
        headers={"Retry-After": str(whole)},
    )


class _TooLarge(Exception):
    """More of a body came than is read."""


@final
class SizeLimit:
    """ASGI middleware that reads no more than MOST_BODY bytes of a body and MOST_ADDRESS of an address."""

    def __init__(self, app: ASGIApp, *, body: int = MOST_BODY, address: int = MOST_ADDRESS) -> None:
        self._app, self._body, self._address = app, body, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is small enough."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self._address:
            await PlainTextResponse(_("the address is too long"), status_code=414)(scope, receive, send)
            return
        length = Request(scope).headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or len(length) > 9 or int(length) > self._body:
            await self._refuse(scope, receive, send)
            return
        read, began = 0, False

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._body:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, bounded, noted)
        except _TooLarge:
            if began:
                raise
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = PlainTextResponse(_("a request holds at most {most} bytes", most=self._body), status_code=413)
        await answer(scope, receive, send)
