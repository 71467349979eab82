"""The HTTP server of the page: uvicorn, with bounds on what a connection may hold up.

a request must be there whole within REQUEST_SECONDS of its first byte; a connection that sends none is closed too
at most MOST_CONNECTIONS at a time; another is closed at once
out of descriptors: reported once a minute, not with every try
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["run_server"]

REQUEST_SECONDS = 10.0
MOST_CONNECTIONS = 100
BACKLOG = 32
QUIET_SECONDS = 60.0
GRACE_SECONDS = 5


def run_server(app: ASGIApp, listener: socket.socket, certificate: tuple[Path, Path] | None = None) -> None:
    """Serve until Ctrl-C; with the files of a certificate and its key, by https."""
    quiet = _OnceAMinute()
    logging.getLogger("asyncio").addFilter(quiet)
    try:
        # asyncio tries as often as the backlog is long to take in a connection that there is no descriptor for.
        config = uvicorn.Config(
            app,
            log_level="warning",
            http=_Bounded,
            backlog=BACKLOG,
            # What a proxy says of the client is not believed: whoever reaches the port can say it too.
            proxy_headers=False,
            server_header=False,
            ssl_certfile=str(certificate[0]) if certificate else None,
            ssl_keyfile=str(certificate[1]) if certificate else None,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        _Server(config).run(sockets=[listener])
    finally:
        logging.getLogger("asyncio").removeFilter(quiet)


class _Server(uvicorn.Server):
    """Tells the application that it ends, so that streams, which have no end of their own, do."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if state := getattr(self.config.app, "state", None):
            state.ending = True
        super().handle_exit(sig, frame)


class _Bounded(H11Protocol):
    """A connection that is closed when it holds things up."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Head and body of an answer are written apart: without it the body waits 40 ms for the client's receipt of the
        # head. asyncio sets it on sockets alone that name their protocol.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._late = self.loop.call_later(REQUEST_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._late is None:
            self._late = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._in_time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _OnceAMinute(logging.Filter):
    """Lets each message pass once in QUIET_SECONDS."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._passed.get(str(record.msg), -QUIET_SECONDS) < QUIET_SECONDS:
            return False
        self._passed[str(record.msg)] = now
        return True
